"""Heard: the times of a source of history that have been heard of, and which silences before a cutoff are unusual."""

from __future__ import annotations

import datetime as dt
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from service.plan.document import BundleError
from service.plan.parts import Source
from service.records.keys import time_text
from service.records.layered import Layered
from service.records.notices import Notice, notice
from service.records.reader import EPOCH, MICROSECOND, SECOND_US, Record, to_us
from service.tables.files import microseconds, read_columns

FEW = 100  # times that are put into their places one by one


@dataclass(frozen=True)
class Heard:
    """The times of one source, in microseconds, as runs in which each comes at most `gap_us` after the one before it.

    Never changed. So few numbers say of any cutoff how long nothing had been heard before it, whatever is heard later,
    and in whatever order. Of rows that were sent the `times` count that they have now, by their names, as whoever reads
    them later hears no others; `sent` are these in their order, and `bundled` the runs without them.
    """

    source: Source
    gap_us: float
    firsts: array[int]
    lasts: array[int]
    bundled: tuple[array[int], array[int]]
    sent: array[int] = field(default_factory=lambda: array("q"))
    times: Layered[str, int] = field(default_factory=Layered.of)

    @classmethod
    def of(cls, source: Source, times: NDArray[np.int64]) -> Heard:
        """Return the runs of some times."""
        gap_s = source.within_s or source.not_ready_after_s
        gap_us = inf if gap_s is None else gap_s * SECOND_US
        runs = list(zip(*_runs(times, gap_us), strict=True)) or [(), ()]
        firsts, lasts = array("q", runs[0]), array("q", runs[1])
        return cls(source, gap_us, firsts, lasts, (firsts, lasts))

    @property
    def newest_seconds(self) -> float | None:
        """The newest time of all as Unix time, by the clock of the source; None: nothing has been heard."""
        if not self.lasts:
            return None
        newest = EPOCH + self.lasts[-1] * MICROSECOND
        return newest.replace(tzinfo=zone_of(self.source)).timestamp()

    @property
    def usual(self) -> tuple[float, float]:
        """The first and the last cutoff of those that come in the last run or soon after it, before which all is usual.

        Others have to be looked at. Where no silence is unusual, there are none.
        """
        if self.source.within_s is None:
            return -inf, inf
        return (self.firsts[-1], self.lasts[-1] + self.gap_us) if self.lasts else (inf, -inf)

    def silence(self, time_us: int) -> float:
        """Return for how many microseconds before a time nothing was heard: 0 in a run, infinite if nothing ever."""
        at = bisect_right(self.firsts, time_us) - 1
        return max(0, time_us - self.lasts[at]) if at >= 0 else inf

    def warning(self, cutoff_us: int) -> Notice | None:
        """Return the warning about a cutoff that comes after an unusual silence; None: it does not."""
        limit_s = self.source.within_s
        if limit_s is None or (silence := self.silence(cutoff_us)) <= limit_s * SECOND_US:
            return None
        cutoff, limit = time_text(cutoff_us), _span(limit_s * SECOND_US)
        text = f"{self._nothing_since(cutoff_us, silence)} before the cutoff {cutoff}; up to {limit} are usual"
        return notice("silent", self.source.table, [], text)

    def refusal(self, now: dt.datetime) -> str | None:
        """Return why nobody should be answered at a time, which has a zone; None: nothing forbids it."""
        limit_s = self.source.not_ready_after_s
        if limit_s is None:
            return None
        now_us = to_us(now.astimezone(zone_of(self.source)).replace(tzinfo=None))
        if (silence := self.silence(now_us)) <= limit_s * SECOND_US:
            return None
        now_there, limit = f"{time_text(now_us)} in {self.source.timezone}", _span(limit_s * SECOND_US)
        return f"{self._nothing_since(now_us, silence)} before now, {now_there}; up to {limit} are allowed"

    def _nothing_since(self, time_us: int, silence: float) -> str:
        about = f"{self.source.table} by {self.source.time}: nothing was heard"
        return about if silence == inf else f"{about} since {time_text(time_us - int(silence))}, {_span(silence)}"

    def hear(self, rows: Mapping[str, Mapping[str, Any] | None]) -> Heard:
        """Return the same with the times of some rows of the source's file, by name; None: one that is gone."""
        return self.with_times({name: None if row is None else row[self.source.time] for name, row in rows.items()})

    def with_times(self, times: Mapping[str, int | None]) -> Heard:
        """Return the same with some times of rows by their names, which take the place of those that these had."""
        earlier = {name: self.times.get(name) for name in times}
        changed = {name: time for name, time in times.items() if time != earlier[name]}
        if not changed:
            return self
        sent, firsts, lasts = self.sent[:], self.firsts[:], self.lasts[:]
        for gone in [time for name in changed if (time := earlier[name]) is not None]:
            del sent[bisect_left(sent, gone)]
            self._forget(gone, sent, firsts, lasts)
        news = np.array([time for time in changed.values() if time is not None], np.int64)
        for first, last in _runs(news, self.gap_us):
            start, stop = bisect_left(lasts, first - self.gap_us), bisect_right(firsts, last + self.gap_us)
            if start < stop:
                first, last = min(first, firsts[start]), max(last, lasts[stop - 1])
            firsts[start:stop], lasts[start:stop] = array("q", [first]), array("q", [last])
        merged = array("q", np.sort(np.append(sent, news)).tobytes()) if len(news) > FEW else _inserted(sent, news)
        return replace(self, firsts=firsts, lasts=lasts, sent=merged, times=self.times.change(changed))

    def _forget(self, time: int, sent: array[int], firsts: array[int], lasts: array[int]) -> None:
        """Take a time that is not sent any more out of its run: of that is left what lies before and after it."""
        bundled_firsts, bundled_lasts = self.bundled
        place, below = bisect_left(sent, time), bisect_right(bundled_firsts, time)
        if time in sent[place : place + 1] or (below and time <= bundled_lasts[below - 1]):
            return  # another row has it, too
        run = bisect_right(firsts, time) - 1
        first, last = firsts[run], lasts[run]
        earlier = [*sent[max(place - 1, 0) : place], *bundled_lasts[max(below - 1, 0) : below]]
        later = [*sent[place : place + 1], *bundled_firsts[below : below + 1]]
        before, after = max(earlier, default=first - 1), min(later, default=last + 1)
        runs = [(first, before)] * (before >= first) + [(after, last)] * (after <= last)
        if len(runs) == 2 and after - before <= self.gap_us:
            return
        firsts[run : run + 1] = array("q", [begin for begin, _ in runs])
        lasts[run : run + 1] = array("q", [end for _, end in runs])


def _inserted(times: array[int], news: NDArray[np.int64]) -> array[int]:
    for time in news.tolist():
        insort(times, time)
    return times


def _runs(times: NDArray[np.int64], gap_us: float) -> Iterable[tuple[int, int]]:
    """Return the runs of some times."""
    times = np.unique(times)
    if not len(times):
        return []
    ends = np.flatnonzero(np.diff(times) > gap_us)
    starts = times[np.append(0, ends + 1)].tolist()
    return zip(starts, times[np.append(ends, len(times) - 1)].tolist(), strict=True)


def _span(us: float) -> str:
    return str(round(us) * MICROSECOND)


def zone_of(source: Source) -> dt.tzinfo:
    """Return the time zone of a source's clock; raises BundleError where its rules are not known here."""
    if source.timezone == "UTC":
        return dt.UTC
    try:
        return ZoneInfo(source.timezone)
    except ZoneInfoNotFoundError:
        unknown = f"the time zone {source.timezone!r} of {source.table!r} is not known here; install tzdata"
        raise BundleError("plan.json", [unknown]) from None


def heard_of(source: Source, folder: Path) -> Heard:
    """Return what a bundle says of a source: the times in its file, and the last one before these."""
    zone_of(source)
    times = microseconds(read_columns(folder / source.file, [source.time])[source.time].drop_null())
    before = [] if source.before is None else [to_us(source.before)]
    return Heard.of(source, np.append(times, np.array(before, np.int64)))


def warn_of_silence(heard: Iterable[Heard], records: Sequence[Record], warnings: Sequence[list[str]]) -> None:
    """Add to the warnings of each record those about unusual silences before its cutoff."""
    for source in heard:
        first, last = source.usual
        for record, texts in zip(records, warnings, strict=True):
            if not first <= record.cutoff_us <= last and (warning := source.warning(record.cutoff_us)) is not None:
                texts.append(warning)
