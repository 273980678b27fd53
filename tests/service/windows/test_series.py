from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.windows.series import Column, Event, Series, Totals

TOTALS = {"v": Totals(sums=True, squares=True), "w": Totals()}
NAMES = st.integers(0, 30).map(lambda number: f"e{number:02}")
VALUES = st.none() | st.integers(-5, 5)
EVENTS = st.builds(
    lambda time, name, v, w: Event(time, name, {"v": v, "w": w}), st.integers(0, 6), NAMES, VALUES, VALUES
)
UNIQUE = st.lists(EVENTS, max_size=12, unique_by=lambda event: event.row)


def series_of(events: list[Event]) -> Series:
    return Series.empty(TOTALS).edit([], events)


def events_in(series: Series) -> list[tuple[int, str, int | None, int | None]]:
    cells = {name: column.cells(0, len(series)) for name, column in series.columns.items()}
    columns = [
        [value if there else None for value, there in zip(*map(np.ndarray.tolist, cells[name]), strict=True)]
        for name in TOTALS
    ]
    part = series.part(0, len(series))
    return list(zip(part.times, map(part.name, range(len(part))), *columns, strict=True))


def rows_of(events: list[Event]) -> list[tuple[int, str, int | None, int | None]]:
    return [(e.time_us, e.row, e.values["v"], e.values["w"]) for e in sorted(events, key=lambda event: event.order)]


@given(UNIQUE, st.data())
def test_an_edited_series_is_that_of_the_events_that_are_left(events: list[Event], data: st.DataObject) -> None:
    removed = data.draw(st.lists(st.sampled_from(events), unique_by=lambda event: event.row) if events else st.just([]))
    names = {event.row for event in events}
    added = [event for event in data.draw(UNIQUE) if event.row not in names]
    left = [event for event in events if event not in removed]
    before = series_of(events)

    after = before.edit([event.order for event in removed], added)

    assert events_in(before) == rows_of(events)
    assert events_in(after) == rows_of(left + added)
    assert after.part(0, len(after)).columns == series_of(left + added).columns


@given(UNIQUE, st.integers(0, 12), st.integers(0, 12))
def test_a_part_has_the_events_and_sums_of_its_range(events: list[Event], start: int, length: int) -> None:
    series = series_of(events)
    start = min(start, len(series))
    stop = min(start + length, len(series))

    part = series.part(start, stop)

    assert events_in(part) == events_in(series)[start:stop]
    sums, squares = part.columns["v"].sums, part.columns["v"].squares
    assert sums is not None
    assert squares is not None
    values = [event[2] for event in events_in(part) if event[2] is not None]
    assert (sums.between(0, len(values)), squares.between(0, len(values))) == (sum(values), sum(v * v for v in values))


def test_a_column_holds_the_sums_that_are_needed_and_no_others() -> None:
    column = Column.empty(Totals(sums=True))

    assert column.sums is not None
    assert column.squares is None


def test_the_position_of_an_event_is_where_it_stands_or_would() -> None:
    series = series_of([Event(1, "a", {"v": 1, "w": None}), Event(1, "c", {"v": 2, "w": None})])

    assert [series.position((1, name)) for name in "abcd"] == [0, 1, 1, 2]
    assert series_of([]).position((0, "a")) == 0


@given(UNIQUE, UNIQUE)
def test_a_series_grows_though_others_look_at_it(events: list[Event], more: list[Event]) -> None:
    names = {event.row for event in events}
    more = [Event(9, event.row, event.values) for event in more if event.row not in names]
    before = series = series_of(events)
    looks = []
    for event in more:
        looks.append(np.frombuffer(series.times, np.int64))  # as an answer to many records does, in its thread
        series = series.edit([], [event])

    assert events_in(series) == rows_of(events + more)
    assert events_in(before) == rows_of(events)
