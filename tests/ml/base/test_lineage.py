"""The columns behind a column of a query: those whose values it is made of."""

import pytest

from ml.base.lineage import columns_behind
from ml.base.sql import DataError

QUERIES = {
    "select id, t as cutoff, y = 1 as target from rows": {"y"},
    'select id, t as cutoff, "Y" as Target from main.ROWS': {"y"},
    "select id, t as cutoff, target from rows": {"target"},
    "with a as (select id, t, v + 1 as w from rows) select id, t as cutoff, w > 1.5 as target from a": {"v"},
    "with a as (select id, v as w from rows), b as (from a) select id, w as target from b": {"v"},
    "select * from (select id, t as cutoff, a + b > 3 as target from rows where c > 2)": {"a", "b"},
    "select r.id, lead(r.y) over (partition by r.c order by r.t) as target from rows r": {"y"},
    "select id, exists(select 1 from rows n where n.c = rows.c and n.t > rows.t) as target from rows": set(),
    "select id, (select max(n.y) from rows n where n.c = o.c and n.t > o.t) as target from rows o": {"y"},
    "select id, other.y as target from rows join other using (id)": set(),
    "select id, y as target from other join more using (id)": set(),
    "with o as (select id, max(y) as best from other group by 1) select id, best as target from rows join o using (id)":
        set(),
    "select id, case when z then y else q end as target from rows": {"z", "y", "q"},
    "select id, y = 1 as target from rows union all select id, u = 2 as target from rows": {"y", "u"},
    "select id, count(*) filter (where y > 2) > 1 as target from rows group by all": {"y"},
    "from rows select id, list_any_value([y, u]) as target": {"y", "u"},
    "select id, t2 - t > interval 3 days as target from rows": {"t2", "t"},
    "select id, target = 1 as target from rows": {"target"},
    "select id, rows.target > v as target from rows": {"target", "v"},
    "select id, other.target = 1 as target from rows join other using (id)": set(),
    "with a as (select id, target = 1 as late from rows) select id, late as target from a": {"target"},
    "with a as (select id, v = 1 as late from rows) select id, late = 0 as v, late as target from a": {"v"},
    "select *, t as cutoff from rows": {"target"},
    "select * replace (v > 3 as target) from rows": {"v"},
    "select * replace (target > 3 as target) from rows": {"target"},
    "select * rename (v as target) from rows": {"v"},
    "with a as (select * rename (v as w) from rows) select id, w > 2 as target from a": {"v"},
    "with a as (select *, w = 2 as other from rows) select id, v > 4 as v, other, v as target from a": {"v"},
    "with a as (select *, w = 2 as other from rows) select id, target > 4 as target from a": {"target"},
    "select id, target > 4 as target from (select * from rows)": {"target"},
    "with a as (select id, v + 1 as v from rows) select id, v > 2 as target from a": {"v"},
    "with a as (select id, 3 as v from rows) select id, v > 2 as target from a": set(),
    "with a as (select id, v = 1 as v from rows) select id, (select max(v) from rows) as target from a": {"v"},
}  # fmt: skip


@pytest.mark.parametrize(("query", "columns"), QUERIES.items())
def test_the_columns_of_which_a_query_makes_its_target_are_known(query: str, columns: set[str]) -> None:
    assert columns_behind(query, "target", "rows") == columns


def test_what_is_no_query_is_refused() -> None:
    with pytest.raises(DataError, match="is no query"):
        columns_behind("selec 1", "target", "rows")
