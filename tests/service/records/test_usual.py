from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.records.usual import Usual, UsualColumn

RECORD: Any = {"miles": "number", "stops": "number", "jet": "flag", "carrier": "text", "t": "time", "empty": "number"}
USUAL = Usual(
    RECORD,
    {
        "miles": UsualColumn(0.0, 17.5, 4983.0),
        "stops": UsualColumn(0.3, 0.0, 2.0),
        "jet": UsualColumn(0.0, 0.0, 1.0),
        "carrier": UsualColumn(0.004),
        "empty": UsualColumn(1.0),
        "gone": UsualColumn(0.0, 1.0, 2.0),
    },
)
ROW = {"miles": 500, "stops": 1.5, "jet": True, "carrier": "UA"}


@pytest.mark.parametrize(
    ("changed", "warnings"),
    [
        ({}, []),
        ({"miles": 17.5, "stops": None, "empty": 1e30, "t": "2014-01-02"}, []),
        ({"miles": 4983}, []),
        ({"miles": -500}, ["miles -500 is less than all of training; the least was 17.5"]),
        ({"miles": 17}, ["miles 17 is less than all of training; the least was 17.5"]),
        ({"miles": 1e30}, ["miles 1e+30 is more than all of training; the most was 4983"]),
        ({"miles": 10**30, "stops": 3}, ["miles", "stops"]),
        ({"miles": None}, ["miles is missing, as in 0.0% of the rows of training"]),
        ({"carrier": None, "jet": None}, ["jet is missing", "carrier is missing, as in 0.4%"]),
    ],
)
def test_what_training_had_not_is_warned_of(changed: dict[str, Any], warnings: list[str]) -> None:
    texts = USUAL.warnings(ROW | changed)

    assert len(texts) == len(warnings)
    for text, expected in zip(texts, warnings, strict=True):
        assert text.startswith(expected)


def test_a_record_of_nothing_is_warned_of_by_each_column_that_is_hardly_ever_missing() -> None:
    assert [text.partition(" ")[0] for text in USUAL.warnings({})] == ["miles", "jet", "carrier"]


def test_a_model_that_says_nothing_of_its_training_warns_of_nothing() -> None:
    assert Usual(RECORD, {}).warnings({"miles": -500}) == []


@given(
    st.floats(allow_nan=False, width=32),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_number_is_usual_exactly_within_its_range(value: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    usual = Usual({"x": "number"}, {"x": UsualColumn(0.0, low, high)})

    for number in (value, int(value) if abs(value) < 1e300 else 0):
        assert (usual.warnings({"x": number}) == []) == (low <= number <= high)
