"""Embedded databases: SQLite files, which one process at a time can write."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from resources.home import home
from resources.settings import settings

WAIT_S = 5.0  # a healthy writer is done in a fraction of one
_OF_RUN = 36  # characters: of a single run Dagster keeps the events in a file with its id
# SQLite's words, whichever library it was asked by:
_LOCKED = "database is locked"
_DAMAGED = ("file is not a database", "database disk image is malformed")
_NO_TABLE = "no such table"


class LockedError(RuntimeError):
    """An embedded database is kept by another process."""


class DamagedError(RuntimeError):
    """An embedded database is none."""


def embedded() -> Iterator[Path]:
    """Yield the databases that commands use: MLflow's, Optuna's, and Dagster's but those of single runs."""
    for folder in (home() / "mlflow", home() / "studies", settings().dagster_home or home() / "dagster"):
        for file in sorted(folder.rglob("*.db")):
            if len(file.stem) != _OF_RUN:
                yield file


def require_free(*files: Path, wait_s: float | None = None) -> None:
    """Raise LockedError, which names who has it, where a database that is there cannot be written in time.

    Raises DamagedError, which names it, where its file is no database. Without `files` it looks at all of them.
    Libraries would wait, or try again, for minutes.
    """
    patience = WAIT_S if wait_s is None else wait_s
    for file in (file for file in files or embedded() if file.exists()):
        with closing(sqlite3.connect(file, timeout=patience, isolation_level=None)) as connection, _naming(file):
            try:
                connection.execute("begin immediate")
                connection.execute("rollback")
            except sqlite3.OperationalError as error:
                if _LOCKED in str(error):  # any other obstacle, such as a disk that is read only, is not of this kind
                    raise


def first_value(file: Path, query: str, *values: str) -> str | None:
    """Return the first value that a database answers, None where it has none; raise LockedError or DamagedError."""
    if not file.exists():
        return None
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=WAIT_S)) as connection, _naming(file):
        try:
            row = connection.execute(query, values).fetchone()
        except sqlite3.OperationalError as error:
            if _NO_TABLE in str(error):  # nothing was ever written to it
                return None
            raise
    return str(row[0]) if row else None


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Raise LockedError or DamagedError, which name a database, where the block finds it locked or damaged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _LOCKED in str(error):
            raise LockedError(
                f"the database {file} is locked by {_holders(file)}: wait until that is done with it, or end it, "
                "and try again"
            ) from error
        if any(words in str(error) for words in _DAMAGED):
            raise DamagedError(f"the database {file} is damaged ({error}): put it back from a backup") from error
        raise


def fault_in(error: BaseException) -> LockedError | DamagedError | None:
    """Return what a library's error says of a locked or damaged database; None if it says nothing of one."""
    if isinstance(error, LockedError | DamagedError):
        return error
    if not any(words in str(error) for words in (_LOCKED, *_DAMAGED)):
        return None
    try:
        require_free(wait_s=0)
    except (LockedError, DamagedError) as found:
        return found
    if _LOCKED in str(error):
        return LockedError(f"a database in {home()} was locked by another process for some seconds; try again")
    return DamagedError(f"a database in {home()} is damaged ({error}): put it back from a backup")


def _holders(file: Path) -> str:
    """Return the processes that hold a write lock on a database or its journals, as Linux lists them."""
    inodes = {part.stat().st_ino for part in file.parent.glob(f"{file.name}*")}
    pids = set[str]()
    for line in Path("/proc/locks").read_text().splitlines() if Path("/proc/locks").exists() else []:
        words = line.split()
        if "WRITE" in words and "->" not in words and int(words[5].rpartition(":")[2]) in inodes:
            pids.add(words[4])
    return f"process {', '.join(sorted(pids))}" if pids else "another process"
