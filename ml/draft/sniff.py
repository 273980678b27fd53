"""A file as somebody has it: the options that it must be read with, from its first bytes and DuckDB's sniffer."""

from __future__ import annotations

import codecs
import tempfile
from pathlib import Path
from typing import Any

from ml.base.sql import DataError, connection
from ml.declaration.sources.options import format_of
from ml.draft.notes import Guess

HEAD = 1 << 20  # bytes that are looked at
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEPARATORS = {";": "a semicolon", "\t": "a tab", "|": "a bar", " ": "a blank", ":": "a colon"}


def options_of(path: str) -> dict[str, Any]:
    """Return the options of `source` with which a file is read, those that must be said alone; guesses say why.

    Raises DataError for a file that is not there, is empty, or does not tell by its ending what it is.
    """
    place = Path(path)
    if not place.exists():
        raise DataError(f"the file {path!r} does not exist")
    options: dict[str, Any] = {}
    kind = format_of(path)
    if kind is None and place.is_file():
        kind = "csv"
        options["format"] = Guess("csv", f"the ending {place.suffix!r} tells no format; else jsonl, parquet or excel")
    if kind != "csv" or not place.is_file():
        return options
    head = _head(place)
    encoding = _encoding(head)
    if encoding not in ("utf-8", "utf-8-sig"):
        options["encoding"] = Guess(
            encoding, f"the bytes are no UTF-8; of single bytes {encoding} is the usual one, else latin-1 or another"
        )
    return options | _dialect(head.decode(encoding, errors="replace"), place)


def _head(place: Path) -> bytes:
    """Return the first lines of a file, which may be packed."""
    import fsspec

    with fsspec.open(str(place), "rb", compression="infer") as file:
        head: bytes = file.read(HEAD)
    if not head.strip():
        raise DataError(f"the file {str(place)!r} is empty")
    return head if len(head) < HEAD else head[: head.rfind(b"\n") + 1] or head


def _encoding(head: bytes) -> str:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _dialect(head: str, place: Path) -> dict[str, Any]:
    """Return separator, quote, skip and header where they are not the usual ones."""
    import duckdb

    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8", newline="") as copy, connection() as opened:
        copy.write(head)
        copy.flush()
        try:
            (row,) = (
                opened.sql("select * from sniff_csv($path)", params={"path": copy.name}).to_arrow_table().to_pylist()
            )
        except duckdb.Error as error:
            raise DataError(
                f"the file {str(place)!r} cannot be read as CSV: {str(error).splitlines()[0]}. Say what it is in "
                "source.separator, quote and skip"
            ) from error
    options: dict[str, Any] = {}
    separator, usual = row["Delimiter"], "\t" if ".tsv" in place.suffixes else ","
    several = len(row["Columns"]) > 1
    if several and separator != usual:
        options["separator"] = Guess(separator, f"{_SEPARATORS.get(separator, repr(separator))} divides each line")
    if (quote := row["Quote"]) not in ('"', "(empty)", "", None):
        options["quote"] = Guess(quote, "this mark stands around cells")
    if row["SkipRows"]:
        options["skip"] = Guess(int(row["SkipRows"]), "these lines come before the table")
    if not row["HasHeader"]:
        options["header"] = Guess(
            False, "the first line looks like the others; name the columns in their order with columns: [...]"
        )
    return options
