"""The Bentos of a use case where BentoML keeps them, of which this process can serve some."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from service.http.version import BUNDLE, Version, load_version, tag_of

Load = Callable[[Path], Version]  # of a bundle

SERVICE = Path(__file__).resolve().parents[1]


class RefusedError(ValueError):
    """A Bento that this process cannot serve, or must not; the message says why."""


class OtherCodeError(RefusedError):
    """A Bento that was built with other code of the service than this process runs."""


class Bentos:
    """The folder of a use case in $BENTOML_HOME/bentos: a folder for each Bento, and `latest`, which names one."""

    def __init__(self, folder: Path, load: Load = load_version) -> None:
        self.folder = folder
        self._load = load

    def stamp(self) -> tuple[int, ...] | None:
        """Return what changes when `latest` is written; it costs one look at the file system."""
        try:
            status = os.stat(self.folder / "latest")
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def latest(self) -> str | None:
        """Return the tag of the Bento that answers; None: there is none."""
        try:
            version = (self.folder / "latest").read_bytes().decode(errors="replace").strip()
        except OSError:
            return None
        return f"{self.folder.name}:{version}" if version else None

    def load(self, tag: str) -> Version:
        """Load a Bento, and replay its golden records; raises RefusedError, BundleError or EventLogError.

        One whose code differs is refused: this process cannot import another copy of this package beside its own, and
        what a bundle means is up to the code that it was built with and has answered by.
        """
        name, _, version = tag.rpartition(":")
        folder, whole = self.folder / version, f"{self.folder.name}:{version}"
        if name not in ("", self.folder.name) or not version or Path(version).name != version:
            raise RefusedError(f"{tag!r} is no Bento of {self.folder.name}")
        if not (folder / BUNDLE).is_dir():
            there = sorted(f"{self.folder.name}:{path.parent.name}" for path in self.folder.glob("*/bento.yaml"))
            raise RefusedError(f"{tag!r} is not in {self.folder}; there are {there}")
        if _code(folder / "src" / "service") != _code(SERVICE):
            raise OtherCodeError(f"{whole} was built with other code of the service")
        loaded = self._load(folder / BUNDLE)
        if loaded.predictor.plan.use_case != self.folder.name:
            raise RefusedError(f"{whole} answers for the use case {loaded.predictor.plan.use_case!r}")
        if loaded.fault is not None:
            raise RefusedError(f"{whole}: {loaded.fault}")
        return loaded


def bentos_of(bundle: Path, use_case: str, load: Load) -> Bentos:
    """Return the Bentos that a bundle's own lies among, or else those of the use case in $BENTOML_HOME."""
    beside = bundle.absolute().parent.parent.parent
    if tag_of(bundle) is not None and (beside / "latest").exists():
        return Bentos(beside, load)
    home = Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml")
    return Bentos(home / "bentos" / use_case, load)


def _code(folder: Path) -> str:
    """Return a hash of the source files of a folder."""
    digest = sha256()
    for file in sorted(folder.rglob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
