from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from service.plan import CALENDAR, BundleError, read_plan


def read(plan: dict[str, Any]) -> Any:
    return read_plan(json.dumps(plan).encode())


def test_a_plan_is_read_whole(plan: dict[str, Any]) -> None:
    read_back = read(plan)

    assert [feature.name for feature in read_back.features] == [feature["name"] for feature in plan["features"]]
    assert read_back.history_start == dt.date(2014, 1, 1)


def test_a_plan_may_have_no_time_and_no_lookups() -> None:
    plan: dict[str, Any] = {"use_case": "u", "record": {"x": "number"}, "required": [], "cutoff": None, "features": []}

    assert read(plan).history_start is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("surprise",), 1, "surprise"),
        (("features", 0, "kind"), "novel", "novel"),
        (("record", "carrier"), "category", "category"),
        (("required",), ["scheduled_departure", "when"], "required: 'when' is not a column"),
        (("required",), [], "'scheduled_departure' is not among the required columns"),
        (("cutoff", "column"), "carrier", "'carrier' is not a column of type time"),
        (("cutoff",), None, "lookup 'weather': it needs a cutoff"),
        (("features", 0, "column"), "airline", "the record has no column 'airline'"),
        (("features", 0, "column"), "scheduled_departure", "a time cannot be a feature"),
        (("features", 3, "primitive"), "fortnight", "'fortnight' is none of"),
        (("features", 3, "column"), "carrier", "column 'carrier' is not a time"),
        (("features", 4, "lookup"), "trains", "there is no lookup 'trains'"),
        (("lookups", "planes", "on"), ["tail"], "the record has no columns ['tail']"),
        (("lookups", "planes", "keys"), ["a", "b"], "cannot be matched"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(
    plan: dict[str, Any], path: tuple[Any, ...], value: Any, message: str
) -> None:
    *parents, last = path
    target: Any = plan
    for key in parents:
        target = target[key]
    target[last] = value

    with pytest.raises(BundleError) as raised:
        read(plan)

    assert message in str(raised.value)


def test_all_contradictions_are_reported_together(plan: dict[str, Any]) -> None:
    plan["features"][0]["column"] = "airline"
    plan["lookups"]["planes"]["on"] = ["tail"]

    with pytest.raises(BundleError, match=r"(?s)'airline'.*'tail'"):
        read(plan)


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
