"""The ledger: the coordinates of every result, kept once under their id, and what follows from them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ml.base.files import write_whole
from ml.base.hashing import hash_json
from ml.provenance.coordinates import Coordinates, Loaded
from ml.provenance.source import Source
from resources.home import home
from resources.storage import Stored

_Kind = TypeVar("_Kind")
_OF_A_RECORD = {"code", "config", "data", "environment", "labels", "made_at", "result", "run", "seed"}
PARTS = ("config", "environment")  # long and often the same: each is kept once, under the hash of all it says


class LedgerError(LookupError):
    """No such coordinates are kept here, or not as they were written."""


class Ledger:
    """The folder `coordinates` of a Sextant home ($SEXTANT_HOME unless `base` says another).

    It holds one JSON file for each id; nothing in it is ever changed.
    """

    def __init__(self, base: Path | None = None) -> None:
        self.base = base or home()
        self.folder = self.base / "coordinates"

    def keep(
        self,
        coordinates: Coordinates,
        stored: Stored,
        source: Source,
        labels: Mapping[str, str],
        attached: Mapping[str, Stored] | None = None,
    ) -> None:
        """Keep the coordinates of a stored result, and the source that made it.

        `labels` are its other names; what is `attached` is stored beside it and belongs to it.
        """
        record = coordinates.to_dict()
        config, environment = record["config"], record["environment"]
        whole = hash_json(config["value"])
        self._part("config", whole, {"hash": whole, "value": config["value"]})
        self._part("environment", environment["id"], environment)
        record |= {"config": whole, "environment": environment["id"]}
        record["config_read"] = {name: config[name] for name in ("hash", "reads")}
        _write_once(self.base / "archive" / f"{source.tree}.tar.xz", source.archive)
        about = {"result": asdict(stored), "labels": dict(labels), "made_at": datetime.now(UTC).isoformat()}
        about["attached"] = {name: asdict(file) for name, file in (attached or {}).items()}
        _write_once(self.folder / f"{coordinates.id}.json", _json({**record, **about}))

    def _part(self, part: str, identity: str, content: Mapping[str, Any]) -> None:
        _write_once(self.folder / part / f"{identity}.json", _json(content))

    def materialized(self, asset: str, identity: str) -> None:
        """Note that these coordinates are those of the asset's latest materialization, made or reused."""
        write_whole(self.folder / "latest" / f"{asset}.json", _json(identity))

    def show(self, asset: str, files: Sequence[str]) -> None:
        """Note which files of the storage show the asset's latest materialization, beside those of its record."""
        write_whole(self.folder / "shown" / f"{asset}.json", _json(list(files)))

    def shown_of(self, asset: str) -> list[str]:
        """Return the files of the storage that show the asset's latest materialization, beside those of its record."""
        file = self.folder / "shown" / f"{asset}.json"
        return list(json.loads(file.read_bytes())) if file.is_file() else []

    @property
    def shown(self) -> set[str]:
        """Return the files of the storage that show the latest materializations."""
        return {path for file in (self.folder / "shown").rglob("*.json") for path in _read(file, list)}

    def latest_of(self, asset: str) -> str | None:
        """Return the id of the coordinates of the asset's latest materialization; None if it has none."""
        file = self.folder / "latest" / f"{asset}.json"
        return _read(file, str) if file.is_file() else None

    def latest_result(self, asset: str) -> Stored | None:
        """Return the stored version of the asset's latest materialization; None if it has none."""
        file = self.folder / f"{self.latest_of(asset)}.json"
        return Stored(**_record(file)["result"]) if file.is_file() else None

    def promoted(self, use_case: str) -> tuple[str, str] | None:
        """Return the champion of the latest `production_model`: its version and its model's hash, empty if not kept."""
        file = self.folder / f"{self.latest_of(f'{use_case}/production_model')}.json"
        labels = _record(file)["labels"] if file.is_file() else {}
        version = str(labels.get("model", "")).rpartition(":")[2]
        return (version, str(labels.get("model hash", ""))) if version else None

    @property
    def latest_of_all(self) -> set[str]:
        """Return the ids of the coordinates of every asset's latest materialization."""
        return {_read(file, str) for file in (self.folder / "latest").rglob("*.json")}

    def get(self, identity: str) -> dict[str, Any]:
        """Return the coordinates of this id, whole, with their `result`; raise LedgerError if they are not kept."""
        try:
            record = _record(self.folder / f"{identity}.json")
            parts = {part: _read(self.folder / part / f"{record[part]}.json", dict) for part in PARTS}
        except FileNotFoundError as error:
            part = f": {error.filename} is missing" if Path(error.filename).parent != self.folder else ""
            raise LedgerError(f"no coordinates {identity!r} in {self.folder}{part}") from None
        parts["config"] |= {**record.get("config_read", {}), "whole": record["config"]}
        return record | parts

    def coordinates(self, identity: str) -> Coordinates:
        """Return the coordinates of this id as they were kept; raise LedgerError if they are not."""
        record = self.get(identity)
        config = {name: part for name, part in record["config"].items() if name != "whole"}
        data = {name: Loaded(**loaded) for name, loaded in record["data"].items()}
        code, environment, run, seed = (record[name] for name in ("code", "environment", "run", "seed"))
        return Coordinates(data, code, config, environment, run, seed)

    def attached(self, identity: str) -> dict[str, Stored]:
        """Return what is stored beside the result of these coordinates and belongs to it, by name."""
        return {name: Stored(**stored) for name, stored in self.get(identity).get("attached", {}).items()}

    def source(self, tree: str) -> Source:
        """Return the archived source of this name; raise LedgerError if it is not there."""
        file = self.base / "archive" / f"{tree}.tar.xz"
        if not file.exists():
            raise LedgerError(
                f"the source {tree[:12]} is not archived: {file} is missing; gc removes archives that nothing needs"
            )
        return Source.unpack(self.base, file.read_bytes())

    @cached_property
    def records(self) -> dict[str, dict[str, Any]]:
        """Return every record by its id, the oldest one first; config and environment by their ids alone."""
        records = {file.stem: _record(file) for file in self.folder.glob("*.json")}
        return dict(sorted(records.items(), key=lambda entry: str(entry[1]["made_at"])))

    def latest(self, **wanted: str) -> str | None:
        """Return the id of the latest record whose run, result or labels have these values; None if none has."""

        def fits(record: dict[str, Any]) -> bool:
            fields = {**record["labels"], **record["result"], **record["run"]}
            return all(fields.get(name) == value for name, value in wanted.items())

        return next((identity for identity, record in reversed(self.records.items()) if fits(record)), None)

    def with_file(self, *, path: str | None = None, digest: str | None = None) -> list[str]:
        """Return the ids of the records with a file at this path, or of this digest, the latest first.

        Records whose own result it is stand before those that share it, or that it is stored with.
        """
        own, others = list[str](), list[str]()
        for identity, record in reversed(self.records.items()):
            files = list(files_of(record).items())
            if (path, digest) in {(files[0][0], None), (None, files[0][1])}:
                own.append(identity)
            elif any(path == place or digest == content for place, content in files):
                others.append(identity)
        return own + others

    def with_content(self, asset: str, content: str) -> list[str]:
        """Return the ids of the coordinates that an asset had whenever its content had this hash, the oldest first."""
        return [
            identity
            for identity, record in self.records.items()
            if record["run"]["asset"] == asset and record["result"]["hash"] == content
        ]

    def upstream(self, identity: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Yield depth, id and record of all that a result was made from, down to the raw snapshots, each once."""
        seen: set[str] = set()

        def walk(current: str, depth: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
            for loaded in self.records[current]["data"].values():
                other = loaded["coordinates"]
                if other in self.records and other not in seen:
                    seen.add(other)
                    yield depth, other, self.records[other]
                    yield from walk(other, depth + 1)

        yield from walk(identity, 1)

    def in_order(self, identity: str) -> list[str]:
        """Return the ids that a result was made from, and its own, each after what it needs.

        What it was compared with, the champion of that day, is no part of it. Raises LedgerError if one is not kept.
        """
        ordered: dict[str, None] = {}

        def walk(current: str) -> None:
            if current not in self.records:
                raise LedgerError(
                    f"the coordinates {current}, which {identity} was made from, are not in {self.folder}"
                )
            for name, loaded in self.records[current]["data"].items():
                if name != "champion" and loaded["coordinates"] and loaded["coordinates"] not in ordered:
                    walk(loaded["coordinates"])
            ordered[current] = None

        walk(identity)
        return list(ordered)

    def dependents(self, identity: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield id and record of all that was made from a result directly."""
        for other, record in self.records.items():
            if any(loaded["coordinates"] == identity for loaded in record["data"].values()):
                yield other, record


def files_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of a record's files by path: its own result's, what that shares, what lies beside it."""
    result, *attached = (Stored(**stored) for stored in (record["result"], *record.get("attached", {}).values()))
    *shared, own = result.files
    files = {
        file.path: file.digest for stored in ([own], shared, *(also.files for also in attached)) for file in stored
    }
    if page := record["labels"].get("report"):
        files[page] = PurePosixPath(page).stem  # a page bears the hash of its bytes
    return files


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _record(file: Path) -> dict[str, Any]:
    """Return the record of a file; raise FileNotFoundError if it is not there, LedgerError if it is damaged."""
    record = _read(file, dict)
    if lacking := sorted(_OF_A_RECORD - record.keys()):
        raise _damaged(file, f"it lacks {', '.join(lacking)}")
    return record


def _read(file: Path, kind: type[_Kind]) -> _Kind:
    """Return the JSON value of a file, which is of this kind; raise LedgerError if it is damaged."""
    try:
        value = json.loads(file.read_bytes())
    except ValueError as error:
        raise _damaged(file, "it is no JSON") from error
    if not isinstance(value, kind):
        raise _damaged(file, f"it holds no {kind.__name__}")
    return value


def _damaged(file: Path, how: str) -> LedgerError:
    return LedgerError(
        f"{file} is damaged, {how}: put it back from a backup, or remove it, so that what it says is not known here, "
        "and materialize anew what needs it"
    )


def _write_once(file: Path, content: Any) -> None:
    """Write a file whole, unless it is there; `content` may be a function that makes it."""
    if not file.exists():
        write_whole(file, content() if callable(content) else content)
