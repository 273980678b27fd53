"""Storage: results as immutable, content-addressed files, and the Dagster IO manager over them."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import pyarrow as pa
from pydantic import dataclasses as checked

from ml.base.files import write_whole
from ml.base.hashing import hash_bytes
from resources.formats import TABLES, Content, decode, decode_table, encode, hash_of, join, plain, rows_that_stay, shape
from resources.home import home
from resources.settings import settings

METADATA = "stored"


class StorageError(RuntimeError):
    """A stored result is missing or damaged."""


@checked.dataclass(frozen=True, kw_only=True)
class File:
    """An immutable file: its path in the storage, and the SHA-256 and the number of its bytes."""

    path: str
    digest: str
    size: int


@checked.dataclass(frozen=True, kw_only=True)
class Stored(File):
    """One immutable version: the hash of its content, and its file.

    A table that grew lies in several: `before` are those of the rows before the ones in its own file.
    """

    hash: str
    kind: str
    before: tuple[File, ...] = ()

    @property
    def files(self) -> tuple[File, ...]:
        """Return all its files, those of a table in the order of its rows."""
        return (*self.before, File(path=self.path, digest=self.digest, size=self.size))


@checked.dataclass(frozen=True, kw_only=True)
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
        """Return those of `columns` that it has, in its own order; all of them if none are named."""
        return self.storage.load(self.stored, columns)


class Storage(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A folder or any fsspec URL. Files are written beside, flushed and renamed; nothing is ever overwritten."""

    url: str = ""

    def base(self) -> str:
        """Return the URL under which everything lies; $SEXTANT_HOME/storage unless configured."""
        return self.url.rstrip("/") or str(home() / "storage")

    def save(self, key: str, value: Any, suffix: str | None = None, grown_from: Stored | None = None) -> Stored:
        """Write a value under its content's hash; content that is there already, and whole, is not written again.

        `suffix` replaces the file's ending, such as .html for bytes that are a page. A table that starts with all rows
        of `grown_from` shares files with it where that pays; its hash is the same as that of a table in one file.
        """
        kind, usual, content = plain(value)
        whole = hash_of(content)
        before, rows = self._shared(kind, content, grown_from)
        if grown_from and before and grown_from.hash == whole:
            return grown_from
        added = content.slice(rows) if isinstance(content, pa.Table) and before else content
        name = hash_of(added) if before else whole
        path = f"{key}/{name}{suffix or usual}"
        file = self._ensure(path, kind, added, name)
        return Stored(path=path, hash=whole, digest=hash_bytes(file), size=len(file), kind=kind, before=before)

    def _shared(self, kind: str, content: Content, earlier: Stored | None) -> tuple[tuple[File, ...], int]:
        """Return an earlier version's files with this table's first rows, and their number; none if one is damaged."""
        if earlier is None or kind != earlier.kind or not isinstance(content, pa.Table):
            return (), 0
        try:
            shapes = [shape(self.content(file)) for file in earlier.files]
        except StorageError:
            return (), 0
        rows = rows_that_stay(content, shapes, earlier.hash)
        return earlier.files[: len(rows)], sum(rows)

    def _ensure(self, path: str, kind: str, content: Content, name: str) -> bytes:
        """Write the file with this content, unless it is there and whole; return its bytes."""
        fs, base = fsspec.core.url_to_fs(self.base())
        target = f"{base}/{path}"
        file = _whole(fs, target, kind, name)
        if file is None:
            file = encode(content)
            _write(fs, target, file)
        return file

    def load(self, stored: Stored, columns: Collection[str] | None = None) -> Any:
        """Return the value of a stored version, of a table those of `columns` that it has.

        Raises StorageError if a file of it is missing or not what was written.
        """
        if stored.kind not in TABLES:
            return decode(stored.kind, self.content(stored))
        table = join([decode_table(self.content(file), columns) for file in stored.files])
        return table.to_pandas() if stored.kind == "frame" else table

    def verify(self, stored: Stored) -> None:
        """Raise StorageError if a file of a stored version is missing or not what was written."""
        for file in stored.files:
            self.content(file)

    def content(self, file: File) -> bytes:
        """Return the bytes of a stored file; raise StorageError if it is missing or not what was written."""
        fs, base = fsspec.core.url_to_fs(self.base())
        target = f"{base}/{file.path}"
        try:
            content: bytes = fs.cat_file(target)
        except FileNotFoundError as error:
            raise StorageError(f"{target} is missing; materialize the asset that makes it again") from error
        if hash_bytes(content) != file.digest:
            raise StorageError(
                f"{target} is damaged: its SHA-256 is not {file.digest[:12]}…; materialize the asset that makes it "
                "again"
            )
        return content

    def uri(self, file: File) -> str:
        """Return the full path or URL of a stored file."""
        return f"{self.base()}/{file.path}"


def storage() -> Storage:
    """Return the storage as the environment sets it up."""
    return Storage(url=settings().storage_url)


def _whole(fs: Any, target: str, kind: str, expected: str) -> bytes | None:
    """Return the file's bytes if its content has the expected hash; None where it is missing or damaged."""
    try:
        file: bytes = fs.cat_file(target)
        content = decode_table(file) if kind in TABLES else file
    except (FileNotFoundError, pa.ArrowException, OSError):
        return None
    return file if hash_of(content) == expected else None


def _write(fs: Any, target: str, content: bytes) -> None:
    if "file" in fs.protocol:
        write_whole(Path(target), content)
        return
    fs.makedirs(target.rpartition("/")[0], exist_ok=True)
    fs.pipe_file(target, content)  # object stores make an object visible whole or not at all


class StorageIOManager(dg.ConfigurableIOManager):
    """Hands stored versions from asset to asset; a Dagster materialization is what commits one."""

    storage: dg.ResourceDependency[Storage]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Name the stored version in the materialization; a plain value is stored first."""
        stored = obj if isinstance(obj, Stored) else self.storage.save(context.asset_key.to_user_string(), obj)
        uris = [self.storage.uri(file) for file in stored.files]
        context.add_output_metadata(
            {
                METADATA: dg.MetadataValue.json(asdict(stored)),
                **({"dagster/uri": uris[0]} if len(uris) == 1 else {"files": dg.MetadataValue.json(uris)}),
                "size (bytes)": sum(file.size for file in stored.files),
            }
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """Return the version that this run has materialized, else the latest one, of which the asset loads its part."""
        return find(context.instance, context.asset_key, context.step_context.run_id)


def find(instance: dg.DagsterInstance, key: dg.AssetKey, run_id: str | None = None) -> Version:
    """Return the version of an asset that a run has materialized, else the latest one.

    An event that somebody reported in the UI names no stored version, and is passed over. Raises StorageError if the
    asset was never materialized.
    """
    records = instance.fetch_materializations(key, limit=50).records
    events = [(record.run_id, event.metadata) for record in records if (event := record.asset_materialization)]
    stored = [(run, metadata) for run, metadata in events if METADATA in metadata]
    latest = stored[0][1] if stored else {}
    version = next((metadata for run, metadata in stored if run == run_id), latest)
    if not version:
        raise StorageError(f"{key.to_user_string()} was never materialized; materialize it first")
    identity = str(version["coordinates id"].value) if "coordinates id" in version else ""
    return Version(**version[METADATA].value, asset=key.to_user_string(), coordinates=identity)  # type: ignore[arg-type]
