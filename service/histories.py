"""Histories: the events of all window lookups, in one state that changes as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from service.event_files import EventFile, FileReader
from service.indexed import Indexed
from service.plan import Plan, WindowFeature, WindowLookup
from service.series import Totals


@dataclass(frozen=True)
class Arrivals:
    """What was sent for one file: of each event's name its columns; None: its query leaves the event out."""

    file: str
    events: Mapping[str, Mapping[str, Any] | None]


@dataclass(frozen=True)
class Change:
    """A state in which some arrivals count, not yet seen by anyone, and the events in it that were there before."""

    state: Mapping[str, Indexed]
    arrivals: Sequence[Arrivals]
    replaced: set[str]


class Histories:
    """All window lookups that features use; `state`, by lookup, is replaced as a whole and never changed."""

    def __init__(self, plan: Plan, features: Iterable[WindowFeature], folder: Path) -> None:
        needed = _needed(features)
        used = {name: lookup for name, lookup in plan.lookups.items() if name in needed}
        accepting = {view.file for table in plan.events.values() for view in table.views}
        self.files: dict[str, EventFile] = {}
        state: dict[str, Indexed] = {}
        for file, names in groupby(sorted(used, key=lambda name: (used[name].file, name)), lambda n: used[n].file):
            lookups = {name: lookup for name in names if isinstance(lookup := used[name], WindowLookup)}
            read = FileReader(folder / file, lookups, needed, plan)
            state |= read.indexed(named=file in accepting)
            if file in accepting:
                self.files[file] = read.event_file()
        self.state: Mapping[str, Indexed] = state

    def change(self, arrivals: Sequence[Arrivals]) -> Change:
        """The state with some arrivals: each replaces the event of its name, or takes it out."""
        state, replaced = dict(self.state), set[str]()
        for sent in arrivals:
            file = self.files[sent.file]
            replaced |= sent.events.keys() & file.places.keys()
            for name in file.lookups:
                state[name] = state[name].edited(file.edits(name, sent.events))
        return Change(state, arrivals, replaced)

    def commit(self, change: Change) -> None:
        """Shows a change to whoever asks from now on; no other may have come between."""
        self.state = change.state
        for sent in change.arrivals:
            file = self.files[sent.file]
            for row, event in sent.events.items():
                if event is None:
                    file.places.pop(row, None)
                else:
                    file.places[row] = tuple(event[column] for column in file.kinds)


def _needed(features: Iterable[WindowFeature]) -> dict[str, dict[str, Totals]]:
    """For each lookup the columns that features aggregate, and what must be kept of them."""
    needed: dict[str, dict[str, Totals]] = {}
    for feature in features:
        columns = needed.setdefault(feature.lookup, {})
        if feature.column is not None:
            had, name = columns.get(feature.column, Totals()), feature.aggregation
            columns[feature.column] = Totals(had.sums or name in ("sum", "mean", "std"), had.squares or name == "std")
    return needed
