"""The bytes of a CSV file, checked while they pass: where quotes are wrong, a reader would take rows for a text."""

from __future__ import annotations

import re
import zipfile
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from ml.base.sql import DataError
from ml.declaration.part import without_secrets

BLOCK = 1 << 23  # bytes that are parsed at once: no row may be longer
_ENCODINGS = {
    BOM_UTF16_LE: "is in UTF-16; save it in UTF-8",
    BOM_UTF16_BE: "is in UTF-16; save it in UTF-8",
    b"\x1f\x8b": "is compressed by gzip; let its name end in .csv.gz",
    b"PK\x03\x04": "is a zip archive; let its name end in .csv.zip",
}
# What stands outside of quotes, in quotes that a comma or a line's end follows, or is a quote inside of a plain text.
_RIGHT = re.compile(rb'(?:[^"]++|(?<=[,\r\n])"(?:[^"]++|"")*+"(?=[,\r\n])|(?<![,\r\n])")*+')
_QUOTED = re.compile(rb'"((?:[^"]++|"")*+)("?)')


@contextmanager
def opened(path: str, suffix: str) -> Iterator[CheckedBytes]:
    """Yield the bytes of a CSV file, unpacked as its ending says. Raises DataError for an archive of several files."""
    import fsspec

    if not suffix.endswith(".zip"):
        with fsspec.open(path, "rb", compression="gzip" if suffix.endswith(".gz") else None) as file:
            yield CheckedBytes(file)
        return
    with fsspec.open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        tables = [name for name in names if not re.match(r"__MACOSX/|(.*/)?\.", name)]
        if len(tables) != 1:
            raise DataError(
                f"the archive {without_secrets(path)!r} holds {len(tables)} files, {sorted(tables)}; one table is one "
                "file: pack each by itself, or read a folder of Parquet files"
            )
        with archive.open(tables[0]) as member:
            yield CheckedBytes(cast(BinaryIO, member))


class CheckedBytes:
    """A CSV file that is read from its beginning to its end, which is a line's end.

    Reading raises DataError where a quote has no other, or a text in quotes goes on behind them.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._rest, self.closed = file, b"\n", False
        self._is_first, self._is_over = True, False

    def read(self, size: int) -> bytes:
        """Return the next bytes, at the end of the file maybe one more: that of the last line's end."""
        content = self._filled(size - 1)
        if not self._is_over and len(content) < size - 1:
            self._is_over = True
            content += b"" if (self._rest + content).endswith((b"\n", b"\r")) else b"\n"
        self._check_quotes(content.removeprefix(BOM_UTF8) if self._is_first else content)
        self._is_first = False
        return content

    def _filled(self, size: int) -> bytes:
        """Return as many bytes, and fewer only at the end of the file."""
        content = bytearray()
        while len(content) < size and (more := self._file.read(size - len(content))):
            content += more
        if self._is_first:
            _check_encoding(content)
        return bytes(content)

    def close(self) -> None:
        """Leave the closing to who has opened the file."""

    def _check_quotes(self, content: bytes) -> None:
        """Check what is new; keep what may go on, and the byte before it."""
        checked = self._rest + content
        match = _RIGHT.match(checked, 1)
        end = match.end() if match else 1
        quoted = _QUOTED.match(checked, end)
        self._rest = checked[end - 1 :]
        if quoted is None:
            return
        text, is_closed = quoted[1].replace(b'""', b'"'), bool(quoted[2])
        if is_closed and quoted.end() < len(checked):
            behind = checked[quoted.end() :][:20].splitlines()[0].decode(errors="replace")
            raise DataError(
                f"a text in quotes goes on behind them: {_shown(text)} and then {behind!r}. Double a quote that stands "
                "for itself"
            )
        if self._is_over or len(self._rest) > 2 * BLOCK:
            raise DataError(
                f"a quote begins a text that never ends; it holds {_shown(text)} and the rest of the file. Close it, "
                "or double a quote that stands for itself"
            )


def _check_encoding(content: bytes | bytearray) -> None:
    for beginning, what in _ENCODINGS.items():
        if content.startswith(beginning):
            raise DataError(f"the file {what}")


def _shown(text: bytes) -> str:
    return repr(text[:200].decode(errors="replace").splitlines()[0] if text.strip() else "")
