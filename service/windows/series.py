"""Series: events in the order of their times, with exact running sums, so that any window is summed in two reads."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.windows.sums import Sums, continued

Numbers = NDArray[np.int64]
Cells = tuple[Numbers, NDArray[np.bool_]]  # the values of a column, and a mask of those that are not missing


@dataclass(frozen=True)
class Event:
    """One event: its time in microseconds, the text that names it, and a value or None for each column."""

    time_us: int
    row: str
    values: Mapping[str, int | None]

    @property
    def order(self) -> tuple[int, str]:
        """The sort key of events: time, then name."""
        return self.time_us, self.row


@dataclass(frozen=True)
class Totals:
    """The running sums that a column needs."""

    sums: bool = False
    squares: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """The values of some events that are not null: their number before each event, themselves, and their sums."""

    counts: array[int]
    values: array[int]
    sums: Sums | None
    squares: Sums | None

    @classmethod
    def empty(cls, totals: Totals) -> Column:
        """Return the column of no event."""
        return cls(
            array("q", [0]),
            array("q"),
            Sums.empty() if totals.sums else None,
            Sums.empty() if totals.squares else None,
        )

    def value(self, at: int) -> int | None:
        """Return the value of one event."""
        first, last = self.counts[at : at + 2]
        return self.values[first] if last > first else None

    def cells(self, start: int, stop: int) -> Cells:
        """Return the values of the events from `start` up to, and without, `stop`."""
        valid = np.diff(np.frombuffer(self.counts, np.int64)[start : stop + 1]).astype(bool)
        values = np.zeros(len(valid), np.int64)
        values[valid] = np.frombuffer(self.values, np.int64)[self.counts[start] : self.counts[stop]]
        return values, valid

    def continue_from(self, at: int, cells: Cells) -> Column:
        """Return the column of the first `at` events, then of events with these `cells`."""
        values, valid = cells
        before, values = self.counts[at], values[valid]
        return Column(
            continued(self.counts, at + 1, _pack(before + np.cumsum(valid))),
            continued(self.values, before, _pack(values)),
            None if self.sums is None else self.sums.continue_from(before, values),
            None if self.squares is None else self.squares.continue_from(before, values, squared=True),
        )

    def append(self, at: int, value: int | None) -> Column:
        """Return the column of the first `at` events, then of one more."""
        before = self.counts[at]
        counts = continued(self.counts, at + 1, array("q", [before + (value is not None)]))
        if value is None:
            return Column(counts, self.values, self.sums, self.squares)
        return Column(
            counts,
            continued(self.values, before, array("q", [value])),
            None if self.sums is None else self.sums.append(before, value),
            None if self.squares is None else self.squares.append(before, value * value),
        )

    def part(self, start: int, stop: int) -> Column:
        """Return the column of some of the events."""
        first, last = self.counts[start], self.counts[stop]
        return Column(
            _pack(np.frombuffer(self.counts, np.int64)[start : stop + 1] - first),
            self.values[first:last],
            None if self.sums is None else self.sums.part(first, last),
            None if self.squares is None else self.squares.part(first, last),
        )


@dataclass(frozen=True, slots=True)
class Series:
    """Events sorted by time, then name; never changed, so that what reads one needs no lock.

    `rows` are the places of the events' names among `names`, a list that only grows; there are none where no events
    may be put in or taken out. What others have added at the end may stand in the same arrays, beyond `length`.
    """

    times: array[int]
    rows: array[int]
    columns: Mapping[str, Column]
    length: int
    names: list[str]

    def __len__(self) -> int:
        return self.length

    @classmethod
    def empty(cls, totals: Mapping[str, Totals], names: list[str] | None = None) -> Series:
        """Return the series of no event, of the columns in `totals`."""
        columns = {name: Column.empty(needed) for name, needed in totals.items()}
        return cls(array("q"), array("q"), columns, 0, [] if names is None else names)

    def continue_from(self, at: int, times: Numbers, rows: Numbers, cells: Mapping[str, Cells]) -> Series:
        """Return the first `at` events, then the given ones, which are sorted and come after them."""
        return Series(
            continued(self.times, at, _pack(times)),
            continued(self.rows, at, _pack(rows)),
            {name: column.continue_from(at, cells[name]) for name, column in self.columns.items()},
            at + len(times),
            self.names,
        )

    def part(self, start: int, stop: int) -> Series:
        """Return some of the events."""
        columns = {name: column.part(start, stop) for name, column in self.columns.items()}
        return Series(self.times[start:stop], self.rows[start:stop], columns, stop - start, self.names)

    def name(self, at: int) -> str:
        """Return the name of an event."""
        return self.names[self.rows[at]]

    def position(self, event: tuple[int, str], start: int = 0) -> int:
        """Return where an event of this time and name stands, or would, at `start` or later."""
        last = len(self) - 1
        if last < 0 or event > (self.times[last], self.name(last)):
            return len(self)
        return bisect_left(range(len(self)), event, start, key=lambda i: (self.times[i], self.name(i)))

    def edit(self, removed: Sequence[tuple[int, str]], added: Sequence[Event]) -> Series:
        """Return these events without the `removed`, which are among them, and with the `added`.

        These very ones where nothing of it makes a difference.
        """
        places = {event: self.position(event) for event in removed}
        same = {event.order for event in added if self._has(event, places.get(event.order))}
        added = sorted((event for event in added if event.order not in same), key=lambda event: event.order)
        out = sorted(place for event, place in places.items() if event not in same)
        if not added and not out:
            return self
        into: list[int] = []
        for event in added:
            into.append(self.position(event.order, into[-1] if into else 0))
        if not out and into == [len(self)]:
            return self._append(added[0])
        at = min([*out[:1], *into[:1]])
        edit = _Edit.of(at, out, into)
        return self.continue_from(
            at,
            edit.apply(np.array(self.times[at : len(self)], np.int64), [event.time_us for event in added]),
            edit.apply(np.array(self.rows[at : len(self)], np.int64), self._name(added)),
            {
                name: edit.apply_to_cells(column.cells(at, len(self)), name, added)
                for name, column in self.columns.items()
            },
        )

    def _append(self, event: Event) -> Series:
        """Return these events and then one more, as most of them come; NumPy would take ten times as long."""
        at, (row,) = len(self), self._name([event])
        return Series(
            continued(self.times, at, array("q", [event.time_us])),
            continued(self.rows, at, array("q", [row])),
            {name: column.append(at, event.values[name]) for name, column in self.columns.items()},
            at + 1,
            self.names,
        )

    def _name(self, events: Sequence[Event]) -> list[int]:
        """Return the places where the names of some events stand from now on."""
        first = len(self.names)
        self.names.extend(event.row for event in events)
        return list(range(first, len(self.names)))

    def _has(self, event: Event, place: int | None) -> bool:
        """Check that the event at a place has the values of another."""
        if place is None:
            return False
        return all(column.value(place) == event.values[name] for name, column in self.columns.items())


@dataclass(frozen=True)
class _Edit:
    """Positions to take out, and where, once they are out, something is put in; both sorted."""

    out: Numbers
    into: Numbers

    @classmethod
    def of(cls, at: int, out: Sequence[int], into: Sequence[int]) -> _Edit:
        """Make the edit of what is left from `at` on; all positions are those before anything is taken out."""
        taken, put = np.array(out, np.int64), np.array(into, np.int64)
        return cls(taken - at, put - at - np.searchsorted(taken, put))

    def apply(self, values: NDArray[Any], new: Sequence[Any]) -> NDArray[Any]:
        added = np.array(new, values.dtype)
        # most events come after all others, and then nothing of what is there is touched
        return np.insert(np.delete(values, self.out), self.into, added) if len(values) else added

    def apply_to_cells(self, cells: Cells, name: str, added: Sequence[Event]) -> Cells:
        values = [event.values[name] for event in added]
        return self.apply(cells[0], [v or 0 for v in values]), self.apply(cells[1], [v is not None for v in values])


def _pack(values: Numbers) -> array[int]:
    """Pack integers in an array whose items Python reads as integers, several times as fast as NumPy's."""
    return array("q", np.ascontiguousarray(values, np.int64).tobytes())
