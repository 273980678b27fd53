"""Latest lookups: of a key the row that had happened last of those that were known at a cutoff."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.plan.parts import LatestLookup
from service.records.keys import time_text
from service.records.layered import Layered, layered
from service.records.reader import MICROSECOND, SECOND_US, Record
from service.tables.files import microseconds, spans_of
from service.tables.table import Match, Row, SentRow, Table

Numbers = NDArray[np.int64]
Spans = Mapping[Any, tuple[int, int]]
Name = tuple[tuple[str, int], ...]  # of a row among those of its key: when it became `known`, or `happened`


class Entry(NamedTuple):
    """A row, or its place in the table, by when it became known and when it happened, in microseconds since 1970."""

    known: int
    happened: int
    row: int | SentRow


_known: Callable[[Entry], int] = attrgetter("known")
_order: Callable[[Entry], tuple[int, int]] = attrgetter("known", "happened")
_lateness: Callable[[Entry], tuple[int, int]] = attrgetter("happened", "known")


@dataclass(frozen=True, slots=True)
class Line:
    """The rows of one key that were sent, sorted by when they became known, with the moments of each, by its name.

    `gone` are the places that they took, and `hidden` the rows of the bundle that those had hidden. `shown` are all
    that were the latest at some time, if none of the bundle was later.
    """

    sent: Sequence[Entry] = ()
    moments: Layered[Name, tuple[int, int]] = field(default_factory=Layered.of)
    gone: frozenset[int] = frozenset()
    hidden: Sequence[Entry] = ()
    shown: Sequence[Entry] = ()


class Past:
    """The rows of the bundle, sorted by key, then by when they became known and happened.

    `times` and `places` are of those that are the latest of their key at some time, and `spans` their ranges.
    """

    def __init__(self, keys: Sequence[Any], known: Numbers, happened: Numbers | None) -> None:
        self.known, self.happened = known, known if happened is None else happened
        self.all = spans_of(keys)
        self.places: Sequence[int] = range(len(known))
        self.times, self.spans = array("q", known.tobytes()), self.all
        if happened is not None:
            parts = [start + latest_of(happened[start:stop]) for start, stop in self.all.values()]
            places = np.concatenate([np.empty(0, np.int64), *parts])
            self.places, self.times = array("q", places.tobytes()), array("q", known[places].tobytes())
            starts = np.cumsum([0, *map(len, parts)]).tolist()
            self.spans = dict(zip(self.all, pairwise(starts), strict=True))

    def entry(self, place: int) -> Entry:
        """Return the row at a place of the table."""
        return Entry(int(self.known[place]), int(self.happened[place]), place)

    def find(self, key: Any, name: Name) -> list[int]:
        """Find the places of the rows of a key that have a name."""
        start, stop = self.all.get(key, (0, 0))
        for moment, time in name:
            if moment == "known":
                first, last = np.searchsorted(self.known[start:stop], [time, time + 1]).tolist()
                start, stop = start + first, start + last
        places = np.arange(start, stop)
        for moment, time in name:
            if moment == "happened":
                places = places[self.happened[start:stop] == time]
        found: list[int] = places.tolist()
        return found

    def hidden_by(self, key: Any, gone: Set[int]) -> list[Entry]:
        """Return the rows of a key that were never the latest, and would have been at some time without those gone."""
        (start, stop), (first, last) = self.all[key], self.spans[key]
        if stop - start == last - first:
            return []  # no row hides another
        is_left = np.ones(stop - start, bool)
        is_left[np.array(list(gone), np.int64) - start] = False
        left = start + np.flatnonzero(is_left)
        shown = left[latest_of(self.happened[left])]
        return [self.entry(place) for place in np.setdiff1d(shown, self.places[first:last]).tolist()]


def latest_of(happened: Numbers) -> Numbers:
    """Return the places of the rows of a key, in the order in which they became known, that were then the latest."""
    return np.flatnonzero(happened >= np.maximum.accumulate(happened))


class LatestFinder:
    """The last row of a key at or before the cutoff, within its validity; never changed.

    Rows that are sent are named by their lookup's key and those of its times that are among the table's `names`.
    """

    def __init__(self, table: Table, lookup: LatestLookup, past: Past, names: Sequence[str] = ()) -> None:
        self.table = table
        self._past = past
        self._lines: Mapping[Any, Line] = {}  # of keys of which rows were sent
        self._time = lookup.time
        self._happened = lookup.happened if isinstance(lookup.happened, str) else lookup.time
        times = {"known": self._time} | ({"happened": self._happened} if self._happened != self._time else {})
        self._named_by = [moment for moment, column in times.items() if column in names]
        self._bisect: Callable[..., int] = bisect_right if lookup.at_cutoff == "included" else bisect_left
        self._valid_for_us = None if lookup.valid_for_s is None else round(lookup.valid_for_s * SECOND_US)

    def find(self, record: Record) -> Match:
        """Find the row for `record`, or MISSING_ROW and, where the caller should know, why."""
        key, past = self.table.key.of(record), self._past
        if key is None:
            return self.table.no_row("missing_key", f"no row, for {self.table.key.absent(record)}")
        span = past.spans.get(key)
        if (line := self._lines.get(key)) is not None:
            return self._find_edited(record, line, span)
        if span is None:
            return self._none(record)
        at = self._bisect(past.times, record.cutoff_us, *span) - 1
        if at < span[0]:
            return self._none_yet(record)
        if self._valid_for_us is not None and past.times[at] < record.cutoff_us - self._valid_for_us:
            return self._too_old(record, past.times[at], self._valid_for_us)
        return past.places[at], None

    def _find_edited(self, record: Record, line: Line, span: tuple[int, int] | None) -> Match:
        found, past = list[Entry](), self._past
        if at := self._bisect(line.shown, record.cutoff_us, key=_known):
            found.append(line.shown[at - 1])
        if span is not None:
            at = self._bisect(past.times, record.cutoff_us, *span) - 1
            while at >= span[0] and past.places[at] in line.gone:
                at -= 1
            if at >= span[0]:
                found.append(past.entry(past.places[at]))
        if not found:
            start, stop = past.all.get(self.table.key.of(record), (0, 0))
            is_known = line.sent or stop - start > len(line.gone)
            return self._none_yet(record) if is_known else self._none(record)
        latest = max(found, key=_lateness)
        if self._valid_for_us is not None and latest.known < record.cutoff_us - self._valid_for_us:
            return self._too_old(record, latest.known, self._valid_for_us)
        return latest.row, None

    def _none(self, record: Record) -> Match:
        return self.table.no_row("unseen_key", f"no row for {self.table.key.text(record)}")

    def _none_yet(self, record: Record) -> Match:
        sought = f"{self.table.key.text(record)} up to the cutoff {time_text(record.cutoff_us)}"
        return self.table.no_row("too_early", f"no row for {sought}")

    def _too_old(self, record: Record, known: int, valid_for_us: int) -> Match:
        return self.table.no_row(
            "too_old",
            f"the latest row for {self.table.key.text(record)} is of {time_text(known)}, "
            f"more than {valid_for_us * MICROSECOND} before the cutoff {time_text(record.cutoff_us)}",
        )

    def edit(self, rows: Sequence[Row]) -> tuple[LatestFinder, list[bool]]:
        """Return the lookup after some rows, and of each of them whether it took the place of another."""
        by_key: dict[Any, list[int]] = {}
        for index, row in enumerate(rows):
            by_key.setdefault(self.table.key_of(row), []).append(index)
        by_key.pop(None, None)  # no record finds it
        lines, replaced = dict[Any, Line](), [False] * len(rows)
        for key, indices in by_key.items():
            lines[key], those = self._edited(key, self._lines.get(key, Line()), [rows[index] for index in indices])
            for index, was_there in zip(indices, those, strict=True):
                replaced[index] = was_there
        edited = copy(self)
        edited._lines = layered(self._lines).change(lines)
        return edited, replaced

    def _edited(self, key: Any, line: Line, rows: Sequence[Row]) -> tuple[Line, list[bool]]:
        sent, gone, moments, replaced = list(line.sent), set(line.gone), dict[Name, Any](), list[bool]()
        for row in rows:
            known, happened = row[self._time], row[self._happened]
            times = {"known": known, "happened": happened}
            name = tuple((moment, times[moment]) for moment in self._named_by)
            stored, earlier = set(self._past.find(key, name)) - gone, line.moments.get(name)
            if earlier is not None:
                del sent[bisect_left(sent, earlier, key=_order)]
            replaced.append(bool(stored) or earlier is not None)
            gone |= stored
            moments[name] = None
            if known is not None:
                moments[name] = known, happened
                insort(sent, Entry(known, happened, self.table.sent_row(row)), key=_order)
        hidden = self._past.hidden_by(key, gone) if len(gone) > len(line.gone) else line.hidden
        shown = sent if self._happened == self._time else _latest(sent, hidden)
        return Line(sent, line.moments.change(moments), frozenset(gone), hidden, shown), replaced


def _latest(sent: Sequence[Entry], hidden: Sequence[Entry]) -> Sequence[Entry]:
    """Return those of some entries that were then the latest, in the order in which they became known."""
    entries = sorted([*sent, *hidden], key=_order) if hidden else sent
    places = latest_of(np.array([entry.happened for entry in entries], np.int64))
    return [entries[place] for place in places.tolist()]


def read_past(rows: Any, lookup: LatestLookup, keys: Sequence[Any]) -> Past:
    """Return the past of a lookup's file, whose rows are sorted as `Past` has them."""
    happened = microseconds(rows[lookup.happened]) if isinstance(lookup.happened, str) else None
    return Past(keys, microseconds(rows[lookup.time]), happened)
