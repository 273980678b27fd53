"""The event log: accepted events as lines of JSON, on the disk before they are answered."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import subprocess
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, RLock
from typing import Any, NamedTuple

from service.history.compaction import due, header_of, start
from service.history.store import Entry, EventLogError, News, StoreError, decode, encode
from service.records.deadline import OutOfTimeError, seconds_left

logger = logging.getLogger("bentoml.sextant")

REMEMBERED = 256  # bytes before what is read next, by which a log is known again
LOOK_AFTER_S = 0.002
UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


class Place(NamedTuple):
    """A place in a file: bytes and lines before it, and the last of these bytes."""

    offset: int
    lines: int
    before: bytes


START = Place(0, 0, b"")


class EventLog:
    """The file <folder>/<use_case>.events.jsonl, which many processes may have open.

    They append to it one at a time, and read on whenever it has changed. One that is compacted takes the place of the
    file, and says which lines of that it stands for. `durable`: events are on the disk once they are accepted.
    """

    remote = False

    def __init__(self, folder: Path, use_case: str, *, durable: bool = True) -> None:
        self.path = folder / f"{use_case}.events.jsonl"
        self._durable = durable
        self._mutex, self._depth, self._writing = RLock(), 0, -1
        self._place, self._anew = START, False
        self._seen = self._looked = (0, 0, 0)  # of the file, as it was when all of it was taken in, and read
        self._compacting: subprocess.Popen[bytes] | None = None
        self._starting = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._reading = self._open()
        except OSError as error:
            raise StoreError(f"the log of events {self.path} cannot be opened: {error.strerror or error}") from None
        weakref.finalize(self, os.close, self._reading)

    def stale(self) -> bool:
        """Check whether the file is another than when all that was read of it had been taken in."""
        try:
            about = os.stat(self.path)
        except OSError:
            return True
        return (about.st_ino, about.st_size, about.st_mtime_ns) != self._seen

    def read(self) -> list[Entry]:
        """Return all entries. A last line that was never finished, and so never answered, is cut off with a warning."""
        try:
            with self.turn():
                pass
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise StoreError(f"the log of events {self.path} cannot be used: {error.strerror or error}") from None
            logger.warning("%s can be read and not written: POST /events will be refused", self.path)
        self.forget()
        return list(self.news().entries)

    def news(self) -> News:
        """Return the entries since those that were read last, or all where the file is none that continues these."""
        entries, place, anew = list[Entry](), self._place, self._anew
        while True:
            about = os.fstat(self._reading)
            if not self._continues(place, about.st_size):
                logger.warning("%s is not what was read before; it is read anew", self.path)
                entries, place, anew = [], START, True
            following = self._open()
            try:
                if os.fstat(following).st_ino == about.st_ino:
                    more, place = self._rest(place, about.st_size)
                    entries += more
                    break
                after = self._replaced(following, place, entries)
                os.dup2(following, self._reading)
            finally:
                os.close(following)
            if after is None:
                entries, anew = [], True
            place = after or START
        self._place, self._anew = place, False
        self._looked = (about.st_ino, about.st_size, about.st_mtime_ns)
        return News(entries, anew)

    def _replaced(self, following: int, place: Place, entries: list[Entry]) -> Place | None:
        """Add what is left in the open file, which nobody appends to any more, and return where the next one goes on.

        None: it is to be read from its beginning, as where a wrong line of the open one was corrected.
        """
        about = os.fstat(self._reading)
        try:
            more, place = self._rest(place, about.st_size)
        except EventLogError:
            return None
        entries += more
        return _after(following, about.st_ino, place.lines)

    def settle(self) -> None:
        """Be stale no more, until the file is another than when it was read last."""
        self._seen = self._looked

    def forget(self) -> None:
        """Take nothing for read."""
        self._place, self._anew = START, True

    @contextmanager
    def turn(self, deadline: float | None = None) -> Iterator[None]:
        """Hold the lock of the file; what a killed writer has left at its end is cut off first."""
        if not self._mutex.acquire(timeout=seconds_left(deadline)):
            raise OutOfTimeError
        try:
            if not self._depth:
                self._writing = self._locked(deadline)
            self._depth += 1
            try:
                if self._depth == 1:
                    self._mend()
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    os.close(self._writing)  # and so its lock is given back
        finally:
            self._mutex.release()

    def append(self, table: str, rows: Sequence[Any]) -> None:
        """Add an entry; when this returns, the disk has it. If it fails, the log is as it was."""
        line = encode(table, rows)
        with self.turn():
            size = os.fstat(self._writing).st_size
            try:
                written = 0
                while written < len(line):
                    written += os.pwrite(self._writing, line[written:], size + written)
                if self._durable:
                    os.fsync(self._writing)
            except OSError:
                os.ftruncate(self._writing, size)
                raise
            about = os.fstat(self._writing)
            if self._place.offset == size and os.fstat(self._reading).st_ino == about.st_ino:
                before = (self._place.before + line)[-REMEMBERED:]
                self._place = Place(size + len(line), self._place.lines + 1, before)
                self._seen = (about.st_ino, about.st_size, about.st_mtime_ns)

    def wrong(self, line: int, problem: str) -> EventLogError:
        """Return the error of a line that cannot be taken in."""
        return EventLogError(f"{self.path}, line {line}: {problem}; correct or delete the line, or move the file away")

    def age(self) -> float:
        """Return 0: all is read before each answer."""
        return 0.0

    def behind(self) -> None:
        """Return None: all is read before each answer."""

    def not_ready(self) -> None:
        """Return None: all is read before each answer."""

    def compact(self, keys: Mapping[str, Sequence[str]]) -> None:
        """Start a process that compacts the log if it is long; it holds up nobody here."""
        with self._starting:
            if self._compacting is not None and self._compacting.poll() is None:
                return
            if due(self._reading):
                self._compacting = start(str(self.path), keys)

    def _open(self) -> int:
        """Open the file for reading, and make it where there is none."""
        with suppress(FileNotFoundError):
            return os.open(self.path, os.O_RDONLY)
        handle = os.open(self.path, os.O_RDONLY | os.O_CREAT, 0o666)
        _sync(self.path.parent)
        return handle

    def _locked(self, deadline: float | None) -> int:
        """Open the file for writing, and lock it; another may take its place in the meantime."""
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(handle, deadline)
                if os.fstat(handle).st_ino == os.stat(self.path).st_ino:
                    return handle
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def _mend(self) -> None:
        """Cut off a last line that was never finished; nobody is writing it, for the lock is held."""
        size = os.fstat(self._writing).st_size
        whole, step = size, 4096
        while whole and os.pread(self._writing, 1, whole - 1) != b"\n":
            start = max(0, whole - step)
            whole = start + os.pread(self._writing, whole - start, start).rfind(b"\n") + 1
        if whole < size:
            logger.warning("%s: the last line is torn, and its events were never accepted; cut off", self.path)
            os.ftruncate(self._writing, whole)

    def _continues(self, place: Place, size: int) -> bool:
        """Check that the open file still has, before a place, what was read there."""
        if size < place.offset:
            return False
        return _pread(self._reading, place.offset - len(place.before), len(place.before)) == place.before

    def _rest(self, place: Place, size: int) -> tuple[list[Entry], Place]:
        """Return the entries of whole lines between a place and the end, and the place after them."""
        content = _pread(self._reading, place.offset, size - place.offset)
        content = content[: content.rfind(b"\n") + 1]
        lines = content.split(b"\n")[:-1]
        entries = [self._entry(number, line) for number, line in enumerate(lines, start=place.lines + 1)]
        before = (place.before + content[-REMEMBERED:])[-REMEMBERED:]
        after = Place(place.offset + len(content), place.lines + len(lines), before)
        if lines and not place.lines and header_of(lines[0]):
            del entries[0]
        return entries, after

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            return decode(number, line)
        except (ValueError, KeyError, TypeError) as error:
            raise self.wrong(number, f"it is no entry ({error!r})") from None


def _after(handle: int, inode: int, lines: int) -> Place | None:
    """Return the place in a compacted log up to which another one has been read; None: it does not stand for that."""
    size = os.fstat(handle).st_size
    first = _pread(handle, 0, min(size, 4096))
    header = header_of(first[: first.find(b"\n") + 1])
    if header is None or header.inode != inode or header.lines > lines:
        return None
    content, end = _pread(handle, header.size, size - header.size), 0
    for _ in range(lines - header.lines):
        end = content.find(b"\n", end) + 1
    offset = header.size + end
    start = max(0, offset - REMEMBERED)
    return Place(offset, header.here + lines - header.lines, _pread(handle, start, offset - start))


def _pread(handle: int, offset: int, length: int) -> bytes:
    """Read some bytes, of which one call returns at most two gigabytes."""
    parts = []
    while length > 0 and (part := os.pread(handle, length, offset)):
        parts.append(part)
        offset, length = offset + len(part), length - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _lock(handle: int, deadline: float | None) -> None:
    """Wait for the lock of a file; raises OutOfTimeError once the deadline is over."""
    if deadline is None:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OutOfTimeError from None
            time.sleep(LOOK_AFTER_S)


def _sync(folder: Path) -> None:
    """Put the folder's own list of files on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
