"""Latest lookups: of a key the row that had happened last of those that were known at a cutoff."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.plan.parts import LatestLookup
from service.records.keys import time_text
from service.records.layered import layered
from service.records.reader import MICROSECOND, SECOND_US, Record
from service.tables.files import microseconds, spans_of
from service.tables.table import Match, Row, SentRow, Table

Numbers = NDArray[np.int64]
Spans = Mapping[Any, tuple[int, int]]


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
    """What was sent of one key: its rows, sorted by when they became known, and the places that they took.

    `shown` are those entries that were the latest at some time, if none of the bundle was later: the rows that were
    sent, and those of the bundle that a row which is gone had hidden.
    """

    sent: Sequence[Entry] = ()
    gone: frozenset[int] = frozenset()
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

    def find(self, key: Any, identity: Sequence[tuple[str, int]]) -> list[int]:
        """Find the places of the rows of a key with some times, of which each is `known` or `happened`."""
        start, stop = self.all.get(key, (0, 0))
        for column, time in identity:
            if column == "known":
                first, last = np.searchsorted(self.known[start:stop], [time, time + 1]).tolist()
                start, stop = start + first, start + last
        places = np.arange(start, stop)
        for column, time in identity:
            if column == "happened":
                places = places[self.happened[start:stop] == time]
        found: list[int] = places.tolist()
        return found

    def hidden_by(self, key: Any, gone: Set[int]) -> list[Entry]:
        """Return the rows of a key that were never the latest, and would have been at some time without those gone."""
        if isinstance(self.places, range) or not gone:
            return []
        left = np.setdiff1d(np.arange(*self.all[key]), list(gone))
        shown = left[latest_of(self.happened[left])]
        first, last = self.spans[key]
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
            return self.table.no_row("unseen_key", f"no row for {self.table.key.text(record)}")
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
            return self._none_yet(record)
        latest = max(found, key=_lateness)
        if self._valid_for_us is not None and latest.known < record.cutoff_us - self._valid_for_us:
            return self._too_old(record, latest.known, self._valid_for_us)
        return latest.row, None

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
        sent, gone, replaced = list(line.sent), set(line.gone), list[bool]()
        for row in rows:
            known, happened = row[self._time], row[self._happened]
            times = {"known": known, "happened": happened}
            identity = [(name, times[name]) for name in self._named_by]
            stored = set(self._past.find(key, identity)) - gone
            earlier = _position(sent, identity)
            if earlier is not None:
                del sent[earlier]
            replaced.append(bool(stored) or earlier is not None)
            gone |= stored
            if known is not None:
                insort(sent, Entry(known, happened, self.table.sent_row(row)), key=_order)
        return Line(sent, frozenset(gone), self._shown(key, sent, gone)), replaced

    def _shown(self, key: Any, sent: Sequence[Entry], gone: Set[int]) -> Sequence[Entry]:
        if self._happened == self._time:
            return sent
        entries = sorted([*sent, *self._past.hidden_by(key, gone)], key=_order)
        return [entries[place] for place in latest_of(np.array([entry.happened for entry in entries], np.int64))]


def _position(sent: Sequence[Entry], identity: Sequence[tuple[str, int]]) -> int | None:
    """Return where the entry with some times stands among those that were sent; None: nowhere."""
    times = dict(identity)
    first, last = 0, len(sent)
    if "known" in times:
        first = bisect_left(sent, times["known"], key=_known)
        last = bisect_right(sent, times["known"], key=_known)
    for place in range(first, last):
        if times.get("happened", sent[place].happened) == sent[place].happened:
            return place
    return None


def read_past(rows: Any, lookup: LatestLookup, keys: Sequence[Any]) -> Past:
    """Return the past of a lookup's file, whose rows are sorted as `Past` has them."""
    happened = microseconds(rows[lookup.happened]) if isinstance(lookup.happened, str) else None
    return Past(keys, microseconds(rows[lookup.time]), happened)
