"""What is wrong with a home is said in one line, whichever library met it."""

import errno
import os
from pathlib import Path

import pytest

from resources.databases import LockedError
from resources.faults import in_one_line
from resources.ledger import LedgerError
from resources.storage import StorageError
from resources.tracking.protocol import RegistryError


@pytest.mark.parametrize("kind", [LockedError, LedgerError, StorageError, RegistryError])
def test_an_error_of_ones_own_says_it_itself_wherever_it_is_in_the_chain(kind: type[Exception]) -> None:
    around = RuntimeError("the step failed")
    around.__context__ = kind("what to do")

    assert in_one_line(around) == "what to do"


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_home_that_cannot_be_written_is_named_with_the_file(home: Path, number: int) -> None:
    line = in_one_line(OSError(number, os.strerror(number), str(home / "logs")))

    assert line is not None
    assert line.startswith(f"{home} cannot be written ({os.strerror(number)}: {home / 'logs'}): make room")


@pytest.mark.parametrize("words", ["attempt to write a readonly database", "database or disk is full"])
def test_so_it_is_where_sqlite_met_it(home: Path, words: str) -> None:
    assert f"{home} cannot be written ({words})" in str(
        in_one_line(RuntimeError(f"(sqlite3.OperationalError) {words}"))
    )


def test_a_full_disk_needs_no_file_to_be_known(home: Path) -> None:
    assert "cannot be written (No space left on device): make room" in str(
        in_one_line(OSError(errno.ENOSPC, "No space left on device"))
    )


def test_other_errors_are_no_faults_of_the_home(home: Path) -> None:
    assert in_one_line(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
    assert in_one_line(KeyError("x")) is None
    assert in_one_line(PermissionError(errno.EACCES, "Permission denied", "/data/rows.csv")) is None
    assert in_one_line(PermissionError(errno.EPERM, "Operation not permitted")) is None
    assert in_one_line(OSError(errno.ENOSPC, "No space left on device", "/elsewhere/x")) is None
    assert in_one_line(None) is None
