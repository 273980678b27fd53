"""Windows: equal to a plain loop to the last bit, whatever else is asked and however the work is done."""

import math
import statistics
from datetime import datetime, timedelta
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.base.sql import DataError
from ml.windows.window import Aggregation, AtCutoff, Window, check_range, scale_of, windows

START = datetime(2024, 1, 1)
SCALES = {"x": 2, "y": 0}
ALL = [
    Window(f"{aggregation} {column} {seconds}", aggregation, column, seconds)
    for aggregation in get_args(Aggregation)
    for column in ([None] if aggregation in ("count", "time_since_last") else ["x", "y"])
    for seconds in (60, 3600, None)
]

MINUTES = st.integers(0, 180).map(lambda minute: START + timedelta(minutes=minute))
KEYS = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, None]))
EVENTS = st.lists(
    st.tuples(KEYS, st.none() | MINUTES, st.none() | st.integers(-(2**40), 2**40), st.none() | st.integers(0, 3)),
    max_size=30,
)
ROWS = st.lists(st.tuples(KEYS, MINUTES), min_size=1, max_size=8)


def event_table(events: list[Any]) -> pa.Table:
    schema = {
        "_row": pa.string(),
        "a": pa.string(),
        "b": pa.int64(),
        "at": pa.timestamp("us"),
        "x": pa.int64(),
        "y": pa.int64(),
    }
    rows = [(f"{number:03}", *keys, at, x, y) for number, (keys, at, x, y) in enumerate(events)]
    return pa.table({name: pa.array([row[i] for row in rows], kind) for i, (name, kind) in enumerate(schema.items())})


def row_table(rows: list[Any]) -> pa.Table:
    schema = {"a": pa.string(), "b": pa.int64(), "cutoff": pa.timestamp("us")}
    flat = [(*keys, cutoff) for keys, cutoff in rows]
    return pa.table({name: pa.array([row[i] for row in flat], kind) for i, (name, kind) in enumerate(schema.items())})


def plain(events: list[Any], keys: Any, cutoff: datetime, window: Window, at_cutoff: AtCutoff) -> float | None:
    start = cutoff - timedelta(seconds=window.seconds) if window.seconds is not None else datetime.min
    inside = [
        (at, number, x, y)
        for number, (event_keys, at, x, y) in enumerate(events)
        if None not in keys and event_keys == keys and at is not None
        and start <= at and (at < cutoff or (at == cutoff and at_cutoff == "included"))
    ]  # fmt: skip
    inside.sort(key=lambda event: event[:2])
    if window.aggregation == "count":
        return len(inside)
    if window.aggregation == "time_since_last":
        return (cutoff - inside[-1][0]).total_seconds() if inside else None
    column, k = {"x": 2, "y": 3}[str(window.column)], 10 ** SCALES[str(window.column)]
    ordered = [event[column] for event in inside]
    values = [value for value in ordered if value is not None]
    n, total = len(values), sum(values)
    match window.aggregation:
        case "sum":
            return total / k
        case "mean":
            return total / (n * k) if n else None
        case "std":
            return (
                math.sqrt(as_double(n * sum(v * v for v in values) - total * total) / (n * (n - 1))) / k
                if n > 1
                else None
            )
        case "min" | "max":
            return {"min": min, "max": max}[window.aggregation](values) / k if n else None
        case "median":
            return statistics.median(values) / k if n else None
        case "num_unique":
            return len(set(values)) if inside else None
        case "first" | "last":
            value = ordered[0 if window.aggregation == "first" else -1] if ordered else None
            return None if value is None else value / k
    raise AssertionError(window)


def as_double(number: int) -> float:
    """As DuckDB makes a double of 128 bits."""
    return float(number) if number < 2**63 else float(number % 2**64) + float(number >> 64) * 2.0**64


@pytest.mark.slow
@pytest.mark.parametrize("at_cutoff", get_args(AtCutoff))
@settings(max_examples=40, deadline=None)
@given(events=EVENTS, rows=ROWS)
def test_every_aggregate_equals_a_plain_loop(at_cutoff: AtCutoff, events: list[Any], rows: list[Any]) -> None:
    computed = windows(event_table(events), row_table(rows), ["a", "b"], "at", SCALES, ALL, at_cutoff)

    for row, values in zip(rows, computed.to_pylist(), strict=True):
        assert values == {window.name: plain(events, *row, window, at_cutoff) for window in ALL}


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(events=EVENTS, rows=ROWS, data=st.data())
def test_a_value_depends_on_its_own_events_alone(events: list[Any], rows: list[Any], data: st.DataObject) -> None:
    together = windows(event_table(events), row_table(rows), ["a", "b"], "at", SCALES, ALL, threads=1)
    cutoff = rows[0][1]
    past = [event for event in events if event[1] is not None and event[1] < cutoff]
    later = data.draw(st.lists(st.tuples(KEYS, MINUTES.filter(lambda at: at >= cutoff), st.integers(0, 9), st.just(1))))

    alone = windows(event_table([*past, *later]), row_table(rows[:1]), ["a", "b"], "at", SCALES, ALL, threads=2)

    assert alone.to_pylist() == together.to_pylist()[:1]


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(events=EVENTS, rows=ROWS)
def test_keys_may_be_worked_on_a_few_at_a_time(events: list[Any], rows: list[Any]) -> None:
    together = windows(event_table(events), row_table(rows), ["a", "b"], "at", SCALES, ALL)

    with pytest.MonkeyPatch.context() as few:
        few.setattr("ml.windows.window._AT_ONCE", 3)
        assert windows(event_table(events), row_table(rows), ["a", "b"], "at", SCALES, ALL).equals(together)


def test_one_value_can_be_asked_without_the_others() -> None:
    events, rows = (
        [(("a", 1), START, 5, 1), (("a", 1), START + timedelta(minutes=1), 7, None)],
        [(("a", 1), START + timedelta(hours=1))],
    )

    for window in ALL:
        computed = windows(event_table(events), row_table(rows), ["a", "b"], "at", SCALES, [window])
        assert computed.to_pylist() == [{window.name: plain(events, *rows[0], window, "excluded")}]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 2], 0),
        ([0.5, None], 1),
        ([12.34, -0.01], 2),
        ([1e12, 3.0], 0),
        ([1 / 3], 9),
        ([1e6 / 3], 6),
        ([], 0),
        ([True, None], 0),
        ([1e-12, 3e-13], 18),
        ([0.01 / 3], 11),
        ([float("inf"), 0.5], 1),
        ([2**60], 0),
    ],
)
def test_a_scale_is_as_small_as_it_can_be(values: list[Any], scale: int) -> None:
    assert scale_of(pa.chunked_array([values], type=None if values else pa.float64())) == scale


def test_a_value_that_cannot_be_added_up_exactly_is_named() -> None:
    with pytest.raises(
        DataError, match=r"table 't', column 'x': 2.2e\+10 is too large to be added up exactly with 2 decimal"
    ):
        check_range("table 't'", pa.table({"x": [1, 22_000_000_000, None]}), {"x": 2})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([float("inf")], "inf is too large"),
        ([-(2**60), None], "1.15292e\\+18 is too large"),
        ([1e-18, 0.0], "its largest number, 1e-18, is too small for 18 decimal digits"),
    ],
)
def test_values_that_no_scale_fits_are_named(values: list[Any], words: str) -> None:
    table = pa.table({"x": values})
    with pytest.raises(DataError, match=rf"table 't', column 'x': {words}.*ignore"):
        check_range("table 't'", table, {"x": scale_of(table["x"])})
    check_range("table 't'", pa.table({"x": [1e-12, None]}), {"x": 18})
    check_range("table 't'", pa.table({"x": [True, None]}), {"x": 0})
    check_range("table 't'", pa.table({"x": pa.nulls(2, pa.float64())}), {"x": 0})
