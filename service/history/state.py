"""Histories: events of window lookups and rows of other tables, in one state that changes as a whole."""

from __future__ import annotations

import datetime as dt
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
from service.tables.files import microseconds
from service.tables.lookup_files import LookupFile
from service.tables.lookups import Finder
from service.tables.sent import Sent
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
    """A state in which some arrivals count, not yet seen by anyone, and the events in it that were there before.

    `files` say where events are in it.
    """

    state: State
    files: Mapping[str, EventFile]
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
        self._made_of = plan, features, folder, lookups or {}
        self._accepting = {view.file for table in plan.events.values() for view in table.views}
        self._tables: dict[str, SentTable] = {}
        if plan.synthesis is not None and _synthesizes(features):
            for name, table in plan.synthesis.tables.items():
                if table.file in self._accepting:
                    self._tables[table.file] = SentTable(name, table)
        self._lookups = _lookup_files(plan, lookups or {})
        self._origin: Change | None = self.load({})
        self._last = self._origin
        self.state = self._origin.state
        self.targets: Mapping[str, Target] = {**self._origin.files, **self._tables, **self._lookups}

    def load(self, sent: Mapping[str, Sent]) -> Change:
        """Return the state of the bundle's files with many rows that were sent, by file, whatever has been committed.

        It takes about as long as to load files that hold them. Raises an error of Arrow's where they cannot hold them.
        """
        plan, features, folder, lookups = self._made_of
        files: dict[str, EventFile] = {}
        windows: dict[str, Indexed] = {}
        tables: dict[str, Rows] = {}
        for reader in _readers(plan, features, folder, sent):
            windows |= reader.index(named=reader.path.name in self._accepting)
            if reader.path.name in self._accepting:
                files[reader.path.name] = reader.event_file()
        if plan.synthesis is not None and _synthesizes(features):
            reach = Reach(plan.synthesis)
            for name, table in plan.synthesis.tables.items():
                tables[name] = load_rows(table, reach.columns(name), folder / table.file, sent.get(table.file))
        used = {plan.lookups[name].file for name in [*windows, *lookups]}
        used.update(plan.synthesis.tables[name].file for name in tables if plan.synthesis is not None)
        heard = {source.file: heard_of(source, folder) for source in plan.sources if source.file in used}
        for file in heard.keys() & sent.keys():
            heard[file] = heard[file].with_times(_times(sent[file], heard[file].source.time))
        return Change(State(windows, tables, lookups, heard), files, set())

    def refusal(self, now: dt.datetime) -> str | None:
        """Return why nobody should be answered at a time, which has a zone: nothing of a source was heard too long."""
        return next(filter(None, (heard.refusal(now) for heard in self.state.heard.values())), None)

    def change(self, arrivals: Sequence[Arrivals], last: Change | None = None) -> Change:
        """Return the state with some arrivals: each replaces the event of its name, or takes it out.

        `last` is what they come after; None: what was committed last.
        """
        last = last or self._last
        windows, tables, files = dict(last.state.windows), dict(last.state.tables), dict(last.files)
        lookups, heard, replaced = dict(last.state.lookups), dict(last.state.heard), set[str]()
        for sent in arrivals:
            if sent.file in heard:
                heard[sent.file] = heard[sent.file].hear(sent.events)
            if file := files.get(sent.file):
                replaced |= {name for name in sent.events if name in file.places}
                for name in file.lookups:
                    windows[name] = windows[name].edit(file.edits(name, sent.events))
                files[sent.file] = file.moved(sent.events)
            elif lookup := self._lookups.get(sent.file):
                names, rows = _kept(sent)
                lookups[lookup.lookup], were_there = lookups[lookup.lookup].edit(rows)
                replaced |= set(compress(names, were_there))
            else:
                name = self._tables[sent.file].table
                tables[name], earlier = tables[name].edit(sent.events)
                replaced |= earlier
        return Change(State(windows, tables, lookups, heard), files, replaced)

    def commit(self, change: Change) -> None:
        """Show a change to whoever asks from now on; no other may have come between."""
        self._last, self.state = change, change.state

    def origin(self) -> Change:
        """Return the state of the bundle's files alone."""
        if self._origin is None:
            self._origin = self.load({})
        return self._origin

    def forget_origin(self) -> None:
        """Give back the memory of the bundle's own state, where another one was loaded: it takes as much again."""
        self._origin = None


def _times(sent: Sent, column: str) -> dict[str, int | None]:
    """Return the times of rows that were sent, by their names; of those that have some."""
    times = sent.table[column]
    has_one = times.is_valid()
    names = sent.named.filter(has_one).to_pylist()
    return dict(zip(names, microseconds(times.filter(has_one)).tolist(), strict=True))


def _synthesizes(features: Iterable[Feature]) -> bool:
    return any(isinstance(feature, SynthesisFeature) for feature in features)


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


def _readers(plan: Plan, features: Iterable[Feature], folder: Path, sent: Mapping[str, Sent]) -> Iterator[FileReader]:
    """Yield readers of the files of the window lookups that features use."""
    needed = _totals(feature for feature in features if isinstance(feature, WindowFeature))
    used = {name: lookup for name, lookup in plan.lookups.items() if name in needed}
    for file, names in groupby(sorted(used, key=lambda name: (used[name].file, name)), lambda name: used[name].file):
        lookups = {name: lookup for name in names if isinstance(lookup := used[name], WindowLookup)}
        yield FileReader(folder / file, lookups, needed, plan, sent.get(file))


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
