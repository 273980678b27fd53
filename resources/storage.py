"""Storage: results as immutable, content-addressed files, and the Dagster IO manager over them."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import fsspec
import pyarrow as pa
from pydantic import dataclasses as checked

from ml.base.files import open_whole, scratch_folder
from ml.base.hashing import hash_bytes, hash_file, hash_table
from ml.base.table_file import TableFile
from resources.formats import TABLES, Content, decode, decode_table, hash_of, join, plain, rows_that_stay, write
from resources.home import home
from resources.settings import settings

METADATA = "stored"
_Read = TypeVar("_Read")


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
        added = content.slice(rows) if before and not isinstance(content, bytes) else content
        name = hash_of(added) if before else whole
        file = self._ensure(f"{key}/{name}{suffix or usual}", kind, added, name)
        return Stored(**asdict(file), hash=whole, kind=kind, before=before)

    def _shared(self, kind: str, content: Content, earlier: Stored | None) -> tuple[tuple[File, ...], int]:
        """Return an earlier version's files with this table's first rows, and their number; none if one is damaged."""
        if earlier is None or kind != earlier.kind or isinstance(content, bytes):
            return (), 0
        try:
            with ExitStack() as stack:
                files = [stack.enter_context(self._table_file(file)) for file in earlier.files]
                rows = rows_that_stay(content, files, earlier.hash)
        except StorageError:
            return (), 0
        return earlier.files[: len(rows)], sum(rows)

    @contextmanager
    def _table_file(self, file: File) -> Iterator[TableFile]:
        """Yield a stored table as a file on this machine; raise StorageError if it is missing or damaged."""
        fs, base = fsspec.core.url_to_fs(self.base())
        if "file" in fs.protocol:
            self._check(file)
            yield TableFile(Path(f"{base}/{file.path}"))
            return
        with scratch_folder() as folder:
            (folder / "table.parquet").write_bytes(self.content(file))
            yield TableFile(folder / "table.parquet")

    def _ensure(self, path: str, kind: str, content: Content, name: str) -> File:
        """Write the file with this content, unless it is there and whole."""
        fs, base = fsspec.core.url_to_fs(self.base())
        target = f"{base}/{path}"
        if not _is_whole(fs, target, kind, name):
            _write(fs, target, content)
        digest, size = _digest(fs, target)
        return File(path=path, digest=digest, size=size)

    def load(self, stored: Stored, columns: Collection[str] | None = None) -> Any:
        """Return the value of a stored version, of a table those of `columns` that it has.

        Raises StorageError if a file of it is missing or not what was written.
        """
        if stored.kind not in TABLES:
            return decode(stored.kind, bytes(self.content(stored)))
        table = join([decode_table(self.content(file), columns) for file in stored.files])
        return table.to_pandas() if stored.kind == "frame" else table

    def verify(self, stored: Stored) -> None:
        """Raise StorageError if a file of a stored version is missing or not what was written."""
        for file in stored.files:
            self._check(file)

    def content(self, file: File) -> memoryview:
        """Return the bytes of a stored file; raise StorageError if it is missing or not what was written."""
        return self._checked(file, lambda fs, target: (content := _read(fs, target), hash_bytes(content)))

    def _check(self, file: File) -> None:
        """Raise StorageError if a stored file is missing or not what was written; little of it is in memory at once."""
        self._checked(file, lambda fs, target: (None, _digest(fs, target)[0]))

    def _checked(self, file: File, read: Callable[[Any, str], tuple[_Read, str]]) -> _Read:
        """Return what is read of a stored file, once its SHA-256, which is read beside it, is the expected one."""
        fs, base = fsspec.core.url_to_fs(self.base())
        target = f"{base}/{file.path}"
        try:
            content, digest = read(fs, target)
        except FileNotFoundError as error:
            raise StorageError(f"{target} is missing; materialize the asset that makes it again") from error
        if digest != file.digest:
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


def _digest(fs: Any, target: str) -> tuple[str, int]:
    """Return the SHA-256 of a file and the number of its bytes, of which few are in memory at a time."""
    with fs.open(target, "rb") as file:
        return hash_file(file), file.tell()


def _read(fs: Any, target: str) -> memoryview:
    """Return the bytes of a file; those of one on this machine come into memory as they are looked at."""
    if "file" in fs.protocol and Path(target).stat().st_size:
        with open(target, "rb") as file:
            return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
    return memoryview(fs.cat_file(target))


def _is_whole(fs: Any, target: str, kind: str, expected: str) -> bool:
    """Return whether a file is there, and its content has the expected hash."""
    try:
        if kind not in TABLES:
            return _digest(fs, target)[0] == expected
        table = TableFile(Path(target)) if "file" in fs.protocol else decode_table(_read(fs, target))
        return hash_table(table) == expected
    except (FileNotFoundError, pa.ArrowException, OSError):
        return False


def _write(fs: Any, target: str, content: Content) -> None:
    if "file" in fs.protocol:
        with open_whole(Path(target)) as file:
            write(content, file)
        return
    fs.makedirs(target.rpartition("/")[0], exist_ok=True)
    with scratch_folder() as folder:
        with open(folder / "content", "wb") as beside:
            write(content, beside)
        fs.put_file(str(folder / "content"), target)  # object stores make an object visible whole or not at all


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
