"""CSV: cells as texts, whose types only all values of a column can tell."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from ml.base.sql import DataError
from ml.declaration.sources.formats.places import Place
from ml.declaration.sources.formats.quotes import BLOCK, Quotes
from ml.declaration.sources.formats.several import several_rows

if TYPE_CHECKING:
    from ml.declaration.sources.options import FileOptions
    from ml.declaration.sources.rows import Rows


_BEGINNINGS = {
    codecs.BOM_UTF16_LE: "is in UTF-16; say encoding: utf-16 in source",
    codecs.BOM_UTF16_BE: "is in UTF-16; say encoding: utf-16 in source",
    b"\x1f\x8b": "is packed by gzip; let its name end in .gz",
    b"PK\x03\x04": "is a zip archive, or of Excel; let its name end in .zip, or say format: excel in source",
}


@contextmanager
def csv_rows(places: Sequence[Place], options: FileOptions) -> Iterator[Rows]:
    """Yield the rows of CSV files as texts; only an empty cell is missing, and a row has as many cells as the header.

    Raises DataError for a row that has not, for bytes that are not of the encoding, and for wrong quotes.
    """
    with several_rows(
        places, _schemas(places, options), _Reader(options).batches, options.selected, typed=False
    ) as rows:
        yield rows


def _schemas(places: Sequence[Place], options: FileOptions) -> Iterator[pa.Schema]:
    for place in places:
        with _opened(place, options) as file:
            names = options.chosen(file.names, repr(place.shown), place.partition)
            yield pa.schema([(name, pa.string()) for name in names])


class _Reader:
    """Reads one file after the other."""

    def __init__(self, options: FileOptions) -> None:
        self._options = options

    def batches(self, place: Place, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of a file."""
        with _opened(place, self._options) as file:
            yield from file.batches(columns)


class _File:
    """One opened CSV file: the names of its columns, and its batches."""

    def __init__(self, place: Place, names: list[str], reader: Iterable[pa.RecordBatch]) -> None:
        self.names, self._place, self._reader = names, place, reader

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns."""
        with _explained(self._place):
            for batch in self._reader:
                yield batch.rename_columns(self.names).select(list(columns))


@contextmanager
def _opened(place: Place, options: FileOptions) -> Iterator[_File]:
    from pyarrow import csv

    quote = '"' if options.quote is None else options.quote
    separator = options.separator or ("\t" if ".tsv" in place.path.lower()[-8:] else ",")
    with place.open() as opened:
        quotes = Quotes(str(quote), separator, options.skip or 0) if quote else None
        text = _Text(opened, options.encoding, place, quotes)
        with _explained(place):
            reader = csv.open_csv(
                pa.PythonFile(text, mode="r"),
                read_options=csv.ReadOptions(
                    block_size=BLOCK, skip_rows=options.skip or 0, autogenerate_column_names=options.header is False
                ),
                parse_options=csv.ParseOptions(delimiter=separator, quote_char=quote, newlines_in_values=bool(quote)),
                convert_options=csv.ConvertOptions(
                    default_column_type=pa.string(), null_values=[""], strings_can_be_null=True
                ),
            )
            names = _names(place, options, list(reader.schema.names))
        yield _File(place, names, reader)


def _names(place: Place, options: FileOptions, read: list[str]) -> list[str]:
    """Return the names of the columns: those of the header, those that are declared, or their places."""
    if options.header is not False:
        return [name or f"Unnamed: {position}" for position, name in enumerate(read)]
    if options.columns is None:
        return [f"column{position}" for position in range(1, len(read) + 1)]
    if len(options.columns) != len(read):
        raise DataError(
            f"{place.shown!r} has {len(read)} columns, and source.columns names {len(options.columns)}; name each, in "
            "the order of the file"
        )
    return options.columns


@contextmanager
def _explained(place: Place) -> Iterator[None]:
    """Name the file in what stops its reading, and say what to do about bytes that are no UTF-8."""
    try:
        yield
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        reason, remedy = str(error).splitlines()[0], "correct it, or the options of its source"
        if isinstance(error, UnicodeDecodeError) or "UTF8" in reason:
            reason, remedy = "it holds bytes that are no UTF-8", "say in source.encoding what it is, such as cp1252"
        raise DataError(f"the file {place.shown!r} cannot be read: {reason}; {remedy}") from error


class _Text:
    """A file as UTF-8 whose quotes are right, and which ends with a line's end."""

    def __init__(self, file: BinaryIO, encoding: str | None, place: Place, quotes: Quotes | None) -> None:
        self._file, self._place, self._encoding, self._quotes, self.closed = file, place, encoding, quotes, False
        self._decoder = codecs.getincrementaldecoder(encoding)() if encoding else None
        self._is_first, self._is_over, self._last = True, False, b"\n"

    def read(self, size: int) -> bytes:
        """Return the next bytes, of a decoded file maybe more; none at the end alone."""
        content = bytearray()
        while len(content) < size and not self._is_over:
            read = self._file.read(size - len(content))
            self._is_over = not read
            content += read if self._decoder is None else self._decoded(read)
        if self._is_first:
            self._check_beginning(bytes(content[:4]))
        self._last = bytes(content[-1:]) or self._last
        if self._is_over and self._last not in (b"\n", b"\r"):
            content += b"\n"
            self._last = b"\n"
        if self._quotes is not None:
            bare = bytes(content).removeprefix(codecs.BOM_UTF8) if self._is_first else bytes(content)
            self._quotes.check(bare, self._is_over)
        self._is_first = False
        return bytes(content)

    def _check_beginning(self, content: bytes) -> None:
        for beginning, what in _BEGINNINGS.items():
            if self._decoder is None and content.startswith(beginning):
                raise DataError(f"the file {self._place.shown!r} {what}")

    def _decoded(self, content: bytes) -> bytes:
        assert self._decoder is not None
        try:
            return self._decoder.decode(content, final=not content).encode()
        except UnicodeError as error:
            raise DataError(
                f"the file {self._place.shown!r} cannot be read: {error}; correct source.encoding, which is "
                f"{self._encoding!r}"
            ) from error

    def close(self) -> None:
        """Leave the closing to who has opened the file."""
