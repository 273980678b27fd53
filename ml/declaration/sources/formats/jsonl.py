"""JSON lines: an object in each line, whose fields are columns with the types that all lines agree on."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml.base.sql import DataError
from ml.declaration.sources.formats.places import Place
from ml.declaration.sources.formats.several import several_rows

if TYPE_CHECKING:
    from ml.declaration.sources.options import FileOptions
    from ml.declaration.sources.rows import Rows

_BATCH = 16_384  # lines that are held at once
_TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), type(None): pa.null()}
_WORDS = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
_BOM = codecs.BOM_UTF8
_INT = range(-(2**63), 2**63)


@contextmanager
def jsonl_rows(places: Sequence[Place], options: FileOptions) -> Iterator[Rows]:
    """Yield the rows of files of JSON lines; a field that an object lacks is missing.

    Raises DataError for a line that is no object. A field whose values are not of one type is refused.
    """
    refused: dict[str, str] = {}
    schemas = [_schema(place, options, refused) for place in places]
    batches = _Reader(places, schemas, options).batches
    with several_rows(places, schemas, batches, options.selected, typed=True, refused=refused) as rows:
        yield rows


class _Reader:
    """Reads one file after the other, in the types that were found in it."""

    def __init__(self, places: Sequence[Place], schemas: Sequence[pa.Schema], options: FileOptions) -> None:
        self._schemas = {place.path: schema for place, schema in zip(places, schemas, strict=True)}
        self._options = options

    def batches(self, place: Place, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of a file."""
        schema = pa.schema([self._schemas[place.path].field(name) for name in columns])
        marks = {name: set(self._options.spelling(name).texts) for name in columns}
        for objects in _batched(place, self._options):
            arrays = [
                pa.array([_value(one.get(field.name), marks[field.name]) for one in objects], field.type)
                for field in schema
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _value(value: Any, marks: set[str]) -> Any:
    return None if isinstance(value, str) and value in marks else value


def _schema(place: Place, options: FileOptions, refused: dict[str, str]) -> pa.Schema:
    """Return the columns of a file with the types of all its values; note in `refused` why one can be none."""
    kinds: dict[str, set[type]] = {}
    marks: dict[str, set[str]] = {}
    wide: set[str] = set()
    for objects in _batched(place, options):
        for one in objects:
            for name, value in one.items():
                if name not in kinds:
                    kinds[name], marks[name] = set(), set(options.spelling(name).texts)
                kinds[name].add(type(_value(value, marks[name])))
                if type(value) is int and value not in _INT:
                    wide.add(name)
    if not kinds:
        raise DataError(f"the file {place.shown!r} holds no object; correct it, or leave it out")
    fields = []
    for name in options.chosen(list(kinds), repr(place.shown), place.partition):
        kind = _type(kinds[name] - {type(None)})
        if isinstance(kind, str) or name in wide or not name:
            other = "holds whole numbers of more than 64 bits" if name in wide else "has no name"
            refused.setdefault(name, kind if isinstance(kind, str) else other)
            kind = pa.null()
        fields.append(pa.field(name, kind))
    return pa.schema(fields)


def _type(kinds: set[type]) -> pa.DataType | str:
    """Return the type of a column by those of its values, or why it can be none."""
    if nested := [_WORDS[kind] for kind in (dict, list) if kind in kinds]:
        return f"holds {nested[0]}"
    if kinds == {int, float}:
        return pa.float64()
    if len(kinds) > 1:
        return f"holds {' and '.join(sorted({_WORDS[kind] for kind in kinds}))}"
    return _TYPES[next(iter(kinds))] if kinds else pa.null()


def _batched(place: Place, options: FileOptions) -> Iterator[list[dict[str, Any]]]:
    """Yield the objects of a file, some lines at a time."""
    with place.open() as opened, _lines(opened, options.encoding) as lines:
        objects = _objects(place, lines)
        while some := list(islice(objects, _BATCH)):
            yield some


@contextmanager
def _lines(opened: Any, encoding: str | None) -> Iterator[Any]:
    """Yield an opened file as one whose lines end with a line feed alone: others may stand in a text."""
    if encoding is None:
        yield opened
        return
    text = io.TextIOWrapper(opened, encoding, newline="\n")
    try:
        yield text
    finally:
        text.detach()


def _objects(place: Place, lines: Iterable[Any]) -> Iterator[dict[str, Any]]:
    import msgspec

    decoder = msgspec.json.Decoder()
    try:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                value = decoder.decode(line.removeprefix(_BOM) if isinstance(line, bytes) else line)
            except msgspec.DecodeError as error:
                raise DataError(f"the file {place.shown!r}, line {number}: {error}; correct it") from error
            if not isinstance(value, dict):
                what = _WORDS.get(type(value), "null")
                raise DataError(
                    f"the file {place.shown!r}, line {number}: is {what}; each line must be an object, "
                    '{"column": value}'
                )
            yield value
    except UnicodeError as error:
        raise DataError(f"the file {place.shown!r} cannot be read: {error}; correct source.encoding") from error
