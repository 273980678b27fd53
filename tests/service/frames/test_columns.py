"""Columns of tables as records, and their answers."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from service.frames import answers
from service.frames.answers import RowsError, answer_schema, answer_table
from service.frames.columns import ColumnsError, match, records_of
from service.frames.pyfunc import answer_frame, table_of
from service.plan.document import Plan, Task
from service.predict.answers import Interval, likeliest, many
from service.predict.predictor import Predictor, load_predictor

PLAN = Plan("case", {"n": "number", "t": "text", "f": "flag", "at": "time"}, ["at"], [])
NOON = dt.datetime(2024, 1, 1, 12, 0, 0, 1)


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        ("n", pa.array([2**60 + 1, None]), [2**60 + 1, None]),
        ("n", pa.array([1.5, float("nan")]), [1.5, None]),
        ("n", pa.array([Decimal("1.50"), None]), [1.5, None]),
        ("n", pa.array([1, 2], pa.uint8()), [1, 2]),
        ("n", pa.nulls(2), [None, None]),
        ("t", pa.array(["a", None]).dictionary_encode(), ["a", None]),
        ("t", pa.array(["a", ""], pa.large_string()), ["a", ""]),
        ("t", pa.array(["a", None], pa.string_view()), ["a", None]),
        ("f", pa.array([True, None]), [True, None]),
        ("at", pa.array([NOON, None]), ["2024-01-01T12:00:00.000001", None]),
        ("at", pa.array([NOON.date(), None]), ["2024-01-01T00:00:00.000000", None]),
        ("at", pa.array([NOON, None], pa.timestamp("ns")), ["2024-01-01T12:00:00.000001", None]),
        ("at", pa.array([-1, -1001], pa.timestamp("ns")), ["1969-12-31T23:59:59.999999", "1969-12-31T23:59:59.999998"]),
        ("at", pa.array(["2024-01-01", None]), ["2024-01-01", None]),
    ],
)
def test_a_column_of_any_fitting_type_is_as_json_has_it(name: str, array: pa.Array, expected: list[Any]) -> None:
    assert [record[name] for record in records_of(pa.table({name: array}), PLAN)] == expected


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("n", pa.array(["1"])),
        ("n", pa.array([True])),
        ("n", pa.array([dt.timedelta(1)])),
        ("t", pa.array([1])),
        ("t", pa.array([b"a"])),
        ("f", pa.array([1])),
        ("f", pa.array(["true"])),
        ("at", pa.array([1])),
        ("at", pa.array([NOON], pa.timestamp("us", "UTC"))),
        ("t", pa.DictionaryArray.from_arrays([0], pa.array([["a"]]))),
        ("t", pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array(["a"])])),
        ("n", pa.RunEndEncodedArray.from_arrays([1], [1.5])),
    ],
)
def test_a_column_of_another_type_is_named_with_it(name: str, array: pa.Array) -> None:
    with pytest.raises(ColumnsError) as error:
        records_of(pa.table({name: array}), PLAN)

    assert f"the column {name!r} holds {array.type}, and the model takes" in str(error.value)


def test_columns_are_matched_in_any_order_and_what_is_beyond_and_absent_is_known() -> None:
    matched = match(["id", "at", "t", "n"], PLAN)

    assert (matched.used, matched.absent, matched.beyond) == (["n", "t", "at"], ["f"], ["id"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["n", "t"], "'at' is required, and not there"),
        (["at", "n", "n"], "'n' is there 2 times"),
        (["AT"], "did you mean it by 'AT'"),
        ([], "'at' is required"),
    ],
)
def test_columns_that_do_not_match_are_refused_with_those_that_there_are(names: list[str], message: str) -> None:
    with pytest.raises(ColumnsError, match="The model of case takes the columns at, f, n, t") as error:
        match(names, PLAN)

    assert message in str(error.value)


def test_without_any_column_a_table_is_refused_only_where_records_have_some() -> None:
    with pytest.raises(ColumnsError, match="it has none of a record's columns"):
        match(["id"], Plan("case", {"n": "number"}, [], []))
    assert match(["id"], Plan("case", {}, [], [])).beyond == ["id"]
    assert records_of(pa.table({"id": [1, 2]}), Plan("case", {}, [], [])) == [{}, {}]


@pytest.fixture
def predictor(write_bundle: Callable[..., Path]) -> Predictor:
    return load_predictor(write_bundle())


def test_answers_do_not_depend_on_the_parts_that_a_table_is_answered_in(
    predictor: Predictor, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.Table.from_pylist([{**record, "distance": distance} for distance in range(7)])
    whole = answer_table(predictor, table)

    monkeypatch.setattr(answers, "ROWS", 2)

    assert answer_table(predictor, table).equals(whole)
    assert answer_table(predictor, table.slice(0, 0)).schema == whole.schema


def test_rows_that_cannot_be_answered_have_their_numbers(
    predictor: Predictor, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "ROWS", 2)
    table = pa.Table.from_pylist([{**record, "distance": distance} for distance in (1.0, 2.0, 3.0, float("inf"))])

    with pytest.raises(RowsError, match="row 3, column 'distance': not a finite number; given: 'inf'"):
        answer_table(predictor, table)


def test_a_frame_keeps_its_index_even_one_that_repeats(predictor: Predictor, record: dict[str, Any]) -> None:
    frame = pd.DataFrame([record] * 3, index=["a", "b", "a"]).astype({"scheduled_departure": "datetime64[ns]"})

    answered = answer_frame(predictor, frame)

    assert list(answered.index) == ["a", "b", "a"]
    assert answered["score"].tolist() == predictor.predict([record] * 3).scores


def test_a_column_of_several_types_is_named() -> None:
    mixed = pd.DataFrame({"n": [1, "a"], "at": ["2024-01-01"] * 2})

    with pytest.raises(ColumnsError, match="the column 'n' cannot be read"):
        table_of(mixed, PLAN)
    with pytest.raises(ColumnsError, match="the column 'n' holds list"):
        records_of(table_of(mixed.assign(n=[[1], [2]]), PLAN), PLAN)
    assert table_of(mixed.rename(columns={"n": "other"}), PLAN).column_names == ["at"]


def test_numbers_have_the_ends_of_the_interval_that_a_request_gets() -> None:
    interval, scores = Interval(0.9, 0.1234567890123), [0.1, -2.7, 1e9]

    columns = answers.answer_arrays(Task("regression"), np.array(scores), (), interval)

    ends = many(Task("regression"), scores, (), interval)["intervals"]
    assert columns["lower"].tolist() == [around["lower"] for around in ends]
    assert columns["upper"].tolist() == [around["upper"] for around in ends]


def test_many_classes_have_the_likeliest_and_the_probability_of_each() -> None:
    task = Task("multiclass", ("a", "b"))

    assert answer_schema(task).names == ["class", "score", "probability_a", "probability_b", "warnings"]
    assert answer_schema(Task("regression")).names == ["score", "warnings"]
    assert answer_schema(Task("regression"), (), Interval(0.9, 1.5)).names == ["score", "lower", "upper", "warnings"]
    assert answer_schema(Task(), [0.5]).names == ["score", "decision", "warnings"]
    columns = answers.answer_arrays(task, np.array([[0.2, 0.8], [0.5, 0.5]]), ())
    listed = {name: column.tolist() for name, column in columns.items()}
    assert (listed["class"], listed["score"], listed["probability_a"]) == (["b", "a"], [0.8, 0.5], [0.2, 0.5])
    assert likeliest(task, [0.5, 0.5]) == "a"
