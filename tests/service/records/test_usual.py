from __future__ import annotations

import math
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
        ({"miles": 7000.5, "stops": 3}, []),  # beyond, but by less than half of the range
        ({"miles": 17}, []),
        ({"miles": -500}, ["miles -500 is far from training, where it was from 17.5 to 4983"]),
        (
            {"miles": -0.1, "stops": -1},
            ["miles -0.1 is far", "stops -1 is far from training"],
        ),
        ({"miles": 1e30}, ["miles 1e+30 is far from training"]),
        ({"miles": 10**30, "stops": 4}, ["miles 1000", "stops 4"]),
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


@given(st.floats(allow_nan=False, width=32), st.floats(width=32).filter(math.isfinite), st.floats(width=32))
def test_a_number_is_usual_within_its_range_and_near_it_but_with_no_new_sign(value: float, a: float, b: float) -> None:
    low, high = sorted((a, b if math.isfinite(b) else a))
    usual = Usual({"x": "number"}, {"x": UsualColumn(0.0, low, high)})
    span = high - low

    for number in (value, int(value) if math.isfinite(value) else 0):
        warned = usual.warnings({"x": number}) != []
        if low <= number <= high:
            assert not warned
        elif (number < 0 <= low) or (number > 0 >= high) or not low - span <= number <= high + span:
            assert warned
        elif low - span / 3 <= number <= high + span / 3:
            assert not warned


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (-3.0, -3.0), (-1e308, 1e308), (1e300, 1.7e308)])
def test_any_range_has_an_inside(low: float, high: float) -> None:
    near = UsualColumn(0.0, low, high).near

    assert near is not None
    assert near[0] <= low <= high <= near[1]


CATEGORIES = {"carrier": ["UA", "DL"], "origin": ["JFK"], "gate": ["A1"]}
WITH_CATEGORIES = Usual(
    {"carrier": "text", "origin": "text", "gate": "text"},
    {"carrier": UsualColumn(0.0), "origin": UsualColumn(0.2)},
    CATEGORIES,
)


@pytest.mark.parametrize(
    ("row", "warnings"),
    [
        ({"carrier": "UA", "origin": "JFK", "gate": "A1"}, []),
        ({"carrier": "DL", "origin": None, "gate": None}, []),
        ({"carrier": "DL", "origin": ""}, []),
        ({"carrier": "ua"}, [("new_category", "carrier", "carrier 'ua' is new to the model, which knows 2 others")]),
        ({"carrier": None}, [("missing", "carrier", "carrier is missing, as in 0.0% of the rows of training")]),
        ({"carrier": ""}, [("missing", "carrier", "carrier is missing, as in 0.0% of the rows of training")]),
        (
            {"carrier": "x" * 5000, "gate": "B2"},
            [
                ("new_category", "carrier", f"carrier '{'x' * 100}…' is new to the model, which knows 2 others"),
                ("new_category", "gate", "gate 'B2' is new to the model, which knows 1 others"),
            ],
        ),
    ],
)
def test_a_category_that_training_never_had_is_warned_of(row: dict[str, Any], warnings: list[Any]) -> None:
    found = [(notice.kind, notice.about, str(notice)) for notice in WITH_CATEGORIES.warnings(row)]

    assert sorted(found) == sorted(warnings)


@given(st.text())
def test_any_text_is_one_of_the_categories_or_new(text: str) -> None:
    known = ["", "a", "Ä", "0"]
    usual = Usual({"x": "text"}, {"x": UsualColumn(1.0)}, {"x": known[1:]})

    assert (usual.warnings({"x": text}) == []) == (text in known)
