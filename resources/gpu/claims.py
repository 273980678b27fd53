"""Claims on GPUs, over runs and processes: files that are locked for as long as their process holds or waits."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from resources.locks import exclusive, lock_now


@dataclass(frozen=True)
class Entry:
    """The content of a claim's file: who wants which share of one of which GPUs, and which it holds."""

    number: int
    wants: tuple[str, ...]
    share: str
    pid: int
    since: str
    about: dict[str, str]
    holds: str | None = None

    def __str__(self) -> str:
        about = "".join(f", {name} {value}" for name, value in self.about.items())
        does = f"holds {self.share} of {self.holds}" if self.holds else f"waits for {self.share} of a GPU"
        return f"process {self.pid}{about} {does} since {self.since}"


class Claim:
    """A claim on a share of one GPU of several, made when the block is entered and given up when it is left.

    Each claim is a file in `folder` that its process keeps locked. The kernel drops the lock when the process is gone,
    however it ended (a child that it forked inherits the lock, and may still be using the GPU); whoever looks next
    removes the file. Shares are exact: 0.1 fits ten times into a GPU, 0.34 twice, and nothing is rounded. Claims are
    served in the order in which they were made, among those that want a GPU in common, so none waits for ever while
    smaller ones pass it. All of it is read and written under one lock that nobody holds while waiting.
    """

    def __init__(self, folder: Path, wants: Sequence[str], share: float, about: Mapping[str, str]) -> None:
        self.folder, self.ahead = folder, list[Entry]()
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._entry = Entry(0, tuple(wants), str(Fraction(str(share))), os.getpid(), since, dict(about))

    def __enter__(self) -> "Claim":
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            number = max((other.number for other in self._living()), default=0) + 1
            self._file = self.folder / f"{number:012}.claim"
            self._sink = open(self._file, "x")
            lock_now(self._sink)
            self._write(replace(self._entry, number=number))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.unlink(missing_ok=True)
        self._sink.close()

    def take(self) -> str | None:
        """Take the fullest GPU into which the share fits and return it; None, with who is `ahead`, if there is none."""
        mine = self._entry
        with self._alone():
            others = [other for other in self._living() if other.number != mine.number]
            used = {gpu: sum(Fraction(other.share) for other in others if other.holds == gpu) for gpu in mine.wants}
            fitting = [gpu for gpu in mine.wants if used[gpu] + Fraction(mine.share) <= 1]
            before = [other for other in others if not other.holds and other.number < mine.number]
            before = [other for other in before if set(other.wants) & set(mine.wants)]
            if before or not fitting:
                self.ahead = [other for other in others if other.holds in mine.wants] + before
                return None
            gpu = max(fitting, key=lambda candidate: used[candidate])
            self._write(replace(mine, holds=gpu))
        return gpu

    def _write(self, entry: Entry) -> None:
        self._entry = entry
        self._sink.seek(0)
        self._sink.truncate()
        json.dump(asdict(entry), self._sink)
        self._sink.flush()

    def _alone(self) -> AbstractContextManager[None]:
        return exclusive("claims", self.folder)

    def _living(self) -> list[Entry]:
        """Return all claims whose process is there, in their order; remove the others."""
        entries = []
        for path in sorted(self.folder.glob("*.claim")):
            try:
                with open(path, "r+") as file:
                    if lock_now(file):
                        path.unlink(missing_ok=True)  # its process is gone
                    else:
                        entry = json.load(file)
                        entries.append(Entry(**{**entry, "wants": tuple(entry["wants"])}))
            except FileNotFoundError:
                continue  # given up since the folder was listed
        return entries
