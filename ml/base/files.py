"""Files that are there whole or not at all, whatever ends the process or the machine."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from ml.base.processes import Process, this_process

_SCRATCH, _PART = "sextant-", ".part"  # with the name of the process between, by which what it left is known


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, in its folder that is made if need be: readers see what was there before, or all of `content`."""
    with open_whole(path) as file:
        file.write(content)


@contextmanager
def scratch_folder(within: Path | None = None) -> Iterator[Path]:
    """Yield a new folder, among the temporary ones or `within` another, that is removed when the block ends."""
    with TemporaryDirectory(prefix=f"{_SCRATCH}{this_process()}~", dir=within, ignore_cleanup_errors=True) as name:
        yield Path(name)


def remove_unfinished(folder: Path, *, deep: bool = True) -> list[Path]:
    """Remove what killed processes of this host were writing in a folder, if `deep` at any depth; return paths."""
    removed = []
    for place, folders, files in os.walk(folder):
        left = [name for name in folders if name.startswith(_SCRATCH) and _is_left(name)]
        folders[:] = [name for name in folders if deep and name not in left]
        for path in (Path(place, name) for name in [*left, *(f for f in files if f.endswith(_PART) and _is_left(f))]):
            with suppress(PermissionError, FileNotFoundError):  # another user's, or just removed by another process
                shutil.rmtree(path) if path.name in left else path.unlink()
                removed.append(path)
    return removed


def _is_left(name: str) -> bool:
    process = Process.named(name)
    return process is not None and process.gone


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """Yield a file beside `path` that takes its place, and stays there if the machine crashes, when the block ends.

    If the block raises, `path` is as it was and nothing lies beside it; a process that is killed leaves a `.part`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{this_process()}~{uuid.uuid4().hex[:8]}{_PART}")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make a rename in a folder last through a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
