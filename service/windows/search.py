"""Search: where cutoffs fall among the events of their keys, for many keys and cutoffs at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from service.windows.series import Numbers, Series

_FITS = 2**62


class Search:
    """The times of a series, key after key as one line of numbers, in which NumPy finds many cutoffs at once."""

    def __init__(self, firsts: Numbers, line: Numbers, earliest: int, width: int) -> None:
        self._firsts = firsts  # where the events of each key begin
        self._line = line
        self._earliest, self._width = earliest, width

    @classmethod
    def of(cls, series: Series, spans: Iterable[tuple[int, int]]) -> Search | None:
        """Return the search of a series whose keys have these ranges; None: the line would outgrow 64 bits."""
        firsts = np.array(sorted(first for first, last in spans if last > first), np.int64)
        times = np.frombuffer(series.times, np.int64)
        if not len(firsts):
            return None
        earliest, latest = int(times.min()), int(times.max())
        width = latest - earliest + 3  # one number before the times of a key, and one after
        if len(firsts) * width >= _FITS:
            return None
        codes = np.repeat(np.arange(len(firsts)), np.diff(firsts, append=len(times)))
        return cls(firsts, codes * width + (times - earliest + 1), earliest, width)

    def positions(self, first: Numbers, cutoff_us: Numbers, *, after: bool) -> Numbers:
        """Return for each cutoff where it stands among the events of its key: before those at it, or `after` them.

        `first` is where the events of the key begin; the two are broadcast.
        """
        since = np.clip(cutoff_us - self._earliest + 1, 0, self._width - 1)
        sought = (np.searchsorted(self._firsts, first, "right") - 1) * self._width + since
        return np.searchsorted(self._line, sought, "right" if after else "left")
