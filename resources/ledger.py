"""The ledger: the coordinates of every result, kept once under their id, and what follows from them."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ml.base.files import write_whole
from ml.provenance.coordinates import Coordinates
from ml.provenance.source import Source
from resources.home import home
from resources.storage import Stored

PARTS = ("config", "environment")  # long and often the same: each is kept once, under its own id


class LedgerError(LookupError):
    """No such coordinates are kept here."""


class Ledger:
    """The folder `coordinates` of a Sextant home ($SEXTANT_HOME unless `base` says another).

    It holds one JSON file for each id; nothing in it is ever changed.
    """

    def __init__(self, base: Path | None = None) -> None:
        self.base = base or home()
        self.folder = self.base / "coordinates"

    def keep(self, coordinates: Coordinates, stored: Stored, source: Source, labels: dict[str, str]) -> None:
        """Keeps the coordinates of a stored result, and the source that made it; `labels` are its other names."""
        record = coordinates.to_dict()
        for part in PARTS:
            identity = record[part].get("hash") or record[part]["id"]
            _write_once(self.folder / part / f"{identity}.json", _json(record[part]))
            record[part] = identity
        _write_once(self.base / "archive" / f"{source.tree}.tar.xz", source.archive)
        about = {"result": asdict(stored), "labels": labels, "made_at": datetime.now(UTC).isoformat()}
        _write_once(self.folder / f"{coordinates.id}.json", _json({**record, **about}))

    def materialized(self, asset: str, identity: str) -> None:
        """Says that these coordinates are those of the asset's latest materialization, made or reused."""
        write_whole(self.folder / "latest" / f"{asset}.json", _json(identity))

    def latest_of(self, asset: str) -> str | None:
        """The id of the coordinates of the asset's latest materialization."""
        file = self.folder / "latest" / f"{asset}.json"
        return str(json.loads(file.read_bytes())) if file.is_file() else None

    def latest_result(self, asset: str) -> Stored | None:
        """The stored version of the asset's latest materialization."""
        identity = self.latest_of(asset)
        return Stored(**_read(self.folder / f"{identity}.json")["result"]) if identity else None

    @property
    def latest_of_all(self) -> set[str]:
        """The ids of the coordinates of every asset's latest materialization."""
        return {str(json.loads(file.read_bytes())) for file in (self.folder / "latest").rglob("*.json")}

    def get(self, identity: str) -> dict[str, Any]:
        """The coordinates of this id, whole, with their `result`; raises LedgerError."""
        try:
            record = _read(self.folder / f"{identity}.json")
        except FileNotFoundError:
            raise LedgerError(f"no coordinates {identity!r} in {self.folder}") from None
        return record | {part: _read(self.folder / part / f"{record[part]}.json") for part in PARTS}

    def source(self, tree: str) -> Source:
        """The archived source of this name; raises LedgerError."""
        file = self.base / "archive" / f"{tree}.tar.xz"
        if not file.exists():
            raise LedgerError(
                f"the source {tree[:12]} is not archived: {file} is missing; gc removes archives that nothing needs"
            )
        return Source.unpack(self.base, file.read_bytes())

    @cached_property
    def records(self) -> dict[str, dict[str, Any]]:
        """Every record by its id, in the order in which they were made; config and environment by their ids alone."""
        found = {file.stem: _read(file) for file in self.folder.glob("*.json")}
        return dict(sorted(found.items(), key=lambda item: str(item[1]["made_at"])))

    def latest(self, **wanted: str) -> str | None:
        """The id of the latest record whose run, result or labels have these values."""

        def fits(record: dict[str, Any]) -> bool:
            known = {**record["labels"], **record["result"], **record["run"]}
            return all(known.get(name) == value for name, value in wanted.items())

        return next((identity for identity, record in reversed(self.records.items()) if fits(record)), None)

    def upstream(self, identity: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """What a result was made from, down to the raw snapshots, each once: depth, id, record."""
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
        """The ids that a result was made from, and its own, each after what it needs.

        What it was compared with, the champion of that day, is no part of it. Raises LedgerError if one is not kept.
        """
        found: dict[str, None] = {}

        def walk(current: str) -> None:
            if current not in self.records:
                raise LedgerError(
                    f"the coordinates {current}, which {identity} was made from, are not in {self.folder}"
                )
            for name, loaded in self.records[current]["data"].items():
                if name != "champion" and loaded["coordinates"] not in found:
                    walk(loaded["coordinates"])
            found[current] = None

        walk(identity)
        return list(found)

    def dependents(self, identity: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What was made from a result, directly: id and record."""
        for other, record in self.records.items():
            if any(loaded["coordinates"] == identity for loaded in record["data"].values()):
                yield other, record


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_bytes()))


def _write_once(file: Path, content: Any) -> None:
    """Writes a file whole, unless it is there; `content` may be a function that makes it."""
    if not file.exists():
        write_whole(file, content() if callable(content) else content)
