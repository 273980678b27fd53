from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from service.plan.document import BundleError, read_plan
from service.plan.parts import CALENDAR
from tests.service.conftest import PLAN


def read(plan: dict[str, Any]) -> Any:
    return read_plan(json.dumps(plan).encode())


def test_a_plan_is_read_whole(plan: dict[str, Any]) -> None:
    read_back = read(plan)

    assert [feature.name for feature in read_back.features] == [feature["name"] for feature in plan["features"]]


def test_the_first_cutoff_is_the_one_that_the_longest_window_allows(plan: dict[str, Any]) -> None:
    longer = {**plan["features"][-1], "name": "longer", "window_s": 2 * 86400}
    plan["features"] += [longer, {**longer, "name": "all", "window_s": None}]

    assert read(plan).first_cutoff == dt.datetime(2014, 1, 3)


def test_a_plan_may_have_no_time_and_no_lookups() -> None:
    plan: dict[str, Any] = {"use_case": "u", "record": {"x": "number"}, "required": [], "cutoff": None, "features": []}

    assert read(plan).first_cutoff is None


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
        (("features", 7, "lookup"), "trains", "there is no lookup 'trains'"),
        (("features", 7, "lookup"), "weather", "of kind 'window', and lookup 'weather' of kind 'latest'"),
        (("features", 4, "lookup"), "origin", "of kind 'lookup', and lookup 'origin' of kind 'window'"),
        (("features", 7, "aggregation"), "mode", "'mode' is none of ['count', 'first', 'last'"),
        (("features", 7, "aggregation"), "sum", "'sum' needs a column"),
        (("features", 7, "column"), "delay", "'count' takes no column"),
        (("features", 7, "column"), "fare", "'fare' is none of those with a scale, ['delay']"),
        (("features", 7, "window_s"), 0, "a window of 0.0 s is not above 0"),
        (("features", 7, "window_s"), 1e11, "s is not above 0 and up to"),
        (("lookups", "origin", "at_cutoff"), "perhaps", "perhaps"),
        (("lookups", "origin", "scales"), {"delay": 19}, "the scales {'delay': 19} are not from 0 to 18"),
        (("lookups", "origin", "scales"), {"delay": 0.5}, "int"),
        (("lookups", "origin", "since"), "2014-01-01T00:00:00Z", "has an offset"),
        (("events", "flights", "key"), "number", "the key 'number' is not a column of type text or number"),
        (("events", "flights", "key"), "departed_at", "the key 'departed_at' is not a column of type text or number"),
        (("events", "flights", "views", 0, "file"), "trains.parquet", "['trains.parquet'] are files of no window"),
        (("events", "copy"), PLAN["events"]["flights"], "2 queries make 'flights.parquet'; only one can"),
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
