"""Histories: events of window lookups and rows of synthesized features, in one state that changes as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from service.history.files import EventFile, FileReader
from service.plan.document import Plan
from service.plan.parts import Feature, SynthesisFeature, WindowFeature, WindowLookup
from service.synthesis.reach import Reach
from service.synthesis.row_files import SentTable, load_rows
from service.synthesis.rows import Rows
from service.synthesis.views import Target
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
    """The past as it is known at one moment: window lookups, and the tables of synthesized features."""

    windows: Mapping[str, Indexed]
    tables: Mapping[str, Rows]


@dataclass(frozen=True)
class Change:
    """A state in which some arrivals count, not yet seen by anyone, and the events in it that were there before.

    `files` say where events are in it.
    """

    state: State
    files: Mapping[str, EventFile]
    replaced: set[str]


class Histories:
    """The past that features use; `state` is replaced as a whole and never changed. `targets` take events, by file."""

    def __init__(self, plan: Plan, features: Collection[Feature], folder: Path) -> None:
        self._made_of = plan, features, folder
        self._accepting = {view.file for table in plan.events.values() for view in table.views}
        self._tables: dict[str, SentTable] = {}
        if plan.synthesis is not None and any(isinstance(feature, SynthesisFeature) for feature in features):
            for name, table in plan.synthesis.tables.items():
                if table.file in self._accepting:
                    self._tables[table.file] = SentTable(name, table)
        self._origin: Change | None = self._load({})
        self._last = self._origin
        self.state = self._origin.state
        self.targets: Mapping[str, Target] = {**self._origin.files, **self._tables}

    def _load(self, sent: Mapping[str, Sent]) -> Change:
        """Return the state of the bundle's files with rows that were sent, by file."""
        plan, features, folder = self._made_of
        files: dict[str, EventFile] = {}
        windows: dict[str, Indexed] = {}
        tables: dict[str, Rows] = {}
        for reader in _readers(plan, features, folder, sent):
            windows |= reader.index(named=reader.path.name in self._accepting)
            if reader.path.name in self._accepting:
                files[reader.path.name] = reader.event_file()
        if plan.synthesis is not None and any(isinstance(feature, SynthesisFeature) for feature in features):
            reach = Reach(plan.synthesis)
            for name, table in plan.synthesis.tables.items():
                tables[name] = load_rows(table, reach.columns(name), folder / table.file, sent.get(table.file))
        return Change(State(windows, tables), files, set())

    def restart(self, sent: Mapping[str, Sent]) -> None:
        """Show the bundle's files with many rows that were sent, by file, whatever has been committed since.

        It takes about as long as to load files that hold them. Raises an error of Arrow's, and shows nothing, where
        the files cannot hold them so.
        """
        self._last = self._load(sent)
        self._origin, self.state = None, self._last.state  # which takes the memory of the files twice

    def change(self, arrivals: Sequence[Arrivals], *, anew: bool = False) -> Change:
        """Return the state with some arrivals: each replaces the event of its name, or takes it out.

        `anew`: that of the bundle with them, whatever has been committed since.
        """
        if anew and self._origin is None:
            self._origin = self._load({})
        last = self._origin if anew and self._origin else self._last
        windows, tables, files = dict(last.state.windows), dict(last.state.tables), dict(last.files)
        replaced = set[str]()
        for sent in arrivals:
            if file := files.get(sent.file):
                replaced |= {name for name in sent.events if name in file.places}
                for name in file.lookups:
                    windows[name] = windows[name].edit(file.edits(name, sent.events))
                files[sent.file] = file.moved(sent.events)
            else:
                name = self._tables[sent.file].table
                tables[name], earlier = tables[name].edit(sent.events)
                replaced |= earlier
        return Change(State(windows, tables), files, replaced)

    def commit(self, change: Change) -> None:
        """Show a change to whoever asks from now on; no other may have come between."""
        self._last, self.state = change, change.state


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
