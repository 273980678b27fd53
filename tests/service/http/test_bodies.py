from __future__ import annotations

import sys

import pytest

from service.http.bodies import MAX_RECORDS, BodyError, decode, to_batch, to_rows
from service.records.reader import InvalidRecords


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 400, "1" * 10_000])
def test_a_number_that_no_float_holds_is_kept_to_be_named(literal: str) -> None:
    value = decode(f'{{"x": {literal}}}'.encode())

    assert not abs(value["x"]) <= sys.float_info.max


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'x': 1}",
        b'{"x": 1} 2',
        b"\xff",
        b'{"x": "\\ud800"}',
        b"[" * 100_000,
        b'{"x": NaN',
        b"x=1",
    ],
)
def test_what_is_not_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BodyError, match="not JSON") as raised:
        decode(body)

    assert raised.value.status == 400


def test_one_object_is_one_record() -> None:
    batch = to_batch({"x": 1}, {"x": "number"})

    assert batch.single
    assert batch.records == [{"x": 1}]


def test_a_list_under_records_is_a_batch() -> None:
    batch = to_batch({"records": [{"x": 1}]}, {"x": "number"})

    assert not batch.single
    assert batch.records == [{"x": 1}]


def test_a_column_may_be_called_records() -> None:
    assert to_batch({"records": 3}, {"records": "number"}).single
    assert not to_batch({"records": [{"records": 3}]}, {"records": "number"}).single


@pytest.mark.parametrize("body", [{"records": []}, {"records": 3}, {"records": None}, {"records": [1], "extra": 1}])
def test_a_malformed_batch_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(InvalidRecords):
        to_batch(body, {"x": "number"})


@pytest.mark.parametrize("body", [[], 3, "x", None])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    with pytest.raises(BodyError) as raised:
        to_batch(body, {})

    assert raised.value.status == 422


def test_too_many_records_are_refused() -> None:
    with pytest.raises(BodyError, match="at most 10000") as raised:
        to_batch({"records": [{}] * (MAX_RECORDS + 1)}, {})

    assert raised.value.status == 413


def test_events_are_rows_of_a_table() -> None:
    assert to_rows({"table": "flights", "rows": [{"x": 1}]}) == ("flights", [{"x": 1}])


@pytest.mark.parametrize("body", [{"table": "t"}, {"table": "t", "rows": []}, {"table": "t", "rows": [1], "x": 1}])
def test_malformed_events_are_refused(body: dict[str, object]) -> None:
    with pytest.raises(InvalidRecords):
        to_rows(body)


@pytest.mark.parametrize("body", [[], {"rows": [{}]}, {"table": "t", "rows": [{}] * (MAX_RECORDS + 1)}])
def test_events_without_a_table_and_too_many_are_refused(body: object) -> None:
    with pytest.raises(BodyError, match=r"table|at most 10000"):
        to_rows(body)
