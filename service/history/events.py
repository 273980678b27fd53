"""Events: rows that become known while the service runs, taken into its histories as a whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from service.history.files import EventFile
from service.history.log import Entry, EventLog, EventLogError
from service.history.state import Arrivals, Change, Histories
from service.plan.document import BundleError, Plan
from service.plan.parts import EventTable
from service.records.deadline import OutOfTimeError, check_time, seconds_left
from service.records.keys import LARGEST_KEY, joined_text, key_text
from service.records.reader import InvalidRecords, Problem, RowReader, Value, excerpt
from service.synthesis.views import Query, connect

logger = logging.getLogger("bentoml.sextant")


@dataclass(frozen=True)
class Accepted:
    """The number of rows taken in, and the number of those that took the place of an earlier one of their key."""

    accepted: int
    replaced: int


class Events:
    """Takes rows into `histories`, and with a log keeps them across restarts; any thread may call it."""

    def __init__(self, plan: Plan, histories: Histories, log: EventLog | None = None) -> None:
        self._histories = histories
        self._log = log
        self._lock = Lock()
        connection = connect() if plan.events else None
        self._tables = {name: _Table(table, histories, connection) for name, table in plan.events.items()}

    def accept(self, table: Any, rows: Sequence[Any], deadline: float | None = None) -> Accepted:
        """Take in rows of a table; raises InvalidRecords, and changes nothing, unless all of them are sound.

        So does OutOfTimeError, where the deadline is over before they are in. Predictions see all of the rows or none.
        A row whose key is there already replaces it, so that to send rows again changes nothing.
        """
        if not isinstance(table, str) or table not in self._tables:
            raise InvalidRecords([Problem(self._no_table(), 0, "table", excerpt(table), sorted(self._tables))])
        with self._turn(deadline):
            change, accepted = self._change(table, rows)
            check_time(deadline)
            if self._log is not None:
                self._log.append(table, rows)
            self._histories.commit(change)
        return accepted

    @contextmanager
    def _turn(self, deadline: float | None) -> Iterator[None]:
        if not self._lock.acquire(timeout=seconds_left(deadline)):
            raise OutOfTimeError
        try:
            yield
        finally:
            self._lock.release()

    def replay(self) -> None:
        """Take in the log; raises EventLogError, which names the line, if one of its rows cannot be.

        It may come from another model: tables and columns that this one does not take are left out.
        """
        if self._log is None or not self._tables:
            return
        entries = self._log.read()
        for name, table in self._tables.items():
            self._replay(name, table, [entry for entry in entries if entry.table == name], self._log.path)
        if others := sorted({entry.table for entry in entries} - self._tables.keys()):
            logger.warning("%s: the model does not use events of %s; left out", self._log.path, others)

    def _replay(self, name: str, table: _Table, entries: Sequence[Entry], path: Path) -> None:
        rows, lines = [], []
        for entry in entries:
            rows += [table.restrict(row) for row in entry.rows]
            lines += [entry.line] * len(entry.rows)
        if not rows:
            return
        with self._lock:
            try:
                change, _ = self._change(name, rows)
            except InvalidRecords as error:
                raise EventLogError(path, lines[error.problems[0].record], str(error.problems[0])) from None
            self._histories.commit(change)

    def _change(self, table: str, rows: Sequence[Any]) -> tuple[Change, Accepted]:
        named, arrivals = self._tables[table].arrivals(rows)
        change = self._histories.change(arrivals)
        return change, Accepted(len(rows), len(rows) - len(named) + len(change.replaced))

    def _no_table(self) -> str:
        if not self._tables:
            return "this model takes no events: none of its features looks at a table's past"
        return "not a table whose events this model takes"


class _Table:
    """A table whose rows may be sent, and the files that they belong to."""

    def __init__(self, table: EventTable, histories: Histories, connection: Any) -> None:
        self._table = table
        self._reader = RowReader(table.record, table.keys)
        # files that none of the model's features use are not in memory
        self._queries = [
            Query(view, table.record, histories.targets[view.file], connection)
            for view in table.views
            if view.file in histories.targets
        ]
        if [table.record[key] for key in table.keys] == ["number"]:
            self._check_names()

    def _check_names(self) -> None:
        for query in self._queries:
            names = query.target.places if isinstance(query.target, EventFile) else ()
            if strange := [name for name in names if not name.removeprefix("-").isdecimal()]:
                raise _wrong_names(query.file, strange)

    def restrict(self, row: Any) -> Any:
        """Return a row without the columns that are none of the table's."""
        return {k: v for k, v in row.items() if k in self._table.record} if isinstance(row, dict) else row

    def arrivals(self, rows: Sequence[Any]) -> tuple[dict[str, int], list[Arrivals]]:
        """Return for each event sent the last row that says it, and what becomes of it in each file."""
        read = self._reader.read(rows)
        named = self._last_by_name(read)
        latest = {name: read[index] for name, index in named.items()}
        problems: list[Problem] = []
        arrivals = [self._arrivals(query, latest, named, problems) for query in self._queries]
        if problems:
            raise InvalidRecords(problems)
        return named, arrivals

    def _last_by_name(self, read: Sequence[dict[str, Value]]) -> dict[str, int]:
        problems: list[Problem] = []
        named: dict[str, int] = {}
        for index, row in enumerate(read):
            parts = {column: key_text(row[column]) for column in self._table.keys}
            for column, part in parts.items():
                if part is None:
                    allowed = f"a whole number from -{LARGEST_KEY} to {LARGEST_KEY}"
                    problems.append(Problem("not a key", index, column, excerpt(row[column]), allowed))
            named[joined_text([part or "" for part in parts.values()])] = index
        if problems:
            raise InvalidRecords(problems)
        return named

    def _arrivals(
        self, query: Query, latest: dict[str, dict[str, Value]], named: dict[str, int], problems: list[Problem]
    ) -> Arrivals:
        try:
            rows = query.run(list(latest.values()))
        except InvalidRecords as error:
            problems += error.at(list(named.values())).problems
            return Arrivals(query.file, {})
        events = {query.target.name(event): event for event in rows}
        if len(events) < len(rows) or not events.keys() <= named.keys():
            raise _wrong_names(query.file, list(map(query.target.name, rows)))
        for name, event in events.items():
            problems += query.target.value_problems(event, named[name])
        return Arrivals(query.file, {name: events.get(name) for name in named})


def _wrong_names(file: str, names: Sequence[str]) -> BundleError:
    """Return the error of names by which a correction would not find the event that it corrects."""
    allowed = "named by the text of its key, and there once; that of a number has digits alone"
    return BundleError("plan.json", [f"each event of {file} must be {allowed}; given are {sorted(names)[:5]}"])
