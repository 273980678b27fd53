"""Compaction: of what was sent, the last row of each key, so that a service that has run a year starts as a new one.

Run as a module, in a process of its own and beside all that is answered. A row that a later one of its key has replaced
is seen by no answer, whichever model gives it; all others stay, in the order in which they came.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from service.history.store import Entry, decode, encode

DUE_BYTES = 8_000_000  # a start reads so many in about a second
ROWS_OF_A_LINE = 1_000
_PREFIX = b'{"compacted": '


class Header(msgspec.Struct, frozen=True):
    """The first line of a compacted log: the file, and how many of its lines, that `here` lines stand for.

    `size` is the number of their bytes, this line's among them.
    """

    inode: int
    lines: int
    here: int
    size: int

    def encode(self) -> bytes:
        """Return the line, which has the same length whatever the numbers are; to others it is an entry of no rows."""
        numbers = ", ".join(f'"{name}": {value:>20}' for name, value in msgspec.structs.asdict(self).items())
        return _PREFIX + f'{{{numbers}}}, "table": "", "rows": []}}\n'.encode()


def header_of(line: bytes) -> Header | None:
    """Return the header that a first line is; None: it is an entry."""
    if not line.startswith(_PREFIX):
        return None
    try:
        return msgspec.convert(json.loads(line)["compacted"], Header)
    except (ValueError, KeyError, msgspec.ValidationError):
        return None


def due(handle: int) -> bool:
    """Check whether an open log is long, and much longer than when it was compacted last."""
    size = os.fstat(handle).st_size
    if size < DUE_BYTES:
        return False
    header = header_of(os.pread(handle, 4096, 0).partition(b"\n")[0])
    return size > DUE_BYTES + 2 * (header.size if header else 0)


def last_rows(entries: Iterable[Entry], keys: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
    """Return by table the last row of each key, in the order in which these came.

    A table whose keys are not known keeps all its rows, and so does a row without its key.
    """
    latest: dict[str, dict[Any, Any]] = {}
    numbers = count()
    for entry in entries:
        rows, names = latest.setdefault(entry.table, {}), keys.get(entry.table)
        for row in entry.rows:
            name = _name(row, names)
            if name is None:
                name = next(numbers)
            rows.pop(name, None)
            rows[name] = row
    return {table: list(rows.values()) for table, rows in latest.items()}


def _name(row: Any, names: Sequence[str] | None) -> Any:
    """Return the key of a row, as it is spelled; None: it has none. One key in two spellings counts as two."""
    if names is None or not isinstance(row, dict):
        return None
    parts = [row.get(name) for name in names]
    if any(not isinstance(part, str | int | float) for part in parts):
        return None
    return tuple((type(part).__name__, part) for part in parts)


def lines_of(rows: Mapping[str, Sequence[Any]]) -> Iterator[bytes]:
    """Yield the lines that hold some rows."""
    for table, of_table in rows.items():
        for start in range(0, len(of_table), ROWS_OF_A_LINE):
            yield encode(table, of_table[start : start + ROWS_OF_A_LINE])


def start(store: str, keys: Mapping[str, Sequence[str]], use_case: str = "") -> subprocess.Popen[bytes]:
    """Start a process that compacts a file, or of a database the entries of a use case."""
    paths = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "service.history.compaction"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert process.stdin is not None
    with process.stdin as order:
        order.write(json.dumps({"store": store, "keys": keys, "use_case": use_case}).encode())
    return process


def compact_file(path: Path, keys: Mapping[str, Sequence[str]]) -> bool:
    """Put a log with the last rows in the place of one with all; False: another process is at it.

    What is appended meanwhile is taken over as it is, under the lock of the log, which is held for that alone. The new
    log is whole and on the disk before it takes the place of the old one.
    """
    aside = path.with_name(f"{path.name}.compacted")
    new = os.open(aside, os.O_RDWR | os.O_CREAT, 0o666)
    with os.fdopen(new, "r+b") as file, path.open("r+b", buffering=0) as log:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if not _is(aside, file.fileno()) or not _is(path, log.fileno()):
            return False  # another process has ended it in the meantime
        file.truncate(0)
        about, content = os.fstat(log.fileno()), log.read()
        content = content[: content.rfind(b"\n") + 1]
        old = content.split(b"\n")[:-1]
        skipped = 1 if old and header_of(old[0]) else 0
        entries = (decode(number, line) for number, line in enumerate(old[skipped:]))
        kept = list(lines_of(last_rows(entries, keys)))
        header = Header(about.st_ino, len(old), len(kept) + 1, 0)
        size = len(header.encode()) + sum(map(len, kept))
        file.write(msgspec.structs.replace(header, size=size).encode())
        file.writelines(kept)
        file.flush()
        os.fsync(file.fileno())
        fcntl.flock(log, fcntl.LOCK_EX)
        log.seek(0)
        if not _is(path, log.fileno()) or log.read(len(content)) != content:
            return False  # somebody has corrected it
        more = log.read()
        file.write(more[: more.rfind(b"\n") + 1])
        file.flush()
        os.fsync(file.fileno())
        os.chmod(aside, about.st_mode & 0o777)
        aside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return True


def _is(path: Path, handle: int) -> bool:
    """Check that a path still names an open file."""
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def main() -> int:
    """Compact the store that the standard input names; what cannot be now, is done when it is due again."""
    order = json.load(sys.stdin)
    os.nice(10)
    try:
        if order["use_case"]:
            from service.history.postgres import compact_database

            compact_database(order["store"], order["use_case"], order["keys"])
        else:
            compact_file(Path(order["store"]), order["keys"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"events are not compacted: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
