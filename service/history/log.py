"""The event log: accepted events as lines of JSON, on the disk before they are answered."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

logger = logging.getLogger("bentoml.sextant")


class EventLogError(ValueError):
    """A log whose events cannot be taken in again."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}: {problem}; correct or delete the line, or move the file away")


def log_folder() -> Path | None:
    """Return the folder where accepted events are kept across restarts, $SEXTANT_EVENTS; None: nowhere."""
    folder = os.environ.get("SEXTANT_EVENTS")
    return Path(folder) if folder else None


@dataclass(frozen=True)
class Entry:
    """One request's events, and the line of the log that holds them."""

    line: int
    table: str
    rows: list[Any]


class EventLog:
    """The file <folder>/<use_case>.events.jsonl; other processes may read it or append to it at the same time."""

    def __init__(self, folder: Path, use_case: str) -> None:
        self.path = folder / f"{use_case}.events.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        _sync(folder)

    def read(self) -> list[Entry]:
        """Return all entries. A last line that was never finished, and so never answered, is cut off with a warning."""
        with self._lock() as file:
            content = file.readall()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                logger.warning("%s: the last line is torn, and its events were never accepted; cut off", self.path)
                file.truncate(whole)
        return [self._entry(number, line) for number, line in enumerate(content[:whole].splitlines(), start=1)]

    def append(self, table: str, rows: Sequence[Any]) -> None:
        """Add an entry; when this returns, the disk has it. If it fails, the log is as it was."""
        line = json.dumps({"table": table, "rows": rows}).encode() + b"\n"
        with self._lock() as file:
            size = file.seek(0, os.SEEK_END)
            try:
                written = 0
                while written < len(line):
                    written += file.write(line[written:]) or 0
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise

    @contextmanager
    def _lock(self) -> Iterator[FileIO]:
        with FileIO(self.path, "r+") as file:  # unbuffered: closing must write nothing
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            entry = json.loads(line)
            return Entry(number, str(entry["table"]), list(entry["rows"]))
        except (ValueError, KeyError, TypeError) as error:
            raise EventLogError(self.path, number, f"it is no entry ({error!r})") from None


def _sync(folder: Path) -> None:
    """Put the folder's own list of files on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
