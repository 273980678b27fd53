"""Histories: events of window lookups and rows of other tables, in one state that changes as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, groupby
from pathlib import Path
from typing import Any

from service.history.files import EventFile, FileReader
from service.history.heard import Heard, heard_of
from service.plan.document import BundleError, Plan
from service.plan.parts import Feature, SynthesisFeature, WindowFeature, WindowLookup
from service.synthesis.reach import Reach
from service.synthesis.row_files import SentTable, load_rows
from service.synthesis.rows import Rows
from service.synthesis.views import Target
from service.tables.lookup_files import LookupFile
from service.tables.lookups import Finder
from service.windows.indexed import Indexed
from service.windows.series import Totals


@dataclass(frozen=True)
class Arrivals:
    """Events sent for one file: of each event's name its columns; None: its query leaves the event out."""

    file: str
    events: Mapping[str, Mapping[str, Any] | None]


@dataclass(frozen=True)
class State:
    """The past as it is known at one moment: window lookups, tables of synthesized features, and other lookups.

    `heard` are the times that have been heard of, of each file that has some.
    """

    windows: Mapping[str, Indexed]
    tables: Mapping[str, Rows]
    lookups: Mapping[str, Finder] = field(default_factory=dict)
    heard: Mapping[str, Heard] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A state in which some arrivals count, not yet seen by anyone, and the events in it that were there before."""

    state: State
    arrivals: Sequence[Arrivals]
    replaced: set[str]


class Histories:
    """The past that features use; `state` is replaced as a whole and never changed. `targets` take events, by file.

    `lookups` are those that are there once for each key, or for each key and time.
    """

    def __init__(
        self,
        plan: Plan,
        features: Collection[Feature],
        folder: Path,
        lookups: Mapping[str, Finder] | None = None,
    ) -> None:
        accepting = {view.file for table in plan.events.values() for view in table.views}
        self._files: dict[str, EventFile] = {}
        windows: dict[str, Indexed] = {}
        for reader in _readers(plan, features, folder):
            windows |= reader.index(named=reader.path.name in accepting)
            if reader.path.name in accepting:
                self._files[reader.path.name] = reader.event_file()
        self._tables: dict[str, SentTable] = {}
        tables: dict[str, Rows] = {}
        if plan.synthesis is not None and any(isinstance(feature, SynthesisFeature) for feature in features):
            reach = Reach(plan.synthesis)
            for name, table in plan.synthesis.tables.items():
                tables[name] = load_rows(table, reach.columns(name), folder / table.file)
                if table.file in accepting:
                    self._tables[table.file] = SentTable(name, table)
        self._lookups = _lookup_files(plan, lookups or {})
        self.targets: Mapping[str, Target] = {**self._files, **self._tables, **self._lookups}
        used = {plan.lookups[name].file for name in [*windows, *(lookups or {})]}
        used.update(plan.synthesis.tables[name].file for name in tables if plan.synthesis is not None)
        heard = {source.file: heard_of(source, folder) for source in plan.sources if source.file in used}
        self.state = State(windows, tables, lookups or {}, heard)

    def change(self, arrivals: Sequence[Arrivals]) -> Change:
        """Return the state with some arrivals: each replaces the event of its name, or takes it out."""
        windows, tables, replaced = dict(self.state.windows), dict(self.state.tables), set[str]()
        lookups, heard = dict(self.state.lookups), dict(self.state.heard)
        for sent in arrivals:
            if sent.file in heard:
                heard[sent.file] = heard[sent.file].hear(sent.events.values())
            if file := self._files.get(sent.file):
                replaced |= sent.events.keys() & file.places.keys()
                for name in file.lookups:
                    windows[name] = windows[name].edit(file.edits(name, sent.events))
            elif lookup := self._lookups.get(sent.file):
                names, rows = _kept(sent)
                lookups[lookup.lookup], were_there = lookups[lookup.lookup].edit(rows)
                replaced |= set(compress(names, were_there))
            else:
                name = self._tables[sent.file].table
                tables[name], earlier = tables[name].edit(sent.events)
                replaced |= earlier
        return Change(State(windows, tables, lookups, heard), arrivals, replaced)

    def commit(self, change: Change) -> None:
        """Show a change to whoever asks from now on; no other may have come between."""
        self.state = change.state
        for sent in change.arrivals:
            if file := self._files.get(sent.file):
                file.take(sent.events)


def _lookup_files(plan: Plan, lookups: Mapping[str, Finder]) -> dict[str, LookupFile]:
    """Return the files of lookups that take rows."""
    by_file = {plan.lookups[name].file: name for name in lookups}
    return {
        view.file: LookupFile(by_file[view.file], lookups[by_file[view.file]].table.columns, table.keys)
        for table in plan.events.values()
        for view in table.views
        if view.file in by_file
    }


def _kept(sent: Arrivals) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Return the names and the rows of what was sent to a lookup, whose query must keep all that it is given."""
    rows = [event for event in sent.events.values() if event is not None]
    if len(rows) < len(sent.events):
        raise BundleError("plan.json", [f"the query for {sent.file}, which is that of a lookup, leaves out rows"])
    return list(sent.events), rows


def _readers(plan: Plan, features: Iterable[Feature], folder: Path) -> Iterator[FileReader]:
    """Yield readers of the files of the window lookups that features use."""
    needed = _totals(feature for feature in features if isinstance(feature, WindowFeature))
    used = {name: lookup for name, lookup in plan.lookups.items() if name in needed}
    for file, names in groupby(sorted(used, key=lambda name: (used[name].file, name)), lambda name: used[name].file):
        lookups = {name: lookup for name in names if isinstance(lookup := used[name], WindowLookup)}
        yield FileReader(folder / file, lookups, needed, plan)


def _totals(features: Iterable[WindowFeature]) -> dict[str, dict[str, Totals]]:
    """Return for each lookup the columns that features aggregate, and the running sums that they need."""
    needed: dict[str, dict[str, Totals]] = {}
    for feature in features:
        columns = needed.setdefault(feature.lookup, {})
        if feature.column is not None:
            totals, name = columns.get(feature.column, Totals()), feature.aggregation
            sums, squares = totals.sums or name in ("sum", "mean", "std"), totals.squares or name == "std"
            columns[feature.column] = Totals(sums, squares)
    return needed
