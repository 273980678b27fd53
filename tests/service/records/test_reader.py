from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.plan.document import Plan
from service.plan.reading import read_plan
from service.records.reader import PARSERS, InvalidRecords, Problem, RecordReader, RowReader, record_schema, to_us


@pytest.fixture
def read(plan: dict[str, Any]) -> RecordReader:
    return RecordReader(read_plan(json.dumps(plan).encode()))


def problem_of(reader: RecordReader, record: Any) -> Any:
    with pytest.raises(InvalidRecords) as raised:
        reader.read([record])
    (problem,) = raised.value.problems
    return problem


def test_a_record_is_parsed_and_its_cutoff_is_before_its_time(read: RecordReader, record: dict[str, Any]) -> None:
    (parsed,) = read.read([record])

    assert parsed.values["distance"] == 500.0
    assert parsed.values["charter"] == 0.0
    time = parsed.values["scheduled_departure"]
    assert parsed.cutoff_us == to_us(time) - 7_200_000_000  # type: ignore[arg-type]


def test_columns_may_be_missing_or_null(read: RecordReader) -> None:
    (parsed,) = read.read([{"scheduled_departure": "2014-01-03", "carrier": None}])

    assert parsed.values["carrier"] is None
    assert parsed.values["distance"] is None


@pytest.mark.parametrize(
    ("field", "value", "error", "allowed"),
    [
        ("carrier", 7, "not a text", "a string"),
        ("carrier", ["UA"], "not a text", "a string"),
        ("distance", "500", "not a number", "a finite number"),
        ("distance", True, "not a number", "a finite number"),
        ("distance", float("nan"), "not a finite number", "3.4e38"),
        ("distance", float("-inf"), "not a finite number", "3.4e38"),
        ("distance", 1e39, "not a finite number", "3.4e38"),
        ("distance", 10**400, "not a finite number", "3.4e38"),
        ("charter", 1, "not a flag", "true, false"),
        ("scheduled_departure", "tomorrow", "not a time", "ISO 8601"),
        ("scheduled_departure", "2014-13-01T00:00", "not a time", "ISO 8601"),
        ("scheduled_departure", "2014-01-15T08:30\0", "not a time", "ISO 8601"),
        ("scheduled_departure", 1388655000, "not a time", "ISO 8601"),
        ("scheduled_departure", "2014-01-02T10:30:00Z", "drop the offset", "without an offset"),
        ("scheduled_departure", "2014-01-02T10:30:00+02:00", "drop the offset", "without an offset"),
        ("scheduled_departure", None, "required", "type time"),
        (
            "scheduled_departure",
            "2014-01-02T01:59:59",
            "history, which serves cutoffs from 2014-01-02T00:00:00",
            "2014-01-02T02:00:00 or later",
        ),
    ],
)
def test_a_bad_value_is_refused_with_its_field_and_what_would_do(
    read: RecordReader, record: dict[str, Any], field: str, value: Any, error: str, allowed: str
) -> None:
    record[field] = value

    problem = problem_of(read, record)

    assert problem.field == field
    assert error in problem.error
    assert allowed in problem.allowed
    json.dumps(problem.given, allow_nan=False)


def test_the_first_moment_of_the_history_is_served(read: RecordReader, record: dict[str, Any]) -> None:
    record["scheduled_departure"] = "2014-01-02T02:00:00"

    assert read.read([record])


def test_unknown_columns_are_listed_sorted_with_the_allowed_ones(read: RecordReader, record: dict[str, Any]) -> None:
    problem = problem_of(read, {**record, "zeal": 1, "air_time": 2})

    assert problem.error == "unknown columns"
    assert problem.given == ["air_time", "zeal"]
    assert problem.allowed == sorted(read.plan.record)


def test_a_record_that_is_no_object_is_refused(read: RecordReader) -> None:
    assert problem_of(read, [1]).allowed == "an object"


def test_all_problems_come_together_sorted_by_record_and_field(read: RecordReader, record: dict[str, Any]) -> None:
    records = [{**record, "origin": 1, "distance": "x"}, record, {"carrier": 2}]

    with pytest.raises(InvalidRecords) as raised:
        read.read(records)

    assert [(p.record, p.field) for p in raised.value.problems] == [
        (0, "distance"),
        (0, "origin"),
        (2, "carrier"),
        (2, "scheduled_departure"),
    ]


def test_a_long_value_is_repeated_short(read: RecordReader, record: dict[str, Any]) -> None:
    record["distance"] = "9" * 10_000

    assert len(problem_of(read, record).given) < 200


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.datetimes().map(str)
NAMES = st.sampled_from(["scheduled_departure", "carrier", "distance", "charter"]) | st.text(max_size=5)
READER = RecordReader(
    Plan(
        use_case="u",
        record={"scheduled_departure": "time", "carrier": "text", "distance": "number", "charter": "flag"},
        required=["scheduled_departure"],
        features=[],
    )
)


@given(st.lists(VALUES | st.dictionaries(NAMES, VALUES, max_size=5), max_size=3))
def test_whatever_is_sent_is_read_or_refused_with_an_answer_that_can_be_encoded(records: list[Any]) -> None:
    problems = []
    try:
        read = READER.read(records)
    except InvalidRecords as error:
        problems = error.problems

    assert problems or len(read) == len(records)
    msgspec.json.encode(problems)


def test_the_schema_names_types_required_columns_and_an_example(read: RecordReader, record: dict[str, Any]) -> None:
    schema = record_schema(read.plan, record)

    assert schema["properties"]["scheduled_departure"]["type"] == "string"
    assert schema["properties"]["carrier"]["type"] == ["string", "null"]
    assert schema["required"] == ["scheduled_departure"]
    assert schema["additionalProperties"] is False
    assert schema["examples"] == [record]


JSON_VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers().map(lambda number: number * 10**30),
    st.floats(),
    st.text(),
    st.sampled_from(["2014-01-03", "2014-01-03T10:00:00", "2014-01-03T10:00:00Z", "\ud800"]),
    st.just([]),
    st.just({}),
)


@pytest.mark.parametrize("kind", sorted(PARSERS))
@given(value=JSON_VALUES)
def test_a_value_is_taken_if_the_parser_of_its_type_takes_it(kind: Any, value: Any) -> None:
    problems = list[Problem]()

    row = RowReader({"x": kind}, []).values({"x": value}, 0, problems)

    try:
        expected = PARSERS[kind](value)
    except ValueError:
        assert [(problem.record, problem.field) for problem in problems] == [(0, "x")]
    else:
        assert problems == []
        assert (row["x"], type(row["x"])) == (expected, type(expected))
