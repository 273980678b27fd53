"""Expressions of a declaration: of one row, the same at any time, and null where a number does not exist."""

import struct
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.base.expressions import check_columns_of, columns_of, query_sql, row_sql, sources_of, tables_of
from ml.base.sql import DataError, quoted, run_sql
from service.synthesis.views import connect

OF_MANY_ROWS = [
    "v - avg(v) over (partition by g)", "row_number() over ()", "lag(v) over (order by id)", "sum(v)", "count(*)",
    "max(v)", "list(v)", "(select max(v) from source)", "exists (select 1)", "v in (select v from source)",
    "v = any(select v from source)", "unnest([v])", "*", "columns('v')", "coalesce(v, (select 1))", "#1", "$1", "?",
    "case when v > 1 then sum(v) over () end", "list_filter([v], lambda x: x > (select 1))", "grouping(v)",
]  # fmt: skip
CHANGING = [
    "random()", "now()", "v > random()", "current_date", "CURRENT_TIMESTAMP", "localtime", "localtimestamp", "today()",
    "get_current_timestamp()", "current_localtimestamp()", "current_localtime()", "age(seen)", "nextval('s')", "uuid()",
    "gen_random_uuid()", "uuidv7()", "txid_current()", "current_setting('x')", "getvariable('x')", "main.random()",
    "if(random() > 0.5, 1, 2)", "list_transform([1], lambda x: x + random())", "try(random())", "seen > current_date",
]  # fmt: skip
NO_EXPRESSION = [
    "", " -- nothing", "v,", "v, id", "v), (id", "v) from range(3) t(x", "v); select (1", "v) order by (1",
    "v) limit (1", "v) union (select 1", "select v", "v as w", "v >", "no_such_function(v)", "source.v",
]  # fmt: skip
IN_A_ROW = [
    "v", "v > 1", "'random()'", "-v", "v between 1 and 2", "cast(v as integer)", "age(seen, seen)", "seen::date",
    "case g when 'a' then 1 else 2 end", "g like 'a%' or g is null", "list_filter([v, 1], lambda x: x > id)[1]",
    "coalesce(nullif(v, 0), 1)", "seen + interval 3 days", "extract(hour from seen)", "g in ('a', 'b')", "v -- no",
    "list_avg([v, 1])", "round(v, 2)", "{'a': v}.a", "if(v > 1, 'x', 'y')", '"current_date" = 1', "hash(g) % 2 = 0",
]  # fmt: skip


@pytest.mark.parametrize("expression", OF_MANY_ROWS)
def test_an_expression_that_looks_at_other_rows_is_refused_with_the_remedy(expression: str) -> None:
    with pytest.raises(
        DataError, match=r"an expression sees its own row alone: .*features\.history.*features\.synthesis"
    ):
        row_sql(expression)


@pytest.mark.parametrize("expression", CHANGING)
def test_an_expression_that_differs_from_run_to_run_is_refused(expression: str) -> None:
    with pytest.raises(
        DataError, match=r"differs from run to run\. Write a constant, or make the column in the source"
    ):
        row_sql(expression)


@pytest.mark.parametrize("expression", NO_EXPRESSION)
def test_what_is_no_single_expression_is_refused(expression: str) -> None:
    with pytest.raises(DataError):
        row_sql(expression)


@pytest.mark.parametrize(
    ("expression", "word"),
    [("at > seen", "at"), ("hour(at)", "at"), ("case when Order > 1 then 2 end", "order"), ("v + GROUP::int", "group")],
)
def test_a_column_with_the_name_of_one_of_sqls_own_words_is_said_to_need_quotes(expression: str, word: str) -> None:
    with pytest.raises(DataError, match=f'is no SQL expression: .*; if {word} names a column, write it as "{word}"'):
        row_sql(expression)


@pytest.mark.parametrize("expression", IN_A_ROW)
def test_an_expression_of_its_own_row_is_what_it_was(expression: str) -> None:
    row = pa.table(
        {"id": [3], "v": [2.5], "g": ["ab"], "seen": pa.array([10**15], pa.timestamp("us")), "current_date": [1]}
    )

    value = run_sql("x", f"select {row_sql(expression)} as x from source", source=row)

    assert value == run_sql("x", f"select ({expression}\n) as x from source", source=row)


def test_every_function_of_duckdb_that_is_of_many_rows_or_unstable_is_refused() -> None:
    functions = run_sql(
        "x", "select distinct function_name as name, function_type as kind, stability from duckdb_functions()"
    )
    scalars = {row["name"] for row in functions.to_pylist() if row["kind"] in ("scalar", "macro")}
    refused = {
        row["name"]
        for row in functions.to_pylist()
        if row["stability"] not in (None, "CONSISTENT") or row["kind"] in ("aggregate", "window")
    } | {row["name"] for row in functions.to_pylist() if row["kind"] == "table" and row["name"] not in scalars}
    refused -= {"error"}  # which has no value that could differ

    accepted = []
    for name in sorted(refused):
        try:
            row_sql(f"{quoted(name)}(v)")
            accepted.append(name)
        except DataError:
            pass

    assert len(refused) > 100
    assert accepted == []


def test_a_word_for_the_present_in_quotes_is_a_column_if_there_is_one() -> None:
    check_columns_of("x", "'ünïcödé €' = 'x' or \"current_date\" > 1", ["current_date"])

    with pytest.raises(DataError, match=r"names \['current_date'\], which are no columns"):
        check_columns_of("x", '"current_date" > 1', ["seen"])


def test_the_columns_of_an_expression_are_no_parameters_and_no_tables() -> None:
    assert columns_of("list_filter([A], lambda x: x > b) = c.field") == {"a", "b", "c"}
    assert sources_of(["z"], {"Z": "y + 1", "y": "x * w"}) == {"z", "y", "x", "w"}


NOWHERE = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e308, -1e308, 5e-324, None]
NUMBERS = st.sampled_from(NOWHERE) | st.floats()
ASKED = [
    "a / b", "(a / b) > 0.5", "not (a / b > 0.5)", "a / b is null", "case when a / b > 1 then 'm' end", "sqrt(a) > 0",
    "ln(a) < 1", "'nan'::double > 1", "'inf'::double > a", "1 / (1 / b)", "coalesce(a / b, -1)", "a * b * 1e300",
    "exp(a)", "a % b", "a // b", "i // j", "i % j", "i / j > 1", "power(a, b)", "acos(a)", "greatest(a / b, 1)",
    "a / b in (1, 2)", "(a / b)::varchar", "a > 100", "a = b", "round(a / b, 2)", "1e400 > a",
    "try_cast(s as double) > 1", "s", "atanh(a)", "[a / b][1]", "a / b between 0 and 1", "try_cast(a / b as float)",
    "f / 3", "i * f", "list_avg([a, b])", "a is null", "cast(i as varchar)", "a / b is distinct from 1",
]  # fmt: skip


def _rows(a: list[Any], b: list[Any]) -> pa.Table:
    number = len(a)
    whole = [None if value is None or value != value else int(max(min(value, 9), -9)) for value in a]
    return pa.table(
        {
            "a": pa.array(a, pa.float64()),
            "b": pa.array(b, pa.float64()),
            "i": pa.array(whole, pa.int64()),
            "j": pa.array([row % 2 for row in range(number)], pa.int32()),
            "f": pa.array([row / 7 for row in range(number)], pa.float32()),
            "s": ["nan", "inf", "-Infinity", "1e999", "text", None, "2", "nan", "1"][:number],
        }
    )


def _bits(value: Any) -> Any:
    return struct.pack("d", value) if isinstance(value, float) else value


@pytest.mark.parametrize("expression", ASKED)
def test_a_number_that_does_not_exist_is_null_before_anything_is_asked_of_it(expression: str) -> None:
    rows = _rows(NOWHERE, NOWHERE[::-1])

    values = run_sql("x", f"select {row_sql(expression)} as x from source", source=rows)["x"].to_pylist()

    assert [value for value in values if isinstance(value, float) and not abs(value) < float("inf")] == []


def test_what_is_asked_of_a_number_that_does_not_exist_is_not_known() -> None:
    rows = pa.table({"a": [0.0, 1.0, -1.0, 4.0, None, float("inf")], "b": [0.0, 0.0, 2.0, 2.0, 1.0, 1.0]})

    def answers(expression: str) -> list[Any]:
        answer: list[Any] = run_sql("x", f"select {row_sql(expression)} as x from source", source=rows)["x"].to_pylist()
        return answer

    assert answers("a / b > 0.5") == [None, None, False, True, None, None]
    assert answers("a / b is null") == [True, True, False, False, True, True]
    assert answers("case when a / b > 1 then 'more' else 'less' end") == [
        "less",
        "less",
        "less",
        "more",
        "less",
        "less",
    ]
    assert answers("sqrt(a) is null") == [False, False, True, False, True, True]
    assert answers("a > 100") == [False, False, False, False, None, None]
    assert answers("1 / (1 / b)") == [None, None, 2.0, 2.0, 1.0, 1.0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=9), st.sampled_from(ASKED))
def test_service_and_batch_agree_to_the_bit(pairs: list[tuple[Any, Any]], expression: str) -> None:
    rows = _rows([a for a, _ in pairs], [b for _, b in pairs])
    types = {"i": "BIGINT", "j": "BIGINT", "f": "FLOAT"}
    sent = pa.table(
        {name: rows[name].cast(pa.float64()) if name in types else rows[name] for name in rows.column_names}
    )

    batch = run_sql("x", f"select {row_sql(expression)} as x from source", source=rows)["x"].to_pylist()
    connection = connect()
    connection.register("event", sent)
    online = connection.execute(f"select {row_sql(expression, types)} from event").fetchall()

    assert [_bits(value) for (value,) in online] == [_bits(value) for value in batch]


QUERIES = {  # and what the column `x` is for the rows (1, 0, 0), (2, 1, 0), (3, -1, 2), (4, 4, 2)
    "select id, a / b as x from t order by id": [None, None, -0.5, 2.0],
    "select id, a / b > 0.5 as x from t order by id": [None, None, False, True],
    "select x from (select a / b as x from t) where x > 0.5": [2.0],
    "with r as (select id, a / b as q from t) select q is null as x from r order by id": [True, True, False, False],
    "select max(a / b) as x from t": [2.0],
    "select sum(a) / sum(0 * b) as x from t": [None],
    "select sum(case when a / b > 1 then 1 end) as x from t": [1],
    "select x from t, (select 'inf'::double as x) where id = 1": [None],
    "select avg(a / b) over () as x from t": [0.75] * 4,
    "select count(*) as x from t group by a / b order by 1": [1, 1, 2],
    'select "max(a)" as x from (select max(a) from t)': [4.0],
    "select id // 0 as x from t where id = 1": [None],
    "select ':name %s {x} ' || '::' as x from t where id = 1; -- the end": [":name %s {x} ::"],
    "from t select id as x where sqrt(a) >= 0 order by id": [1, 2, 4],
}


@pytest.mark.parametrize(("query", "expected"), QUERIES.items())
def test_a_query_knows_no_number_that_does_not_exist(query: str, expected: list[Any]) -> None:
    table = pa.table({"id": [1, 2, 3, 4], "a": [0.0, 1.0, -1.0, 4.0], "b": [0.0, 0.0, 2.0, 2.0]})

    assert run_sql("x", query_sql(query), t=table)["x"].to_pylist() == expected


@pytest.mark.parametrize(
    "query",
    [
        "select now() as cutoff", "select * from t where a > random()", "select * from t using sample 3",
        "select * from t tablesample 10%", "select a from t order by uuid()", "with x as (select today()) from x",
        "select * from (select current_date as cutoff)", "select a, localtimestamp from t",
    ],
)  # fmt: skip
def test_a_query_that_differs_from_run_to_run_is_refused(query: str) -> None:
    with pytest.raises(DataError, match=r"differs from run to run\. "):
        query_sql(query)


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('rows.csv')", "from READ_PARQUET('rows.parquet')", "select * from glob('*')",
        "select * from query('select now()')", "select * from query_table('t')", "describe t", "show tables",
        "summarize t", "from duckdb_settings()", "select a from t where a in (from read_text('x'))",
        "with x as (from read_json('x')) from t, x",
    ],
)  # fmt: skip
def test_a_query_that_makes_rows_of_what_is_no_table_is_refused(query: str) -> None:
    with pytest.raises(DataError, match=r"whose rows are of no declared table, .* Declare a table with that source"):
        query_sql(query)


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("select a from T, main.u as t2, (from range(3) r(n)), unnest([1])", {"t", "u"}),
        ("with t as (select 1), x as materialized (from u) from t join x on true", {"u"}),
        ("select (select max(a) from u) from t where exists (from v)", {"t", "u", "v"}),
        ("from 'rows.csv'", {"rows.csv"}),
        ("from information_schema.tables, duckdb_tables", {"information_schema.tables", "duckdb_tables"}),
        ("select 1", set()),
    ],
)
def test_the_tables_of_a_query_are_those_that_it_does_not_make_itself(query: str, tables: set[str]) -> None:
    assert tables_of(query) == tables


def test_an_assertion_in_an_expression_is_none_that_differs() -> None:
    row_sql("case when v >= 0 then v else error('negative') end")
    query_sql("select histogram(a) from t")


@pytest.mark.parametrize("query", ["select 1; select 2", "selec 1", "", "drop table t"])
def test_what_is_no_single_query_is_refused(query: str) -> None:
    with pytest.raises(DataError):
        query_sql(query)


def test_an_expression_of_hundreds_of_terms_works_or_is_refused_by_name() -> None:
    assert (
        run_sql("x", f"select {row_sql(' + '.join(['v'] * 100))} as x from source", source=pa.table({"v": [1]}))["x"][
            0
        ].as_py()
        == 100
    )
    with pytest.raises(DataError, match="nested too deeply"):
        row_sql(" + ".join(["v"] * 500))
