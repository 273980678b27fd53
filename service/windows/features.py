"""Windows: the features that aggregate the events of a key before the cutoff of a record."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain

from service.plan.document import Plan
from service.plan.parts import WindowFeature, WindowLookup
from service.records.keys import Key
from service.records.notices import notice
from service.records.reader import SECOND_US, Record
from service.windows.aggregates import Aggregate, aggregate_of
from service.windows.indexed import Indexed


@dataclass(frozen=True)
class _Block:
    """The features of one lookup, by the length of their window in microseconds; None: all of the history."""

    name: str
    key: Key
    bisect: Callable[..., int]
    windows: list[tuple[int | None, list[Aggregate]]]
    positions: list[int]


class Windows:
    """The window features of a model; `positions` says where each value belongs among the model's inputs."""

    def __init__(self, plan: Plan, features: Mapping[int, WindowFeature]) -> None:
        used = sorted({feature.lookup for feature in features.values()})
        self._blocks = [_block(name, plan, {i: f for i, f in features.items() if f.lookup == name}) for name in used]
        self.positions = list(chain.from_iterable(block.positions for block in self._blocks))

    def values(self, record: Record, state: Mapping[str, Indexed], warnings: list[str]) -> list[float]:
        """Return a float64 for each of `positions`, missing NaN; add to `warnings` what the caller should know."""
        values: list[float] = []
        cutoff_us = record.cutoff_us
        for block in self._blocks:
            indexed = state[block.name]
            key = block.key.of(record)
            events = None if key is None else indexed.find(key)
            if key is None:
                text = f"{block.name}: no history, for {block.key.absent(record)}"
                warnings.append(notice("missing_key", block.name, [], text))
            elif events is None:
                of_key = f" for {block.key.text(record)}" if block.key.on else ""
                warnings.append(notice("unseen_key", block.name, block.key.on, f"{block.name}: no history{of_key}"))
            series, first, last = events or (indexed.series, 0, 0)
            stop = block.bisect(series.times, cutoff_us, first, last)
            for window_us, aggregates in block.windows:
                reached = first if window_us is None else bisect_left(series.times, cutoff_us - window_us, first, stop)
                values += [aggregate(series, reached, stop, cutoff_us) for aggregate in aggregates]
        return values


def _block(name: str, plan: Plan, features: Mapping[int, WindowFeature]) -> _Block:
    lookup = plan.lookups[name]
    assert isinstance(lookup, WindowLookup)  # the plan's own check
    by_window: dict[int | None, list[tuple[int, Aggregate]]] = {}
    for position, feature in features.items():
        window_us = None if feature.window_s is None else round(feature.window_s * SECOND_US)
        scale = 0 if feature.column is None else lookup.scales[feature.column]
        by_window.setdefault(window_us, []).append((position, aggregate_of(feature, scale)))
    return _Block(
        name,
        Key(lookup.on),
        bisect_right if lookup.at_cutoff == "included" else bisect_left,
        [(window_us, [aggregate for _, aggregate in placed]) for window_us, placed in by_window.items()],
        [position for placed in by_window.values() for position, _ in placed],
    )
