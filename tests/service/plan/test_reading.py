from __future__ import annotations

import json
from typing import Any

import pytest

from service.plan.document import BundleError
from service.plan.reading import read_plan
from tests.service.conftest import PLAN


def read(plan: dict[str, Any]) -> Any:
    return read_plan(json.dumps(plan).encode())


def test_a_plan_is_read_whole(plan: dict[str, Any]) -> None:
    read_back = read(plan)

    assert [feature.name for feature in read_back.features] == [feature["name"] for feature in plan["features"]]


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
        (("events", "flights", "key"), "number", "the key 'number' is no column of ['delay', 'departed_at', 'id'"),
        (("events", "flights", "views", 0, "file"), "trains.parquet", "['trains.parquet'] are files of no lookup"),
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
