"""Places of files: the one of a path, all of a folder, or all that a pattern matches, and what folders' names tell."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ml.base.sql import DataError
from ml.declaration.part import without_secrets

_NOTHING = "__HIVE_DEFAULT_PARTITION__"  # what Hive calls the folder of rows whose value is missing
_WILD = set("*?[")


@dataclass(frozen=True)
class Place:
    """A file on a file system, and the values that Hive's names of its folders, such as year=2024, tell."""

    fs: Any
    path: str
    partition: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The path as messages have it."""
        return without_secrets(self.path)

    @property
    def is_local(self) -> bool:
        return "file" in self.fs.protocol

    @contextmanager
    def open(self, *, packed: bool = True) -> Iterator[Any]:
        """Yield the file opened; `packed`: one whose ending says that it is compressed as it was before."""
        import fsspec

        with self.fs.open(self.path, "rb") as file:
            packing = fsspec.core.get_compression(self.path, "infer") if packed else None
            if packing is None:
                yield file
                return
            unpack = self._member if packing == "zip" else fsspec.compression.compr[packing]
            with unpack(file, mode="rb") as unpacked:
                yield unpacked

    @contextmanager
    def _member(self, file: Any, mode: str) -> Iterator[Any]:
        """Yield the one file of an archive; what a system hides in it is none. Raises DataError for several."""
        with zipfile.ZipFile(file) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            seen = [name for name in names if not re.match(r"__MACOSX/|(.*/)?\.", name)]
            if len(seen) != 1:
                raise DataError(
                    f"the archive {self.shown!r} holds {len(seen)} files, {sorted(seen)}; pack each by itself, and "
                    "read several by source.glob"
                )
            with archive.open(seen[0]) as member:
                yield member


def places_at(path: str) -> list[Place]:
    """Return the file at a path, or the files in the folder there. Raises DataError for a folder without any."""
    import fsspec

    fs, place = fsspec.core.url_to_fs(path)
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if protocols & {"http", "https"} or not fs.isdir(place):  # to ask a web server for a folder loads the file
        return [Place(fs, place)]
    found = [str(name) for name in fs.find(place)]
    return _sorted(fs, found, place, f"the folder {without_secrets(path)!r} holds no file; correct source.path")


def places_like(pattern: str) -> list[Place]:
    """Return the files that match a pattern. Raises DataError where there are none."""
    import fsspec

    fs, place = fsspec.core.url_to_fs(pattern)
    fixed = "/".join(_until_wild(place.split("/")))
    files = [str(name) for name, about in fs.glob(place, detail=True).items() if about["type"] == "file"]
    return _sorted(fs, files, fixed, f"no file matches {without_secrets(pattern)!r}; correct source.glob")


def _until_wild(parts: list[str]) -> Iterator[str]:
    for part in parts:
        if _WILD & set(part):
            return
        yield part


def _sorted(fs: Any, files: list[str], below: str, nothing: str) -> list[Place]:
    """Return the files in the order of their paths, without those that are hidden, as _SUCCESS and .crc are."""
    inside = {path: path.removeprefix(below).strip("/").split("/") for path in sorted(files)}
    seen = {path: parts for path, parts in inside.items() if not any(part[:1] in ("_", ".") for part in parts)}
    if not seen:
        raise DataError(nothing)
    names = {path: [_named(part) for part in parts[:-1] if _is_named(part)] for path, parts in seen.items()}
    places = [Place(fs, path, dict(pairs)) for path, pairs in names.items()]
    first = places[0]
    for place in places:
        if len(place.partition) < len(names[place.path]):
            raise DataError(f"{place.shown!r} lies in two folders of one name; rename one of them")
        if list(place.partition) != list(first.partition):
            raise DataError(
                f"{place.shown!r} lies in folders that name {list(place.partition)}, and {first.shown!r} in such that "
                f"name {list(first.partition)}; lay all files out alike"
            )
    return places


def folder_values(path: str) -> dict[str, str | None]:
    """Return the values that Hive's names of the folders of a path, such as year=2024, tell."""
    return dict(_named(part) for part in path.split("/")[:-1] if _is_named(part))


def _is_named(folder: str) -> bool:
    return bool(folder.partition("=")[0]) and "=" in folder


def _named(folder: str) -> tuple[str, str | None]:
    name, _, value = folder.partition("=")
    return unquote(name), None if value == _NOTHING else unquote(value)
