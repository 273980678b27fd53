"""Storage: results as immutable, content-addressed files, and the Dagster IO manager over them."""

import importlib
import io
import json
import os
import pickle
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from ml.hashing import hash_bytes, hash_table
from resources.home import home

METADATA = "stored"


class StorageError(RuntimeError):
    """A stored result is missing or damaged."""


@dataclass(frozen=True)
class Stored:
    """One immutable version: where it lies, the hash of its content and the digest of its file."""

    path: str
    hash: str
    digest: str
    size: int
    kind: str


@dataclass(frozen=True)
class Version(Stored):
    """The stored version of an asset, as Dagster knows it, with the id of its coordinates."""

    asset: str
    coordinates: str


@dataclass(frozen=True)
class Columns:
    """A stored table of which an asset reads what it needs."""

    storage: "Storage"
    stored: Stored

    def read(self, columns: Collection[str] | None = None) -> Any:
        """Those of `columns` that it has, in its own order; all of them if none are named."""
        return self.storage.load(self.stored, columns)


class Storage(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A folder or any fsspec URL. Files are written beside, flushed and renamed; nothing is ever overwritten."""

    url: str = ""

    def base(self) -> str:
        """The URL under which everything lies; $SEXTANT_HOME/storage unless configured."""
        return self.url.rstrip("/") or str(home() / "storage")

    def save(self, key: str, value: Any, suffix: str | None = None) -> Stored:
        """Writes a value under its content's hash; content that is there already, and whole, is not written again.

        `suffix` replaces the file's ending, such as .html for bytes that are a page.
        """
        kind, usual, content, digest_of_values = _encode(value)
        suffix = suffix or usual
        path = f"{key}/{digest_of_values}{suffix}"
        fs, base = fsspec.core.url_to_fs(self.base())
        target = f"{base}/{path}"
        there = _whole(fs, target, kind, digest_of_values)
        if there is None:
            _write(fs, target, content)
        else:
            content = there
        return Stored(path, digest_of_values, hash_bytes(content), len(content), kind)

    def load(self, stored: Stored, columns: Collection[str] | None = None) -> Any:
        """The value of a stored version, of a table those of `columns` that it has.

        Raises StorageError if its file is missing or not what was written.
        """
        return _decode(stored.kind, self.content(stored), columns)

    def content(self, stored: Stored) -> bytes:
        """The file of a stored version, verified; raises StorageError if it is missing or not what was written."""
        fs, base = fsspec.core.url_to_fs(self.base())
        target = f"{base}/{stored.path}"
        try:
            content: bytes = fs.cat_file(target)
        except FileNotFoundError as error:
            raise StorageError(f"{target} is missing; materialize the asset that makes it again") from error
        if hash_bytes(content) != stored.digest:
            raise StorageError(
                f"{target} is damaged: its SHA-256 is not {stored.digest[:12]}…; materialize the asset that makes it "
                "again"
            )
        return content

    def uri(self, stored: Stored) -> str:
        """The full path or URL of a stored version."""
        return f"{self.base()}/{stored.path}"


def _whole(fs: Any, target: str, kind: str, expected: str) -> bytes | None:
    """The file's content if its values have the expected hash; None where it is missing or damaged."""
    try:
        content: bytes = fs.cat_file(target)
        values = pq.read_table(io.BytesIO(content)) if kind in ("table", "frame") else content
    except (FileNotFoundError, pa.ArrowException, OSError):
        return None
    found = hash_table(values) if isinstance(values, pa.Table) else hash_bytes(values)
    return content if found == expected else None


def _encode(value: Any) -> tuple[str, str, bytes, str]:
    """Kind, file ending, content and hash of the values."""
    if isinstance(value, pd.DataFrame):
        table = pa.Table.from_pandas(value, preserve_index=False)
        return "frame", ".parquet", _parquet(table), hash_table(table)
    if isinstance(value, pa.Table):
        return "table", ".parquet", _parquet(value), hash_table(value)
    if isinstance(value, bytes):
        return "bytes", ".bin", value, hash_bytes(value)
    if isinstance(value, BaseModel):
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        content = json.dumps(value.model_dump(mode="json"), indent=1, sort_keys=True).encode()
        return f"json:{name}", ".json", content, hash_bytes(content)
    content = pickle.dumps(value, protocol=5)
    return "pickle", ".pickle", content, hash_bytes(content)


def _decode(kind: str, content: bytes, columns: Collection[str] | None) -> Any:
    if kind in ("table", "frame"):
        file = pq.ParquetFile(io.BytesIO(content))
        names = None if columns is None else [name for name in file.schema_arrow.names if name in columns]
        table = file.read(names)
        return table.to_pandas() if kind == "frame" else table
    if kind == "bytes":
        return content
    if kind == "pickle":
        return pickle.loads(content)
    module, _, name = kind.removeprefix("json:").partition(":")
    return getattr(importlib.import_module(module), name).model_validate_json(content)


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _write(fs: Any, target: str, content: bytes) -> None:
    fs.makedirs(target.rpartition("/")[0], exist_ok=True)
    if "file" not in fs.protocol:
        fs.pipe_file(target, content)  # object stores make an object visible whole or not at all
        return
    beside = f"{target}.{uuid.uuid4().hex}.part"
    with open(beside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, target)
    folder = os.open(os.path.dirname(target), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class StorageIOManager(dg.ConfigurableIOManager):
    """Hands stored versions from asset to asset; a Dagster materialization is what commits one."""

    storage: dg.ResourceDependency[Storage]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Names the stored version in the materialization; a plain value is stored first."""
        stored = obj if isinstance(obj, Stored) else self.storage.save(context.asset_key.to_user_string(), obj)
        context.add_output_metadata(
            {
                METADATA: dg.MetadataValue.json(asdict(stored)),
                "dagster/uri": self.storage.uri(stored),
                "size (bytes)": stored.size,
            }
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """The version that this run has materialized, else the latest one: as `Stored`, which the asset loads."""
        return find(context.instance, context.asset_key, context.step_context.run_id)


def find(instance: dg.DagsterInstance, key: dg.AssetKey, run_id: str | None = None) -> Version:
    """The version of an asset that a run has materialized, else the latest one."""
    records = instance.fetch_materializations(key, limit=50).records
    chosen = next((record for record in records if record.run_id == run_id), records[0] if records else None)
    made = chosen.asset_materialization.metadata if chosen and chosen.asset_materialization else {}
    if METADATA not in made:
        raise StorageError(f"{key.to_user_string()} was never materialized; materialize it first")
    identity = str(made["coordinates id"].value) if "coordinates id" in made else ""
    return Version(**made[METADATA].value, asset=key.to_user_string(), coordinates=identity)  # type: ignore[arg-type]
