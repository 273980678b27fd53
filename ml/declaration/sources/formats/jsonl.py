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

    Raises DataError for a line that is no object, and for a column whose values are not of one type.
    """
    schemas = [_schema(place, options) for place in places]
    with several_rows(places, schemas, _Reader(places, schemas, options).batches, typed=True) as rows:
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


def _schema(place: Place, options: FileOptions) -> pa.Schema:
    """Return the columns of a file with the types of all its values."""
    kinds: dict[str, set[type]] = {}
    wide: set[str] = set()
    for objects in _batched(place, options):
        for one in objects:
            for name, value in one.items():
                if options.columns is not None and name not in options.columns:
                    continue
                kinds.setdefault(name, set()).add(type(_value(value, set(options.spelling(name).texts))))
                if type(value) is int and value not in _INT:
                    wide.add(name)
    names = [name for name in options.columns or kinds if name not in place.partition]
    if missing := [name for name in names if name not in kinds]:
        raise DataError(f"{place.shown!r} has no fields {missing}. It has {sorted(kinds)}; correct source.columns")
    return pa.schema([(name, _type(place, name, kinds[name], name in wide)) for name in names])


def _type(place: Place, name: str, kinds: set[type], wide: bool) -> pa.DataType:
    known = kinds - {type(None)}
    if not known:
        return pa.null()
    if dict in known or list in known:
        what = _WORDS[next(kind for kind in (dict, list) if kind in known)]
        raise DataError(
            f"the file {place.shown!r}, field {name!r}: holds {what}, which cannot be a column; make columns, or a "
            "table of its own, of it, or name in source.columns those to read"
        )
    if known == {int, float}:
        return pa.float64()
    if len(known) > 1:
        words = sorted({_WORDS[kind] for kind in known})
        raise DataError(
            f"the file {place.shown!r}, field {name!r}: holds {' and '.join(words)}; give each column values of one "
            "type, or say in source.missing what stands for a missing one"
        )
    if wide:
        raise DataError(
            f"the file {place.shown!r}, field {name!r}: holds whole numbers of more than 64 bits; write them as texts"
        )
    return _TYPES[next(iter(known))]


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
