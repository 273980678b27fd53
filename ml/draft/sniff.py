"""A file as somebody has it: the options that it must be read with, from its first bytes and DuckDB's sniffer."""

from __future__ import annotations

import codecs
import csv
import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ml.base.sql import DataError, connection
from ml.declaration.sources.formats.places import places_at
from ml.declaration.sources.options import Format, format_of
from ml.draft.notes import Guess

HEAD = 1 << 20  # bytes that are looked at
SHEET = 200  # rows of each sheet that are looked at
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_OTHERS = {
    b"%pdf": "a PDF",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<?xml": "XML",
}
LINES = 30  # among which the header is looked for by a name
_RARE = ("^", "~", ":", " ")
_SEPARATORS = {";": "a semicolon", "\t": "a tab", "|": "a bar", " ": "a blank", ":": "a colon"}


def options_of(path: str, target: str | None = None) -> dict[str, Any]:
    """Return the options of `source` with which a file is read, those that must be said alone; guesses say why.

    The header of CSV is the line that has the target, as column or table.column, if one of the first has it.

    Raises DataError for a file that is not there, is empty, or does not tell by its ending what it is.
    """
    place = Path(path)
    if not place.exists():
        also = "; several files of one table are read by their folder: name that" if "*" in path else ""
        raise DataError(f"the file {path!r} does not exist{also}")
    options: dict[str, Any] = {}
    if place.is_dir():
        place = Path(places_at(path)[0].path)  # the other files of a folder are written as its first
    head = _head(place)
    kind = format_of(str(place))
    if kind is None:
        kind = _format(head, str(place))
        others = ", ".join(sorted({"csv", "jsonl", "parquet", "excel"} - {kind}))
        options["format"] = Guess(kind, f"the ending {place.suffix!r} tells no format, the content does; else {others}")
    if kind == "excel":
        return options | _sheet(place)
    if kind != "csv":
        return options
    encoding = _encoding(head)
    if encoding not in ("utf-8", "utf-8-sig"):
        options["encoding"] = Guess(encoding, _why(encoding))
    return options | _dialect(head.decode(encoding, errors="replace"), place, target)


def _head(place: Path) -> bytes:
    """Return the first lines of a file, which may be packed."""
    import fsspec

    with fsspec.open(str(place), "rb", compression="infer") as file:
        head: bytes = file.read(HEAD)
    if not head.strip():
        raise DataError(f"the file {str(place)!r} is empty")
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:64].lower()
    if kind := next((name for begin, name in _OTHERS.items() if start.startswith(begin)), None):
        raise DataError(f"the file {str(place)!r} is {kind}; save its table as .xlsx, .csv or .parquet")
    return head if len(head) < HEAD else head[: head.rfind(b"\n") + 1] or head


def _format(head: bytes, path: str) -> Format:
    """Return the format that the content of a file tells. Raises DataError for one that no source reads."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK"):
        return "excel"
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"["):
        raise DataError(
            f"the file {path!r} is one array of JSON, which is not read in parts; write each object on a line of its "
            "own into a file .jsonl, for example by jq -c '.[]'"
        )
    if not start.startswith(b"{"):
        return "csv"
    try:
        json.loads(start.split(b"\n", 1)[0])
    except ValueError as error:
        raise DataError(
            f"the file {path!r} is one value of JSON over several lines; write each row on a line of its own into a "
            "file .jsonl, for example by jq -c '.rows[]'"
        ) from error
    return "jsonl"


def _sheet(place: Path) -> dict[str, Any]:
    """Return which sheet of an Excel file has the most cells, and how many rows stand above its table."""
    from ml.declaration.sources.formats.excel import sheets_of

    sheets = sheets_of(places_at(str(place))[0], SHEET)
    options: dict[str, Any] = {}
    name = max(sheets, key=lambda name: sum(map(_filled, sheets[name])))
    if len(sheets) > 1:
        others = ", ".join(other for other in sheets if other != name)
        options["sheet"] = Guess(name, f"of {len(sheets)} sheets it has the most cells; the others are {others}")
    counts = list(map(_filled, sheets[name]))
    widest = max(counts, default=0)
    above = next((at for at, count in enumerate(counts) if count > 0.5 * widest), 0)
    if above:
        options["skip"] = Guess(above, "these rows come before the table")
    return options


def _filled(row: Sequence[Any]) -> int:
    return sum(value is not None for value in row)


def _why(encoding: str) -> str:
    if encoding == "cp1252":
        return "the bytes are no UTF-8; of single bytes cp1252 is the usual one, else latin-1 or another"
    return f"the mark at the start of the file is that of {encoding}"


def _encoding(head: bytes) -> str:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _dialect(head: str, place: Path, target: str | None) -> dict[str, Any]:
    """Return separator, quote, skip and header where they are not the usual ones."""
    row = _sniffed(head, place)
    at = _line_of(head, row["Delimiter"], target)
    if at is not None:
        row |= {"SkipRows": at, "HasHeader": True}
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


def _sniffed(head: str, place: Path) -> dict[str, Any]:
    """Return what DuckDB's sniffer says of rows, by a rarer separator where the usual ones divide nothing."""
    import duckdb

    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8", newline="") as copy, connection() as opened:
        copy.write(head)
        copy.flush()

        def rows(**options: str) -> list[dict[str, Any]]:
            given = "".join(f", {name} = ${name}" for name in options)
            relation = opened.sql(f"select * from sniff_csv($path{given})", params={"path": copy.name, **options})
            answers: list[dict[str, Any]] = relation.to_arrow_table().to_pylist()
            return answers

        try:
            (row,) = rows()
        except duckdb.Error as error:
            raise DataError(
                f"the file {str(place)!r} does not look like rows of CSV: no separator divides its lines alike. Write "
                "it as CSV, JSON lines, Parquet or Excel"
            ) from error
        if len(row["Columns"]) > 1:
            return row
        for separator in _RARE:
            with suppress(duckdb.Error):
                (other,) = rows(delim=separator)
                if len(other["Columns"]) > 1:
                    return other
    return row


def _line_of(head: str, separator: str, target: str | None) -> int | None:
    """Return the place of the first line that has the target among its cells; None where none of the first has it."""
    if target is None or len(separator) != 1:
        return None
    names = {target, target.partition(".")[2]} - {""}
    lines = csv.reader(head.splitlines()[:LINES], delimiter=separator)
    with suppress(csv.Error):
        cells = ([cell.removeprefix("\ufeff") for cell in line] for line in lines)
        return next((at for at, line in enumerate(cells) if names & set(line)), None)
    return None
