from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from service.history.files import EventFile
from service.plan.document import BundleError
from service.plan.parts import ColumnType, View
from service.records.reader import InvalidRecords
from service.synthesis.views import Query, connect

RECORD: dict[str, ColumnType] = {"id": "text", "n": "number", "yes": "flag", "at": "time"}
FILE = EventFile({}, {"n": "number", "at": "time"}, ["v"], {})
ROW: dict[str, Any] = {"id": "a", "n": 2, "yes": 1.0, "at": dt.datetime(2014, 1, 1)}
SELECT = 'select id as _row, n, "at", cast(n * 10 as bigint) as v from event'


def query(text: str = SELECT) -> Query:
    return Query(View("f.parquet", text), RECORD, FILE, connect())


def test_a_query_sees_the_types_of_the_plan_and_nulls() -> None:
    types = ", ".join(f'typeof("{name}")' for name in RECORD)
    text = f"select concat_ws(' ', {types}) as _row, n, \"at\", cast(yes as int) as v from event"

    (event, nothing) = query(text).run([ROW, dict.fromkeys(ROW)])

    assert event == {"_row": "VARCHAR DOUBLE BOOLEAN TIMESTAMP", "n": 2.0, "at": 1388534400000000, "v": 1}
    assert nothing["n"] is nothing["at"] is nothing["v"] is None


def test_a_query_leaves_out_what_it_will() -> None:
    assert query(f"{SELECT} where yes").run([{**ROW, "yes": 0.0}, {**ROW, "id": "b"}])[0]["_row"] == "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select nothing from event", "the query for f.parquet fails: Binder Error"),
        ("select from from", "the query for f.parquet fails: Parser Error"),
        ("select id as _row, n from event", r"yields no columns \['at', 'v'\]"),
        (SELECT.replace("id as _row", "n as _row"), "'_row' as a number, not a text"),
        (SELECT.replace('"at"', 'id as "at"'), "'at' as a text, not a time"),
        (SELECT.replace("cast(n * 10 as bigint)", "n"), "'v' as double; fixed-point values are integers"),
        ("from 'f.parquet'", "the query for f.parquet fails: Permission Error"),
    ],
)
def test_a_query_that_does_not_make_the_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        query(text)


def test_rows_that_cannot_be_computed_are_found_and_their_columns_named() -> None:
    rows = [{**ROW, "n": 1e30 if index in (3, 8) else index} for index in range(10)]

    with pytest.raises(InvalidRecords) as raised:
        query().run(rows)

    assert [(problem.record, problem.field) for problem in raised.value.problems] == [(3, "v"), (8, "v")]
    assert "1e+31" in raised.value.problems[0].error


def test_a_row_that_fails_outside_all_columns_is_found_too() -> None:
    with pytest.raises(InvalidRecords) as raised:
        query(f"{SELECT} where cast(id as int) > 0").run([{**ROW, "id": "1"}, ROW])

    assert raised.value.problems[0].record == 1


def test_of_many_rows_that_fail_some_are_named_after_few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = [], Query._result
    monkeypatch.setattr(Query, "_result", lambda *about: asked.append(1) or answer(*about))
    failing = query()
    asked.clear()

    with pytest.raises(InvalidRecords) as raised:
        failing.run([{**ROW, "n": 1e30} for _ in range(3_000)])

    assert [problem.record for problem in raised.value.problems] == list(range(20))
    assert len(asked) < 100
