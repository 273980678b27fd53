"""The event log of replicas: accepted events in a table of PostgreSQL, in the order in which they were accepted."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

from service.history.compaction import ROWS_OF_A_LINE, last_rows, start
from service.history.store import (
    Entry,
    EventLogError,
    News,
    StoreError,
    UncertainError,
    decode,
    encode,
)
from service.records.deadline import OutOfTimeError, seconds_left

logger = logging.getLogger("bentoml.sextant")

LATE_S = 1.0  # since the last look, from which on answers say so
DUE_ENTRIES = 20_000
BEFORE_ALL = -(2**62)
CREATE = """
create table if not exists sextant_logs (
    use_case text primary key, last bigint not null, compacted bigint not null, kept bigint not null
);
create table if not exists sextant_events (
    use_case text, number bigint, entry text not null, primary key (use_case, number)
)"""
REGISTER = "insert into sextant_logs values (%s, 0, 0, 0) on conflict do nothing"
# One statement, and so one moment. A reader that has read less than what was compacted reads that: it holds the last
# row of each key, and what it has read already changes nothing.
READ = """
select e.number, e.entry, l.last, l.compacted, l.kept from sextant_logs l left join sextant_events e
on e.use_case = l.use_case and e.number > case when l.compacted > %(number)s then %(before_all)s else %(number)s end
where l.use_case = %(use_case)s order by e.number"""
# The row is locked until the transaction ends: so numbers are committed in their order, and no reader skips one.
NEXT = "update sextant_logs set last = last + 1 where use_case = %s returning last"


class PostgresLog:
    """The entries of a use case in a database, which is read now and then, and by whoever cannot wait."""

    remote = True

    def __init__(self, url: str, use_case: str, patience_s: float = 10.0) -> None:
        self._url, self._use_case, self._patience_s = url, use_case, patience_s
        self._reader, self._writer = _Connection(url, use_case), _Connection(url, use_case)
        self._mutex, self._starting = Lock(), Lock()
        self._next: int | None = None
        self._number = self._compacted = self._kept = 0
        self._anew, self._failed = False, "not yet"
        self._looked = self._read_at = float("-inf")
        self._compacting: subprocess.Popen[bytes] | None = None

    def stale(self) -> bool:
        """Return False: answers do not wait for a database, and say how old is what they know."""
        return False

    def age(self) -> float:
        """Return the seconds since all that was kept had been read."""
        return time.monotonic() - self._read_at

    def read(self) -> list[Entry]:
        """Return all entries; none, for the time being, where the database cannot be reached."""
        self.forget()
        try:
            return list(self.news().entries)
        except StoreError as error:
            logger.error("%s", error)
            return []

    def news(self) -> News:
        """Return the entries after those that were read last; raises StoreError."""
        looked = time.monotonic()
        try:
            rows = self._reader.run(READ, self._after(self._number))
            if anew := self._anew or rows[0][2] < self._number:
                rows = self._reader.run(READ, self._after(BEFORE_ALL))
        except StoreError as error:
            self._failed = str(error)
            raise
        entries = [self._entry(number, entry) for number, entry, *_ in rows if number is not None]
        self._number, self._compacted, self._kept = rows[0][2:]
        self._looked, self._anew = looked, False
        return News(entries, anew)

    def settle(self) -> None:
        """Note that what was read has been taken in."""
        self._read_at = self._looked

    def forget(self) -> None:
        """Take nothing for read."""
        self._anew, self._looked = True, self._read_at

    @contextmanager
    def turn(self, deadline: float | None = None) -> Iterator[None]:
        """Take the next number, which nobody else can have before this ends."""
        if not self._mutex.acquire(timeout=seconds_left(deadline)):
            raise OutOfTimeError
        try:
            with self._writer.transaction(deadline) as run:
                (self._next,) = run(NEXT, (self._use_case,))[0]
                yield
        finally:
            self._next = None
            self._mutex.release()

    def append(self, table: str, rows: Sequence[Any]) -> None:
        """Add an entry; when this returns, the database has it. Raises StoreError otherwise."""
        assert self._next is not None  # within a turn
        line = encode(table, rows).decode()
        self._writer.commit("insert into sextant_events values (%s, %s, %s)", (self._use_case, self._next, line))
        if self._number == self._next - 1:
            self._number = self._next

    def wrong(self, line: int, problem: str) -> EventLogError:
        """Return the error of an entry that cannot be taken in."""
        where = f"sextant_events, use_case {self._use_case}, number {line}"
        return EventLogError(f"{where}: {problem}; correct or delete the row")

    def behind(self) -> str | None:
        """Return for how long the database was not read, if that is long."""
        if (age := self.age()) <= LATE_S:
            return None
        return f"they were {self._ago(age)}; {self._failed}"

    def not_ready(self) -> str | None:
        """Return for how long the database was not read, if that is too long."""
        if (age := self.age()) <= self._patience_s:
            return None
        return f"events were {self._ago(age)}; {self._failed}"

    def compact(self, keys: Mapping[str, Sequence[str]]) -> None:
        """Start a process that compacts the entries if they are many; it holds up nobody here."""
        with self._starting:
            if self._compacting is not None and self._compacting.poll() is None:
                return
            if self._number - self._compacted > DUE_ENTRIES + 2 * self._kept:
                self._compacting = start(self._url, keys, self._use_case)

    def _after(self, number: int) -> dict[str, Any]:
        return {"use_case": self._use_case, "number": number, "before_all": BEFORE_ALL}

    def _entry(self, number: int, line: str) -> Entry:
        try:
            return decode(number, line)
        except (ValueError, KeyError, TypeError) as error:
            raise self.wrong(number, f"it is no entry ({error!r})") from None

    def _ago(self, age: float) -> str:
        return f"last read {age:.1f} s ago" if age < float("inf") else "never read"


class _Connection:
    """A connection that is made when it is needed, and made again when it was lost; used by one thread at a time."""

    def __init__(self, url: str, use_case: str) -> None:
        self._driver = _driver()
        self._url, self._use_case = url, use_case
        self._open: Any = None

    def run(self, statement: str, values: Any) -> list[Any]:
        """Return the rows of a statement, which is a transaction by itself; raises StoreError."""
        for last in (False, True):
            try:
                with self._connected().cursor() as cursor:
                    cursor.execute(statement, values)
                    rows: list[Any] = cursor.fetchall()
                self._open.rollback()
                if not rows:  # somebody has deleted the use case
                    self._register(self._open)
                    continue
                return rows
            except self._driver.Error as error:
                self._close()
                if last:
                    raise self._unreachable(error) from None
        raise StoreError(f"sextant_logs has no row for {self._use_case}, and takes none")

    @contextmanager
    def transaction(self, deadline: float | None) -> Iterator[Any]:
        """Yield what runs statements of a transaction, which `commit` ends, or else is as if it had not been."""
        milliseconds = 0 if deadline is None else max(1, round(seconds_left(deadline) * 1000))

        def run(statement: str, values: Any) -> list[Any]:
            for last in (False, True):
                try:
                    with self._connected().cursor() as cursor:
                        cursor.execute("set local lock_timeout = %s", (milliseconds,))
                        cursor.execute(statement, values)
                        if rows := list(cursor.fetchall()):
                            return rows
                    self._register(self._open)
                except self._driver.errors.LockNotAvailable:
                    self._open.rollback()
                    raise OutOfTimeError from None
                except self._driver.Error as error:
                    self._close()
                    if last:
                        raise self._unreachable(error) from None
            raise StoreError(f"sextant_logs has no row for {self._use_case}, and takes none")

        try:
            yield run
        finally:
            if self._open is not None:
                try:
                    self._open.rollback()
                except self._driver.Error:
                    self._close()

    def commit(self, statement: str, values: Any) -> None:
        """Run the last statement of a transaction; raises UncertainError where its end is not known."""
        try:
            with self._open.cursor() as cursor:
                cursor.execute(statement, values)
        except self._driver.Error as error:
            self._close()
            raise self._unreachable(error) from None
        try:
            self._open.commit()
        except self._driver.Error as error:
            self._close()
            raise UncertainError(
                f"the database was lost over these rows, which may have been accepted or not: {_line(error)}; "
                "to send them again changes nothing"
            ) from None

    def _connected(self) -> Any:
        if self._open is None:
            about = {"connect_timeout": 3, "tcp_user_timeout": 5_000, "application_name": f"sextant {self._use_case}"}
            connection = self._driver.connect(self._url, **about)
            try:
                self._register(connection)
            except BaseException:
                connection.close()
                raise
            self._open = connection
        return self._open

    def _register(self, connection: Any) -> None:
        """Make the tables, and the row of the use case, where there are none."""
        with connection.cursor() as cursor:
            cursor.execute("set statement_timeout = '10s'; select to_regclass('sextant_events')")
            if cursor.fetchone()[0] is None:
                cursor.execute("select pg_advisory_xact_lock(hashtext('sextant_events'))")
                cursor.execute(CREATE)
            cursor.execute("select from sextant_logs where use_case = %s", (self._use_case,))
            if cursor.fetchone() is None:  # or else one would wait here for whoever has its turn
                cursor.execute(REGISTER, (self._use_case,))
        connection.commit()

    def _close(self) -> None:
        if self._open is not None:
            with suppress(self._driver.Error):
                self._open.close()
            self._open = None

    def _unreachable(self, error: Exception) -> StoreError:
        return StoreError(f"the database of events cannot be used: {_line(error)}")


def compact_database(url: str, use_case: str, keys: Mapping[str, Sequence[str]]) -> bool:
    """Put the last rows in the place of all entries, in one transaction; False: another process is at it."""
    driver = _driver()
    try:
        connection = driver.connect(url)
    except driver.Error as error:
        raise StoreError(_line(error)) from None
    try:
        with connection.cursor() as cursor:
            cursor.execute("select pg_try_advisory_xact_lock(hashtext(%s))", (f"sextant_events {use_case}",))
            if not cursor.fetchone()[0]:
                return False
            cursor.execute("select last from sextant_logs where use_case = %s", (use_case,))
            (last,) = cursor.fetchone()
            of_these = "from sextant_events where use_case = %s and number <= %s"
            cursor.execute(f"select number, entry {of_these} order by number", (use_case, last))
            rows = last_rows((decode(number, entry) for number, entry in cursor.fetchall()), keys)
            lines = [
                encode(table, of_table[begin : begin + ROWS_OF_A_LINE]).decode()
                for table, of_table in rows.items()
                for begin in range(0, len(of_table), ROWS_OF_A_LINE)
            ]
            cursor.execute(f"delete {of_these}", (use_case, last))
            numbered = [(use_case, last - len(lines) + place, line) for place, line in enumerate(lines, start=1)]
            cursor.executemany("insert into sextant_events values (%s, %s, %s)", numbered)
            # the only row that others wait for, and the last that is touched
            done = "update sextant_logs set compacted = %s, kept = %s where use_case = %s"
            cursor.execute(done, (last, len(lines), use_case))
        connection.commit()
        return True
    except driver.Error as error:
        raise StoreError(_line(error)) from None
    finally:
        connection.close()


def _driver() -> Any:
    """Return psycopg2; raises StoreError, which says what to install, where it is not there."""
    try:
        import psycopg2
        import psycopg2.errors
    except ImportError:
        raise StoreError(
            "SEXTANT_EVENTS names a database, and this environment has no psycopg2: declare "
            "bento: {extras: [postgres]} and build the Bento again, or pip install psycopg2-binary"
        ) from None
    return psycopg2


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
