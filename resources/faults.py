"""Faults of a Sextant home, in one line each, whichever library met them."""

import errno
from pathlib import Path

from resources.databases import fault_in
from resources.home import home
from resources.ledger import LedgerError
from resources.storage import StorageError
from resources.tracking.protocol import RegistryError

_OF_DISKS = {errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_OF_FILES = {errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR}
_OF_HOME = {errno.ENOENT, errno.EEXIST}  # where nobody can make that folder
_OF_SQLITE = (
    *("attempt to write a readonly database", "unable to open database file"),
    *("database or disk is full", "disk I/O error"),
)


def in_one_line(error: BaseException | None) -> str | None:
    """Return what an error, or one behind it, says of a fault of the home and the way out; None if it is none."""
    while error is not None:
        if isinstance(error, LedgerError | RegistryError | StorageError):
            return str(error)
        if (fault := fault_in(error)) is not None:
            return str(fault)
        if (reason := _cannot_write(error)) is not None:
            return (
                f"{home()} cannot be written ({reason}): make room, let it be written, or name another folder in "
                "$SEXTANT_HOME, and try again"
            )
        error = error.__cause__ or error.__context__
    return None


def _cannot_write(error: BaseException) -> str | None:
    """Return why the home cannot be written, as an error says it; None if the error is about something else."""
    if isinstance(error, OSError):
        inside = error.filename is not None and Path(str(error.filename)).is_relative_to(home())
        if error.errno in _OF_HOME and str(error.filename) == str(home()):
            return f"{error.strerror}: {error.filename}"
        if error.errno in (_OF_DISKS | _OF_FILES if inside else _OF_DISKS if error.filename is None else ()):
            return f"{error.strerror}: {error.filename}" if inside else str(error.strerror)
        return None
    return next((words for words in _OF_SQLITE if words in str(error)), None)
