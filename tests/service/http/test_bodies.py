from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.bodies import BodyError, decode, to_batch, to_rows
from service.records.reader import InvalidRecords

MOST = 5  # records of a request
JSON_LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text()


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
        b"[" * 100_000,
        b'\xef\xbb\xbf{"x": 1}',
        '{"x": 1}'.encode("utf-16"),
        b"\x1f\x8b\x08",
        b'{"x": NaN',
        b"x=1",
    ],
)
def test_what_is_not_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BodyError, match="not JSON") as raised:
        decode(body)

    assert raised.value.status == 400


@pytest.mark.parametrize("text", [b"\xff", b"U\xe2\x82", b"\xc0\x80", b"\xed\xa0\x80", b"\\ud800"])
def test_a_text_that_is_not_utf_8_is_named_by_its_place(text: bytes) -> None:
    with pytest.raises(BodyError, match=r"not UTF-8 at \$\.records\[1\]\.carrier: ") as raised:
        decode(b'{"records": [{"x": 1}, {"carrier": "' + text + b'"}]}')

    assert raised.value.status == 400
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "body",
    [
        b'{"x": 1, "x": 2}',
        b'{"x": 1, "x": 1}',
        b'{"x" : "a:b", "x":"c"}',
        b'{"records": [{"x": 1}, {"x": 1, "x": 2}]}',
        b'{"records": [{"y": 1}], "x": [1], "x": [2]}',
        b'{"x": {"x": 1, "x": 2}}',
        b'{"y": "\\u003a", "x": 1, "x": 2}',
    ],
)
def test_a_key_that_is_there_twice_is_named(body: bytes) -> None:
    with pytest.raises(BodyError, match="the key 'x' is 2 times in one object") as raised:
        decode(body)

    assert raised.value.status == 400


@given(st.recursive(JSON_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_all_other_json_is_decoded_as_it_is(value: Any) -> None:
    assert decode(json.dumps(value, ensure_ascii=False).encode()) == value
    assert decode(json.dumps(value).encode()) == value


def test_one_object_is_one_record() -> None:
    batch = to_batch({"x": 1}, {"x": "number"}, MOST)

    assert batch.single
    assert batch.records == [{"x": 1}]


def test_a_list_under_records_is_a_batch() -> None:
    batch = to_batch({"records": [{"x": 1}]}, {"x": "number"}, MOST)

    assert not batch.single
    assert batch.records == [{"x": 1}]


def test_a_column_may_be_called_records() -> None:
    assert to_batch({"records": 3}, {"records": "number"}, MOST).single
    assert not to_batch({"records": [{"records": 3}]}, {"records": "number"}, MOST).single


@pytest.mark.parametrize("body", [{"records": []}, {"records": 3}, {"records": None}, {"records": [1], "extra": 1}])
def test_a_malformed_batch_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(InvalidRecords):
        to_batch(body, {"x": "number"}, MOST)


@pytest.mark.parametrize("body", [[], 3, "x", None])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    with pytest.raises(BodyError) as raised:
        to_batch(body, {}, MOST)

    assert raised.value.status == 422


def test_too_many_records_are_refused() -> None:
    with pytest.raises(BodyError, match="at most 5") as raised:
        to_batch({"records": [{}] * (MOST + 1)}, {}, MOST)

    assert raised.value.status == 413


def test_events_are_rows_of_a_table() -> None:
    assert to_rows({"table": "flights", "rows": [{"x": 1}]}, MOST) == ("flights", [{"x": 1}])


@pytest.mark.parametrize("body", [{"table": "t"}, {"table": "t", "rows": []}, {"table": "t", "rows": [1], "x": 1}])
def test_malformed_events_are_refused(body: dict[str, object]) -> None:
    with pytest.raises(InvalidRecords):
        to_rows(body, MOST)


@pytest.mark.parametrize("body", [[], {"rows": [{}]}, {"table": "t", "rows": [{}] * (MOST + 1)}])
def test_events_without_a_table_and_too_many_are_refused(body: object) -> None:
    with pytest.raises(BodyError, match=r"table|at most 5"):
        to_rows(body, MOST)
