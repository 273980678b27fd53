"""The place of the prediction log: a folder, or an object store that pyarrow knows; files appear there whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


class Store:
    """The files below a folder or URL, which is opened when it is first needed."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self._folder = Path(unquote(parts.path) if parts.scheme == "file" else url) if _is_local(parts.scheme) else None
        self._remote: tuple[Any, str] | None = None

    def __str__(self) -> str:
        return without_secrets(self.url)

    def put(self, path: str, content: Any) -> None:
        """Write a file; nobody sees a part of it. Raises OSError where that cannot be done now."""
        if self._folder is None:
            filesystem, base = self.open()
            with filesystem.open_output_stream(f"{base}/{path}") as stream:  # it appears when the stream is closed
                stream.write(content)
            return
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.new")  # readers pass over names with a leading dot
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)

    def open(self) -> tuple[Any, str]:
        """Return the file system of pyarrow, and the path in it."""
        from pyarrow import fs

        if self._folder is not None:
            return fs.LocalFileSystem(), str(self._folder.absolute())
        if self._remote is None:
            filesystem, base = fs.FileSystem.from_uri(self.url)
            self._remote = filesystem, base.rstrip("/")
        return self._remote


def without_secrets(url: str) -> str:
    """Return a URL as it may be shown: without a user, a password and parameters, which may be keys."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl() if parts.scheme else url


def _is_local(scheme: str) -> bool:
    return scheme in ("", "file")
