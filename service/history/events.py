"""Events: rows that become known while the service runs, taken into its histories as a whole or not at all."""

from __future__ import annotations

import logging
import time
import weakref
from asyncio import Future
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from service.history.files import EventFile
from service.history.state import Arrivals, Histories
from service.history.store import Entry, EventLogError, News, Store
from service.plan.document import BundleError, Plan
from service.plan.parts import EventTable
from service.records.deadline import OutOfTimeError, check_time, seconds_left
from service.records.keys import LARGEST_KEY, joined_text, key_text
from service.records.reader import InvalidRecords, Problem, RowReader, Value, excerpt
from service.synthesis.row_files import SentTable
from service.synthesis.views import Query, connect
from service.tables.sent import Sent

logger = logging.getLogger("bentoml.sextant")

LOOK_AFTER_S = 0.25
MANY = 2_000  # rows that are taken in faster with the bundle's files than on top of them


@dataclass(frozen=True)
class Accepted:
    """The number of rows taken in, and the number of those that took the place of an earlier one of their key."""

    accepted: int
    replaced: int


class Events:
    """Takes rows into `histories`; with a store those that any process keeps there. Any thread may call it.

    What is in the store is taken in by its order, so that all who read it have one past.
    """

    def __init__(self, plan: Plan, histories: Histories, log: Store | None = None) -> None:
        self._histories = histories
        self._log = log if plan.events else None
        self._asking = Lock()  # for the queries of the tables, which one thread at a time may use
        self._applying = Lock()  # for what was read of the store, and for the histories
        self._lost: str | None = None
        self.refreshing: Future[None] | None = None  # of the event loop whose requests wait for it
        connection = connect() if plan.events else None
        self._tables = {name: _Table(table, histories, connection) for name, table in plan.events.items()}
        self._keys = {name: table.keys for name, table in plan.events.items()}

    def accept(self, table: Any, rows: Sequence[Any], deadline: float | None = None) -> Accepted:
        """Take in rows of a table; raises InvalidRecords, and changes nothing, unless all of them are sound.

        So does OutOfTimeError, where the deadline is over before they are in, and OSError or EventLogError, where the
        store cannot keep them. Predictions see all of the rows or none. A row whose key is there already replaces it,
        so that to send rows again changes nothing.
        """
        if not isinstance(table, str) or table not in self._tables:
            raise InvalidRecords([Problem(self._no_table(), 0, "table", excerpt(table), sorted(self._tables))])
        with _held(self._asking, deadline):
            named, arrivals = self._tables[table].arrivals(rows)
        with self._log.turn(deadline) if self._log else nullcontext(), _held(self._applying, deadline):
            if self._log is not None:
                self._catch_up()
            check_time(deadline)
            change = self._histories.change(arrivals)
            if self._log is not None:
                self._log.append(table, rows)
            self._histories.commit(change)
        if self._log is not None:
            self._log.compact(self._keys)
        return Accepted(len(rows), len(rows) - len(named) + len(change.replaced))

    def stale(self) -> bool:
        """Check whether the store may have what is not in the histories; of a remote one nobody waits to hear."""
        return self._log is not None and self._log.stale()

    def refresh(self) -> None:
        """Take in what is new in the store; if that fails, `behind` says why."""
        assert self._log is not None
        try:
            with self._applying:
                if self._log.remote or self._log.stale():
                    self._catch_up()
        except (OSError, EventLogError) as error:
            if not self._log.remote or isinstance(error, EventLogError):
                if str(error) != self._lost:
                    logger.error("the history cannot be read: %s", error)
                self._lost = str(error)

    @property
    def remote(self) -> bool:
        """Return whether answers may lack what has been accepted, and must say how old their histories are."""
        return self._log is not None and self._log.remote

    def age(self) -> float:
        """Return the seconds since all that was accepted had been taken in."""
        return self._log.age() if self._log else 0.0

    def behind(self) -> str | None:
        """Return why the histories may lack what has been accepted; None: they do not."""
        return self._lost or (self._log.behind() if self._log else None)

    def not_ready(self) -> str | None:
        """Return why nobody should be answered by the histories; None: they may be."""
        return self._lost or (self._log.not_ready() if self._log else None)

    def follow(self) -> None:
        """Take in what is new in a remote store from now on, for as long as these events are in use."""
        Thread(target=_follow, args=(weakref.ref(self),), name="events", daemon=True).start()

    def replay(self) -> None:
        """Take in all that the store has; raises EventLogError, which names the line, if one of its rows cannot be.

        It may come from another model: tables and columns that this one does not take are left out.
        """
        if self._log is None:
            return
        with self._applying:
            entries = self._log.read()
            self._take(News(entries, anew=True))
            self._log.settle()
        self._log.compact(self._keys)
        if others := sorted({entry.table for entry in entries} - self._tables.keys()):
            logger.warning("the model does not use events of %s; left out", others)

    def _catch_up(self) -> None:
        """Take in what is new in the store; raises OSError or EventLogError if that cannot be."""
        assert self._log is not None
        news = self._log.news()
        try:
            self._take(news)
        finally:
            self._log.settle()
        self._lost = None

    def _take(self, news: News) -> None:
        """Show what entries make of the histories, all at once."""
        assert self._log is not None
        if not news.entries and not news.anew:
            return
        if news.anew and sum(len(entry.rows) for entry in news.entries) > MANY and self._restart(news.entries):
            return
        try:
            arrivals = [one for name in self._tables for one in self._arrivals(name, news.entries)]
        except BaseException:
            self._log.forget()
            raise
        histories = self._histories
        histories.commit(histories.change(arrivals, histories.origin() if news.anew else None))

    def _restart(self, entries: Sequence[Entry]) -> bool:
        """Show what many entries make of the bundle's files; False: some of it is odd, and is to be gone through."""
        import duckdb
        import pyarrow as pa

        sent, arrivals = dict[str, Sent](), list[Arrivals]()
        try:
            with self._asking:
                for name, table in self._tables.items():
                    rows = [table.restrict(row) for entry in entries if entry.table == name for row in entry.rows]
                    if rows:
                        together, singly = table.sent(rows)
                        sent |= together
                        arrivals += singly
            self._histories.commit(self._histories.change(arrivals, self._histories.load(sent)))
        except (InvalidRecords, BundleError, duckdb.Error, pa.ArrowException, NotImplementedError) as error:
            logger.info("the events are taken in one by one: %s", error)
            return False
        self._histories.forget_origin()
        return True

    def _arrivals(self, name: str, entries: Sequence[Entry]) -> list[Arrivals]:
        assert self._log is not None
        table, rows, lines = self._tables[name], list[Any](), list[int]()
        for entry in entries:
            if entry.table == name:
                rows += [table.restrict(row) for row in entry.rows]
                lines += [entry.line] * len(entry.rows)
        if not rows:
            return []
        try:
            with self._asking:
                return table.arrivals(rows)[1]
        except InvalidRecords as error:
            raise self._log.wrong(lines[error.problems[0].record], str(error.problems[0])) from None

    def _no_table(self) -> str:
        if not self._tables:
            return "this model takes no events: none of its features looks at a table's past"
        return "not a table whose events this model takes"


def _follow(events: weakref.ref[Events]) -> None:
    while (followed := events()) is not None:
        followed.refresh()
        del followed
        time.sleep(LOOK_AFTER_S)


@contextmanager
def _held(lock: Lock, deadline: float | None) -> Iterator[None]:
    if not lock.acquire(timeout=seconds_left(deadline)):
        raise OutOfTimeError
    try:
        yield
    finally:
        lock.release()


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

    def sent(self, rows: Sequence[Any]) -> tuple[dict[str, Sent], list[Arrivals]]:
        """Return what becomes of many rows in each file, and in those that take them singly.

        Raises InvalidRecords, BundleError or an error of DuckDB's where `arrivals` would say more.
        """
        read = self._reader.read(rows)
        named = self._last_by_name(read)
        latest = {name: read[index] for name, index in named.items()}
        together, singly, problems = dict[str, Sent](), list[Arrivals](), list[Problem]()
        for query in self._queries:
            if isinstance(query.target, EventFile | SentTable):
                together[query.file] = query.target.sent(list(named), query.table(list(latest.values())))
            else:
                singly.append(self._arrivals(query, latest, named, problems))
        if problems:
            raise InvalidRecords(problems)
        return together, singly

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
