"""Finds what nothing needs any longer: stored results, source archives, Bentos, studies and what killed fits left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import fsspec

from dagster_project.location.reaper import BEGUN
from ml.base.files import scratch_folder
from resources.bentos import BentoStore
from resources.home import home
from resources.ledger import Ledger, files_of
from resources.storage import Storage
from resources.studies import Studies
from resources.tracking.tracker import Tracker

QUEUED = dg.DagsterRunStatus.QUEUED
HEARD_FOR = timedelta(minutes=5)  # since the latest word of the daemon, which gives one every half a minute
Old = Callable[[datetime], bool]  # whether something from this time may go
_UNFINISHED = ("sextant", "building", "removing")  # what folders of the store of Bentos begin with until they are done


class RunsUnderWayError(RuntimeError):
    """A run may be about to reuse what nothing seems to need."""


@dataclass(frozen=True)
class Garbage:
    """Something that can go; `kind` is the asset whose result it was, or what it is: `bento`, `study` and so on.

    `path` is a URL, or the name of a study, whose size in the database is not told.
    """

    kind: str
    path: str
    size: int


def garbage(
    ledger: Ledger,
    storage: Storage,
    bentos: BentoStore,
    tracking: Tracker,
    studies: Studies,
    older_than: timedelta,
    say: Callable[[str], None] = lambda _: None,
) -> list[Garbage]:
    """Return what no alias, promotion, asset's latest materialization or result younger than `older_than` needs.

    A result needs all that it was made from and compared with, so no ancestor of a champion is ever garbage. Where the
    ledger has lost what a needed result was made from, nothing from before that result is garbage, and `say` hears so.
    """
    since = datetime.now(UTC) - older_than
    needed = _needed(ledger, tracking, since)
    torn = _torn(ledger, needed)
    if torn:
        say(
            f"nothing from before {max(torn.values()):%Y-%m-%d %H:%M} UTC goes, for the coordinates "
            f"{', '.join(sorted(torn))} are missing in {ledger.folder}, from which needed results were made: put them "
            "back from a backup, or materialize these results anew"
        )

    def old(at: datetime) -> bool:
        return at < since and all(at > of_user for of_user in torn.values())

    pieces = [
        *_results(ledger, storage, needed, old),
        *_archives(ledger, needed, old),
        *_bentos(ledger, bentos, needed, old),
        *_studies(ledger, studies, needed, old),
        *_left_by_kills(studies, bentos, since),
    ]
    return sorted(pieces, key=lambda piece: (piece.kind, piece.path))


def _needed(ledger: Ledger, tracking: Tracker, since: datetime) -> set[str]:
    # An alias may have moved in a step that died before its promotion was recorded, so it counts by itself.
    goals = (ledger.latest_of_all | set(tracking.aliased())) & ledger.records.keys()
    for identity, record in ledger.records.items():
        if "model" in record["labels"] or datetime.fromisoformat(record["made_at"]) >= since:
            goals.add(identity)
    return goals | {other for goal in goals for _, other, _ in ledger.upstream(goal)}


def _torn(ledger: Ledger, needed: set[str]) -> dict[str, datetime]:
    """Return the ids that the ledger has lost of needed results and their inputs, with the time until which it matters.

    What a result was compared with, the champion of that day, may be known in another home alone.
    """
    lost = dict.fromkeys(ledger.latest_of_all - ledger.records.keys(), datetime.now(UTC))
    for record in (ledger.records[identity] for identity in needed):
        inputs = {loaded["coordinates"] for name, loaded in record["data"].items() if name != "champion"}
        for identity in inputs - ledger.records.keys():
            made_at = datetime.fromisoformat(record["made_at"])
            lost[identity] = max(made_at, lost.get(identity, made_at))
    return lost


def _results(ledger: Ledger, storage: Storage, needed: set[str], old: Old) -> Iterator[Garbage]:
    """Yield files of the storage that belong to nothing needed; what nobody recorded was left by a step that died."""
    owners = {path: identity for identity, record in ledger.records.items() for path in files_of(record)}
    needed_files = {path for identity in needed for path in files_of(ledger.records[identity])} | ledger.shown
    fs, base = fsspec.core.url_to_fs(storage.base())
    for full, about in fs.find(base, detail=True).items():
        path = full.removeprefix(base).lstrip("/")
        if path not in needed_files and old(fs.modified(full)):
            owner = owners.get(path)
            kind = ledger.records[owner]["run"]["asset"] if owner else "unknown"
            yield Garbage(kind, fs.unstrip_protocol(full), int(about["size"]))


def _archives(ledger: Ledger, needed: set[str], old: Old) -> Iterator[Garbage]:
    trees = {ledger.records[identity]["code"]["tree"] for identity in needed}
    for file in (ledger.base / "archive").glob("*.tar.xz"):
        if file.name.removesuffix(".tar.xz") not in trees and old(_modified(file)):
            yield Garbage("source", _url(file), file.stat().st_size)


def _bentos(ledger: Ledger, bentos: BentoStore, needed: set[str], old: Old) -> Iterator[Garbage]:
    """Yield the Bentos but the needed ones and each promoted version's newest."""
    newest = {record["labels"]["model"]: tag for record, tag in _packaged(ledger)}
    of_needed = (ledger.records[identity]["labels"].get("bento") for identity in needed)
    needed_tags = {*newest.values(), *of_needed, *bentos.first()}
    for folder in (bentos.folder() / "bentos").glob("*/*/"):
        tag = f"{folder.parent.name}:{folder.name}"
        if tag not in needed_tags and old(_modified(folder)):
            yield Garbage("bento", _url(folder), _size_of(folder))


def _studies(ledger: Ledger, studies: Studies, needed: set[str], old: Old) -> Iterator[Garbage]:
    """Yield the studies that no needed model was found by, and that have had no trial since."""
    needed_studies = {ledger.records[identity]["labels"].get("study") for identity in needed}
    for name, last in studies.last_used().items():
        of_targets = name.rpartition("/")[0]  # each of several targets has a study of its own below the model's
        if not needed_studies & {name, of_targets} and old(last):
            yield Garbage("study", name, 0)


def _left_by_kills(studies: Studies, bentos: BentoStore, since: datetime) -> Iterator[Garbage]:
    """Yield checkpoints, rows that workers shared, and Bentos, that were never taken up again.

    Of a process of this host the reaper has removed the last before, at any age.
    """
    for folder in (folder for name in _UNFINISHED for folder in bentos.folder().glob(f"{name}-*/")):
        if _modified(folder) < since:
            yield Garbage("bento", _url(folder), _size_of(folder))
    for kind, folder in (("checkpoint", home() / "checkpoints"), ("rows", studies.rows())):
        for file in folder.rglob("*"):
            if file.is_file() and _modified(file) < since:
                yield Garbage(kind, _url(file), file.stat().st_size)


def _packaged(ledger: Ledger) -> Iterator[tuple[dict[str, dict[str, str]], str]]:
    """Yield promotions with the tag of each Bento that was made from them, the latest last."""
    for record in ledger.records.values():
        if (tag := record["labels"].get("bento")) is not None:
            promotion = record["data"]["production_model"]["coordinates"]
            if promotion in ledger.records:
                yield ledger.records[promotion], tag


def _url(path: Path) -> str:
    return f"file://{path}"  # as fsspec writes it, which takes no escapes for characters


def _size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def remove(pieces: list[Garbage], studies: Studies) -> None:
    """Remove garbage, each Bento at once. Raises RunsUnderWayError, and removes nothing, while a run is under way.

    One that is queued is not, as long as there is no daemon to begin it: it will look at what is there then.
    """
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=[*BEGUN, *([QUEUED] if _daemon_is_there(instance) else [])]))
    if runs:
        ids = ", ".join(f"{run.run_id} ({run.status.value.lower()})" for run in runs[:5])
        raise RunsUnderWayError(f"nothing was removed, for a run may need it: wait for {ids}, or cancel it in the UI")
    for piece in pieces:
        if piece.kind == "study":
            studies.delete(piece.path)
            continue
        fs, path = fsspec.core.url_to_fs(piece.path)
        if piece.kind != "bento":
            fs.rm_file(path)
            continue
        with scratch_folder(BentoStore().folder()) as aside:
            Path(path).rename(aside / "bento")


def _daemon_is_there(instance: dg.DagsterInstance) -> bool:
    """Return whether a daemon of Dagster's has given word lately, which may begin with what is queued."""
    latest = max((beat.timestamp for beat in instance.get_daemon_heartbeats().values()), default=0.0)
    return datetime.now(UTC) - datetime.fromtimestamp(latest, UTC) < HEARD_FOR


def as_text(pieces: list[Garbage]) -> str:
    """Return a line for each piece, with its size, and a line with the sum."""
    lines = [f"{_size(piece.size):>10}  {piece.kind:<40} {piece.path}" for piece in pieces]
    total = _size(sum(piece.size for piece in pieces))
    return "\n".join([*lines, f"{total:>10}  in {len(pieces)} files, Bentos and studies"])


def _size(size: float) -> str:
    return f"{size / 1e6:,.2f} MB"
