"""Events of many keys on one line, in order of time within each key, and how many of them lie before a moment."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.keys import alike

Integers = npt.NDArray[np.int64]


def numbered(events: pa.Table, rows: pa.Table, keys: Sequence[str]) -> tuple[Integers, Integers]:
    """Return a number from 0 for the keys of each event and each row; -1 where one is missing.

    Equal keys have the same number.
    """
    numbers = np.zeros(len(events) + len(rows), np.int64)
    for key in keys:
        of_events, of_rows = alike(events[key], rows[key])
        encoded = pa.chunked_array([*of_events.chunks, *of_rows.chunks], of_events.type).dictionary_encode()
        codes = pc.fill_null(pa.chunked_array([chunk.indices for chunk in encoded.chunks], pa.int32()), -1).to_numpy()
        pairs = numbers * (int(codes.max(initial=0)) + 1) + codes
        together = pa.array(pairs).dictionary_encode().indices.to_numpy().astype(np.int64)
        numbers = np.where((numbers < 0) | (codes < 0), -1, together)
    return numbers[: len(events)], numbers[len(events) :]


class Line:
    """Places for pairs of key and moment: those of one key in order of time, one key after the other.

    `keys` (from 0) and `times` are those of the events [n_events].
    """

    def __init__(self, keys: Integers, times: Integers) -> None:
        self.first = int(times.min(initial=2**62))
        self.length = max(int(times.max(initial=0)) - self.first, 0) + 2
        self.times: Integers | None = None
        if (int(keys.max(initial=0)) + 1) * self.length >= 2**62:  # too long for microseconds: number the times
            self.times = np.unique(times)
            self.length = len(self.times) + 1
        places = self._places(keys, times)
        self.order = np.argsort(places)
        self.places = places[self.order]

    def before(self, keys: Integers, moments: Integers) -> Integers:
        """Count the events before each moment of its key, with all those of the keys before; no key is -1.

        It is quick where keys and moments are nearly in order.
        """
        return np.searchsorted(self.places, self._places(keys, moments))

    def ranks(self, keys: Integers, moments: Integers) -> Integers:
        """Return the order of some moments on the line."""
        return np.argsort(self._places(keys, moments))

    def _places(self, keys: Integers, moments: Integers) -> Integers:
        if self.times is None:
            along = np.clip(moments, self.first, self.first + self.length - 1) - self.first
        else:
            along = np.searchsorted(self.times, moments)
        return keys * self.length + along

    def settled(self, name: Callable[[Integers], pa.ChunkedArray]) -> Integers:
        """Return the order of the places once events at one place go by their names.

        `name` gives the names of the events at some places.
        """
        again = self.places[1:] == self.places[:-1]
        tied = np.flatnonzero(np.append(again, False) | np.append(False, again)) if len(again) else np.arange(0)
        order = np.arange(len(self.places))
        table = pa.table({"place": self.places[tied], "name": name(tied)})
        order[tied] = tied[pc.sort_indices(table, [("place", "ascending"), ("name", "ascending")]).to_numpy()]
        return order
