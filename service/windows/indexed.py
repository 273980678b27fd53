"""Indexed events: those of one lookup by key, and how they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.records.layered import Layered
from service.windows.search import Search
from service.windows.series import Event, Series

Events = tuple[Series, int, int]  # a series, and the range in it where the events of a key are


@dataclass(frozen=True)
class Indexed:
    """The events of one lookup by key: those of the bundle, and whole series of the keys that changed since.

    `search` is that of `series`, where there is one.
    """

    series: Series
    spans: Mapping[Any, tuple[int, int]]
    changed: Layered[Any, Series]
    search: Search | None = None

    def find(self, key: Any) -> Events | None:
        """Find the events of `key`; None: it has none."""
        series: Series | None = self.changed.get(key)
        if series is not None:
            return (series, 0, len(series)) if len(series) else None
        span = self.spans.get(key)
        return None if span is None else (self.series, *span)

    def search_of(self, series: Series) -> Search | None:
        """Return the search of a series that `find` returned; None: it has none."""
        return self.search if series is self.series else None

    def edit(self, edits: Mapping[Any, Edits]) -> Indexed:
        """Return the same after some edits of each key."""
        changed = {key: self._series(key).edit(edit.removed, edit.added) for key, edit in edits.items()}
        return replace(self, changed=self.changed.change(changed))

    def _series(self, key: Any) -> Series:
        series: Series | None = self.changed.get(key)
        return self.series.part(*self.spans.get(key, (0, 0))) if series is None else series


@dataclass(frozen=True)
class Edits:
    """Events to take out of a series, by time and name, and events to put in."""

    removed: list[tuple[int, str]]
    added: list[Event]
