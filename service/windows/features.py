"""Windows: the features that aggregate the events of a key before the cutoff of a record."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.plan.document import Plan
from service.plan.parts import WindowFeature, WindowLookup
from service.records.keys import Key
from service.records.notices import notice
from service.records.reader import SECOND_US, Record
from service.windows.aggregates import Aggregate, aggregate_of
from service.windows.indexed import Events, Indexed
from service.windows.search import Search
from service.windows.series import Series
from service.windows.vectors import Positions, Vector, vector_of

FEW = 6  # records with events in one series; of fewer, Python's loop is faster than NumPy


@dataclass(frozen=True)
class _Kind:
    """Features that differ in their windows alone: which these are, where the values belong, and what yields them."""

    windows: list[int]
    places: list[int]
    aggregate: Aggregate
    vector: Vector | None


@dataclass(frozen=True)
class _Block:
    """The features of one lookup, by the length of their window in microseconds; None: all of the history."""

    name: str
    on: tuple[str, ...]
    key: Key
    bisect: Callable[..., int]
    windows: list[tuple[int | None, list[Aggregate]]]
    kinds: list[_Kind]
    positions: list[int]

    def without(self, record: Record, key: Any, indexed: Indexed, warnings: list[str]) -> Events:
        """Return the empty range of a record whose key has no events, and add a warning that says so."""
        if key is None:
            text = f"{self.name}: no history, for {self.key.absent(record)}"
            warnings.append(notice("missing_key", self.name, [], text))
        else:
            of_key = f" for {self.key.text(record)}" if self.key.on else ""
            warnings.append(notice("unseen_key", self.name, self.key.on, f"{self.name}: no history{of_key}"))
        return indexed.series, 0, 0

    def of_one(self, events: Events, cutoff_us: int) -> list[float]:
        """Return the value of each feature, as of a cutoff, over the events of one key."""
        series, first, last = events
        times, values = series.times, list[float]()
        stop = self.bisect(times, cutoff_us, first, last)
        for window_us, aggregates in self.windows:
            start = first if window_us is None else bisect_left(times, cutoff_us - window_us, first, stop)
            for aggregate in aggregates:
                values.append(aggregate(series, start, stop, cutoff_us))
        return values

    def of_many(
        self, series: Series, search: Search | None, ranges: Sequence[Events], cutoffs_us: Sequence[int]
    ) -> NDArray[np.float64]:
        """Return the value of each feature, as of each cutoff, over a range of one series, [ranges, features]."""
        starts, stops = self._searched(search, ranges, cutoffs_us) if search else self._bisected(ranges, cutoffs_us)
        as_of = np.array(cutoffs_us)
        values = np.empty((len(self.positions), len(ranges)))
        for kind in self.kinds:
            vector = kind.vector and kind.vector(series, starts[kind.windows], stops, as_of)
            values[kind.places] = (
                vector
                if vector is not None
                else [
                    [
                        kind.aggregate(series, start, stop, cutoff)
                        for start, stop, cutoff in zip(starts[window].tolist(), stops.tolist(), cutoffs_us, strict=True)
                    ]
                    for window in kind.windows
                ]
            )
        return values.T

    def _searched(
        self, search: Search, ranges: Sequence[Events], cutoffs_us: Sequence[int]
    ) -> tuple[Positions, Positions]:
        """Return where each window begins in each range, [windows, ranges], and where all of them end, [ranges]."""
        first, last = np.array([(first, last) for _, first, last in ranges]).T
        cutoffs = np.array(cutoffs_us)
        stops = np.minimum(search.positions(first, cutoffs, after=self.bisect is bisect_right), last)
        starts = np.broadcast_to(first, (len(self.windows), len(first))).copy()
        if bounded := [number for number, (window_us, _) in enumerate(self.windows) if window_us is not None]:
            lengths = np.array([[self.windows[number][0]] for number in bounded])
            starts[bounded] = np.minimum(search.positions(first, cutoffs - lengths, after=False), stops)
        return starts, stops

    def _bisected(self, ranges: Sequence[Events], cutoffs_us: Sequence[int]) -> tuple[Positions, Positions]:
        """Return the same of a series without a search."""
        of_ranges = [self._range(*asked) for asked in zip(ranges, cutoffs_us, strict=True)]
        return np.array([starts for starts, _ in of_ranges]).T, np.array([stop for _, stop in of_ranges])

    def _range(self, events: Events, cutoff_us: int) -> tuple[list[int], int]:
        """Return where each window begins among the events of a key, and where all of them end."""
        series, first, last = events
        stop = self.bisect(series.times, cutoff_us, first, last)
        return [
            first if window_us is None else bisect_left(series.times, cutoff_us - window_us, first, stop)
            for window_us, _ in self.windows
        ], stop


class Windows:
    """The window features of a model; `positions` says where each value belongs among the model's inputs."""

    def __init__(self, plan: Plan, features: Mapping[int, WindowFeature]) -> None:
        used = sorted({feature.lookup for feature in features.values()})
        self._blocks = [_block(name, plan, {i: f for i, f in features.items() if f.lookup == name}) for name in used]
        self._keys = {block.on: block.key for block in self._blocks}
        self.positions = list(chain.from_iterable(block.positions for block in self._blocks))

    def values(
        self, records: Sequence[Record], state: Mapping[str, Indexed], warnings: Sequence[list[str]]
    ) -> NDArray[np.float64]:
        """Return a value of each record for each of `positions`, missing NaN, [records, positions].

        To the warnings of each record is added what the caller should know.
        """
        if len(records) < FEW:
            return np.array([self._of_one(r, state, texts) for r, texts in zip(records, warnings, strict=True)])
        keys = {on: [key.of(record) for record in records] for on, key in self._keys.items()}
        cutoffs_us = [record.cutoff_us for record in records]
        columns = []
        for block in self._blocks:
            indexed = state[block.name]
            events = [
                indexed.find(key) or block.without(record, key, indexed, texts)
                for record, key, texts in zip(records, keys[block.on], warnings, strict=True)
            ]
            columns.append(_values(block, indexed, events, cutoffs_us))
        return np.concatenate(columns, axis=1)

    def _of_one(self, record: Record, state: Mapping[str, Indexed], warnings: list[str]) -> list[float]:
        keys = {on: key.of(record) for on, key in self._keys.items()}
        values: list[float] = []
        for block in self._blocks:
            indexed, key = state[block.name], keys[block.on]
            events = indexed.find(key) or block.without(record, key, indexed, warnings)
            values += block.of_one(events, record.cutoff_us)
        return values


def _values(
    block: _Block, indexed: Indexed, events: Sequence[Events], cutoffs_us: Sequence[int]
) -> NDArray[np.float64]:
    """Return the value of each feature of a block, [records, features]: of many records of one series at once."""
    members: dict[int, list[int]] = {}
    for index, (series, _, _) in enumerate(events):
        members.setdefault(id(series), []).append(index)
    if list(members) == [id(indexed.series)]:
        return block.of_many(indexed.series, indexed.search, events, cutoffs_us)
    values = np.empty((len(events), len(block.positions)))
    for indices in members.values():
        ranges, cutoffs = [events[index] for index in indices], [cutoffs_us[index] for index in indices]
        if len(indices) < FEW:
            values[indices] = [block.of_one(*asked) for asked in zip(ranges, cutoffs, strict=True)]
        else:
            series = ranges[0][0]
            values[indices] = block.of_many(series, indexed.search_of(series), ranges, cutoffs)
    return values


def _block(name: str, plan: Plan, features: Mapping[int, WindowFeature]) -> _Block:
    lookup = plan.lookups[name]
    assert isinstance(lookup, WindowLookup)  # the plan's own check
    windows: dict[int | None, list[Aggregate]] = {}
    by_window: dict[int | None, list[int]] = {}
    for position, feature in features.items():
        window_us = None if feature.window_s is None else round(feature.window_s * SECOND_US)
        by_window.setdefault(window_us, []).append(position)
    kinds: dict[tuple[str, str | None], _Kind] = {}
    positions = list(chain.from_iterable(by_window.values()))
    for number, (window_us, placed) in enumerate(by_window.items()):
        for position in placed:
            feature = features[position]
            scale = 0 if feature.column is None else lookup.scales[feature.column]
            kind = kinds.setdefault(
                (feature.aggregation, feature.column),
                _Kind([], [], aggregate_of(feature, scale), vector_of(feature, scale)),
            )
            kind.windows.append(number)
            kind.places.append(positions.index(position))
            windows.setdefault(window_us, []).append(kind.aggregate)
    return _Block(
        name,
        tuple(lookup.on),
        Key(lookup.on),
        bisect_right if lookup.at_cutoff == "included" else bisect_left,
        list(windows.items()),
        list(kinds.values()),
        positions,
    )
