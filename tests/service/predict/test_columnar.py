"""Rows answered by columns, and the same rows as records."""

from __future__ import annotations

import datetime as dt
import random
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.frames.arrays import TableRows
from service.http.served import Served
from service.http.tensors import Tensor, TensorRows
from service.predict.predictor import PART, Predictor
from service.predict.rows import ROWS, WordyError
from service.records.deadline import OutOfTimeError
from service.records.reader import FLOAT32_MAX, InvalidRecords

TIMES = st.datetimes(dt.datetime(1600, 1, 1), dt.datetime(2400, 1, 1))
NUMBERS = (
    st.none()
    | st.floats(-FLOAT32_MAX, FLOAT32_MAX)
    | st.floats(-10, 200, width=32)
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([-0.0, 2**53, 2**53 + 1, 1e-320, FLOAT32_MAX])
)
RECORDS = st.fixed_dictionaries(
    {"sent_at": TIMES.map(dt.datetime.isoformat)},
    optional={
        "due": st.none() | TIMES.map(dt.datetime.isoformat),
        "carrier": st.none() | st.sampled_from(["UA", "DL", "", "ÖBB"]),
        "weight": NUMBERS,
        "pieces": NUMBERS,
        "fragile": st.none() | st.booleans(),
    },
)


class ListRows:
    """Rows of records, as tensors of JSON."""

    def __new__(cls, records: list[Any], predictor: Predictor) -> Any:
        plan = predictor.plan
        columns = {name: [record.get(name) for record in records] for name in plan.record}
        return TensorRows([Tensor(name, "", [len(records)], values) for name, values in columns.items()], plan)


def table_of(records: list[Any]) -> pa.Table:
    """Return records as a table; integers and floats of a column become float64."""
    types = {"sent_at": pa.string(), "due": pa.string(), "carrier": pa.string(), "fragile": pa.bool_()}
    columns = {name: [record.get(name) for record in records] for name in types}
    numbers = {
        name: np.array([np.nan if (value := record.get(name)) is None else value for record in records], np.float64)
        for name in ("weight", "pieces")
    }
    return pa.table({**{name: pa.array(values, types[name]) for name, values in columns.items()}, **numbers})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS, min_size=1, max_size=30))
def test_columns_are_answered_as_records_are(parcels: Served, records: list[Any]) -> None:
    predictor = parcels.require_predictor()
    expected = predictor.predict(records)

    scored = predictor.predict_rows(ListRows(records, predictor))

    assert scored.scores.tolist() == expected.scores
    assert scored.warnings() == expected.warnings


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS, min_size=1, max_size=30))
def test_a_table_is_answered_as_its_rows_are(parcels: Served, records: list[Any]) -> None:
    predictor, table = parcels.require_predictor(), table_of(records)
    rows = TableRows(table, predictor.plan)

    scored = predictor.predict_rows(rows)

    expected = predictor.predict(rows.records(range(len(rows))))
    assert scored.scores.tolist() == expected.scores
    assert scored.warnings() == expected.warnings


def test_many_rows_are_answered_in_the_parts_of_one_request(parcels: Served) -> None:
    predictor, rng = parcels.require_predictor(), random.Random(7)
    count = 2 * ROWS + PART + 17
    records = [
        {
            "sent_at": f"20{rng.randrange(10, 30)}-0{rng.randrange(1, 10)}-01T{rng.randrange(10, 24)}:00",
            "carrier": rng.choice(["UA", "DL", None]),
            "weight": rng.choice([None, rng.uniform(0, 100), -5.0]),
            "pieces": rng.randrange(1, 10),
        }
        for _ in range(count)
    ]

    scored = predictor.predict_rows(ListRows(records, predictor))

    expected = predictor.predict(records)
    assert scored.scores.tolist() == expected.scores
    assert scored.warnings() == expected.warnings


def test_problems_are_those_of_the_records_wherever_they_stand(parcels: Served, parcel: dict[str, Any]) -> None:
    predictor = parcels.require_predictor()
    records = [dict(parcel) for _ in range(ROWS + 50)]
    records[3]["weight"] = 1e39
    records[ROWS + 1]["sent_at"] = "yesterday"
    records[ROWS + 2] |= {"sent_at": None, "fragile": 1, "carrier": 7, "pieces": "9", "due": "2014-02-30"}

    with pytest.raises(InvalidRecords) as expected:
        predictor.predict(records)
    with pytest.raises(InvalidRecords) as raised:
        predictor.predict_rows(ListRows(records, predictor))

    assert raised.value.problems == expected.value.problems
    assert len(raised.value.problems) == 7


def test_a_row_without_a_finite_answer_is_named(write_bundle: Any, parcel: dict[str, Any]) -> None:
    plan = {
        "use_case": "parcels",
        "record": {"weight": "number", "pieces": "number"},
        "required": [],
        "features": [{"name": name, "kind": "column", "column": name} for name in ("weight", "pieces")],
    }
    served, folder = Served(), write_bundle(plan, numeric=["weight", "pieces"], categorical=[], weights=[1e10, -1e10])
    (folder / "golden.json").write_text('{"records": [], "scores": []}')
    served.load(folder)
    predictor = served.require_predictor()
    rows = TableRows(pa.table({"weight": [0.0] * PART + [3e38], "pieces": [1.0] * PART + [3e38]}), predictor.plan)

    with pytest.raises(InvalidRecords) as raised:
        predictor.predict_rows(rows)

    assert [(problem.record, problem.field) for problem in raised.value.problems] == [(PART, "weight")]


def test_only_rows_with_something_to_tell_of_are_read(parcels: Served, parcel: dict[str, Any]) -> None:
    predictor = parcels.require_predictor()
    records = [{**parcel, "pieces": 20 if place == 70 else 3} for place in range(200)]
    rows, read = ListRows(records, predictor), list[Any]()
    rows.records = lambda places: read.extend(places) or TensorRows.records(rows, places)

    scored = predictor.predict_rows(rows)

    assert read == [70]
    assert scored.warned == {70: ["pieces 20 is far from training, where it was from 1 to 9"]}


def test_rows_without_anything_to_tell_of_cost_no_calls(parcels: Served, parcel: dict[str, Any]) -> None:
    predictor, calls = parcels.require_predictor(), list[str]()
    table = pa.table({name: [value] * ROWS for name, value in parcel.items()})
    rows = TableRows(table, predictor.plan)
    predictor.predict_rows(rows)  # the first time makes what later ones find

    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    predictor.predict_rows(rows)
    sys.setprofile(None)

    # by columns and by the parts that the model takes, not by rows
    assert len(calls) <= 250, calls


def test_a_column_that_is_usually_there_is_missed_in_each_row(parcels: Served) -> None:
    predictor = parcels.require_predictor()
    times = pa.array([dt.datetime(2014, 1, 2)] * 3)

    scored = predictor.predict_rows(TableRows(pa.table({"sent_at": times, "carrier": ["UA"] * 3}), predictor.plan))

    assert scored.warnings() == [["pieces is missing, as in 0.0% of the rows of training"]] * 3


def test_time_and_words_have_a_bound(parcels: Served, parcel: dict[str, Any]) -> None:
    predictor = parcels.require_predictor()
    rows = ListRows([{**parcel, "pieces": None}] * 100, predictor)

    with pytest.raises(OutOfTimeError):
        predictor.predict_rows(rows, deadline=0.0)
    with pytest.raises(WordyError, match="more than 1000 bytes"):
        predictor.predict_rows(rows, most_bytes=1000)


def test_features_of_a_history_are_those_of_records(served: Served, record: dict[str, Any]) -> None:
    predictor = served.require_predictor()
    records = [{**record, "tailnum": f"N{number % 4}", "origin": None} for number in range(50)]

    scored = predictor.predict_rows(ListRows(records, predictor))

    expected = predictor.predict(records)
    assert scored.scores.tolist() == expected.scores
    assert scored.warnings() == expected.warnings
    records[40]["distance"] = "far"
    with pytest.raises(InvalidRecords) as raised:
        predictor.predict_rows(ListRows(records, predictor))
    assert [(problem.record, problem.field) for problem in raised.value.problems] == [(40, "distance")]
    spoilt = [records[40], *records[:2]] + [records[0]] * ROWS + [records[40]]
    with pytest.raises(InvalidRecords) as raised:
        predictor.predict_rows(ListRows(spoilt, predictor))
    assert [problem.record for problem in raised.value.problems] == [0, len(spoilt) - 1]
