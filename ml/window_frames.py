"""Aggregates of windows that no running total gives: the least, the greatest, the median, how many different ones."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.sql import connection, quoted

if TYPE_CHECKING:
    from ml.windows import Window

FRAMED = {
    "min": "min({0}) over w",
    "max": "max({0}) over w",
    "median": "cast(median({0}) over w as double)",
    "num_unique": "case when count(one) over w > 0 then count(distinct {0}) over w end",
}


def framed(
    events: Mapping[str, pa.Array],
    rows: Mapping[str, pa.Array],
    wanted: "Sequence[Window]",
    scales: Mapping[str, int],
    end: int,
    threads: int | None,
) -> "dict[str, npt.NDArray[np.float64]]":
    """The values of each window, NaN where there is none, in the order of the rows.

    `events` has k, t and the columns, `rows` has k and cut; times are in microseconds. A window ends `end` microseconds
    before the cutoff. What does not fit $SEXTANT_MEMORY_LIMIT goes to disk.
    """
    found = {}
    with connection(threads) as con:
        con.register("event", pa.table(dict(events)))
        con.register("asked", pa.table({"row": np.arange(len(rows["k"])), **rows}))
        for seconds in dict.fromkeys(each.seconds for each in wanted):
            together = [each for each in wanted if each.seconds == seconds]
            table = con.sql(_query(together, list(events)[2:], scales, end)).to_arrow_table()
            for each, column in zip(together, table.columns, strict=True):
                found[each.name] = column.to_numpy()
    return found


def _query(wanted: "Sequence[Window]", columns: Sequence[str], scales: Mapping[str, int], end: int) -> str:
    """Events and rows in one order, each row with the frame of events before it."""
    values = ", ".join(
        f"cast({FRAMED[each.aggregation].format(quoted(str(each.column)))} as double)"
        f"{'' if each.aggregation == 'num_unique' else f' / {10 ** scales[str(each.column)]}'} as {quoted(each.name)}"
        for each in wanted
    )
    names = ", ".join(quoted(each.name) for each in wanted)
    both = (
        f"select null as row, k, t, 1 as one{''.join(f', {quoted(c)}' for c in columns)} from event "
        f"where k >= 0 union all "
        f"select row, k, cut, null{', null' * len(columns)} from asked"
    )
    window = f"partition by k order by t range between {reach(wanted[0].seconds)} preceding and {end} preceding"
    framed = f"select row, {values} from ({both}) window w as ({window})"
    return f"select {names} from ({framed}) where row is not null order by row"


def reach(seconds: int | None) -> int:
    """How far a window reaches back, in microseconds; all of the past is thirty thousand years."""
    return 10**18 if seconds is None else seconds * 10**6
