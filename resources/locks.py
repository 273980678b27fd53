"""Locks that end with whoever holds them: of a file the kernel drops it, of a connection PostgreSQL."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

POSTGRESQL = "postgresql"


@contextmanager
def held(name: str, folder: Path, database: str = "") -> Iterator[None]:
    """Holds the lock `name` for the block; others wait.

    With the URL of a PostgreSQL `database` it is an advisory lock there, which holds across machines; otherwise a file
    in `folder`, which holds on this machine.
    """
    key = sha256(name.encode()).digest()
    if not database.startswith(POSTGRESQL):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / key.hex()[:16], "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
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
