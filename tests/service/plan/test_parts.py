from __future__ import annotations

import datetime as dt

import pytest

from service.plan.parts import CALENDAR


@pytest.mark.parametrize(
    ("primitive", "value"),
    [
        ("minute", 45),
        ("hour", 13),
        ("weekday", 6),
        ("is_weekend", 1),
        ("day", 29),
        ("day_of_year", 364),
        ("week", 1),
        ("month", 12),
        ("quarter", 4),
        ("year", 2024),
    ],
)
def test_calendar_parts_count_as_featuretools_does(primitive: str, value: int) -> None:
    time = dt.datetime(2024, 12, 29, 13, 45) if primitive != "week" else dt.datetime(2024, 12, 30)

    assert CALENDAR[primitive](time) == value


def test_every_calendar_part_is_tested() -> None:
    marks = test_calendar_parts_count_as_featuretools_does.pytestmark  # type: ignore[attr-defined]

    assert {primitive for primitive, _ in marks[0].args[1]} == set(CALENDAR)
