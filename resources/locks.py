"""Locks that end with whoever holds them: of a file the kernel drops it, of a connection PostgreSQL."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

POSTGRESQL = "postgresql"


@contextmanager
def exclusive(name: str, folder: Path, database: str = "") -> Iterator[None]:
    """Hold the lock `name` for the block; others wait.

    With the URL of a PostgreSQL `database` it is an advisory lock there, which holds across machines; otherwise a file
    in `folder`, which holds on this machine.
    """
    key = sha256(name.encode()).digest()
    if not database.startswith(POSTGRESQL):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / key.hex()[:16], "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)  # a process that was forked meanwhile has the file open too
        return
    from sqlalchemy import create_engine, text

    engine = create_engine(database, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            number = int.from_bytes(key[:8], "big", signed=True)
            connection.execute(text("select pg_advisory_lock(:number)"), {"number": number})
            yield
    finally:
        engine.dispose()


def lock_now(file: IO[str]) -> bool:
    """Lock an open file until it is closed here and in every process forked since; return False if another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
