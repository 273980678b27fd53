"""Separated: CSV as rows; a field that is none of its column's type stays a text, and is named as a record's value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from csv import reader
from io import StringIO
from typing import Any

import numpy as np

from service.frames.arrays import check_names, column_of
from service.frames.times import parsed_us
from service.plan.document import Plan
from service.plan.parts import ColumnType
from service.predict.rows import Column

INTEGER = r"[+-]?[0-9]{1,300}"
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
INFINITE = r"[+-]?(inf|infinity)"
BLOCK_BYTES = 8 * 2**20  # that pyarrow reads at a time, and a row may have at most, as in JSON
HEADER_BYTES = 100_000  # in which the names of columns end
LOOKED_AT_BYTES = 100_000
STRAY_QUOTE = re.compile(rb'"(?<=[^",\r\n]")(?:"")*+(?=[^",\r\n])')  # an odd number of them, in the middle of a text
FLAGS = {"true": True, "false": False, "1": True, "0": False}
MISSING = ("", "nan", "na", "null")  # of all but texts, in upper case too; a text is missing where nothing stands


class CsvRows:
    """The rows of a CSV in UTF-8 with a header; `take` hears of rows as they come, and may raise.

    Raises pyarrow's errors where it is no CSV, ValueError for a quote that is never closed, and ColumnsError.
    """

    def __init__(self, body: memoryview, plan: Plan, take: Callable[[int], None]) -> None:
        import pyarrow as pa
        from pyarrow import csv

        _check_quotes(body)
        # of one column an empty line is a row without a value, as pyarrow writes them
        parse = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=not _has_one_column(body))
        read = csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
        convert = csv.ConvertOptions(
            column_types=dict.fromkeys(plan.columns, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        source, parts = pa.BufferReader(pa.py_buffer(body)), []
        with csv.open_csv(source, read, parse, convert) as batches:
            check_names(batches.schema.names, plan)
            for batch in batches:
                take(batch.num_rows)
                parts.append(batch)
            self._table = pa.Table.from_batches(parts, batches.schema)
        self._kinds = [(name, plan.columns[name]) for name in self._table.schema.names]

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def columns(self, start: int, stop: int) -> Mapping[str, Column]:
        """Return the columns of some of the rows."""
        part = self._table.slice(start, stop - start).combine_chunks()
        return {
            name: _COLUMNS[kind](column.chunk(0))
            for (name, kind), column in zip(self._kinds, part.columns, strict=True)
        }

    def records(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """Return some of the rows as a request would hold them in JSON."""
        part = self._table.take(list(places))
        columns = [
            [_VALUES[kind](field) for field in column.to_pylist()]
            for (_, kind), column in zip(self._kinds, part.columns, strict=True)
        ]
        names = [name for name, _ in self._kinds]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _check_quotes(body: memoryview) -> None:
    """Raise ValueError for quotes that are none of CSV: pyarrow would take other rows, too, for a part of a text."""
    content = bytes(body)
    if content.count(b'"') % 2:
        raise ValueError("a quote is never closed; a text with a quote stands between quotes, and that one is doubled")
    for start in range(0, len(content), LOOKED_AT_BYTES):  # a search for long would hold up other requests
        if found := STRAY_QUOTE.search(content, start, start + LOOKED_AT_BYTES + 2):
            line = content.count(b"\n", 0, found.start()) + 1
            raise ValueError(f"line {line} has a quote within a text that is not between quotes, or is not doubled")


def _has_one_column(body: memoryview) -> bool:
    head = StringIO(bytes(body[:HEADER_BYTES]).decode("utf-8-sig", "replace"), newline="")
    return len(next(filter(None, reader(head)), [])) == 1


def _text_column(array: Any) -> Column:
    return column_of(array, "text")


def _number_column(array: Any) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values = pc.cast(array, pa.float64()).to_numpy(zero_copy_only=False)
        if not np.isinf(values).any() and np.isnan(values).sum() == array.null_count:
            return Column(values)  # as most are, at a tenth of the time
    except pa.ArrowInvalid:
        pass
    trimmed = _trimmed(array)
    sound = pc.match_substring_regex(trimmed, f"^{NUMBER}$")
    numbers = pc.cast(pc.if_else(sound, trimmed, pa.scalar(None, pa.string())), pa.float64())
    return Column(numbers.to_numpy(zero_copy_only=False), doubtful=_wrong(trimmed, sound))


def _flag_column(array: Any) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_lower(_trimmed(array))
    places = pc.index_in(trimmed, pa.array(list(FLAGS)))
    flags = pc.take(pa.array(map(float, FLAGS.values())), places)
    return Column(flags.to_numpy(zero_copy_only=False), doubtful=_wrong(trimmed, pc.is_valid(places)))


def _time_column(array: Any) -> Column:
    import pyarrow.compute as pc

    trimmed = _trimmed(array)
    times, doubtful = parsed_us(trimmed.to_numpy(zero_copy_only=False))
    missing = pc.is_null(trimmed).to_numpy(zero_copy_only=False) if trimmed.null_count else None
    return Column(times, missing, doubtful)


def _trimmed(array: Any) -> Any:
    """Return fields without blanks around them, those that stand for nothing missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(array)
    missing = pc.is_in(pc.utf8_lower(trimmed), pa.array(MISSING))
    return pc.if_else(missing, pa.scalar(None, pa.string()), trimmed)


def _wrong(fields: Any, sound: Any) -> Any:
    """Return which fields are there, and not sound; None: none is."""
    import pyarrow.compute as pc

    wrong = pc.and_(pc.is_valid(fields), pc.invert(pc.fill_null(sound, False)))
    return wrong.to_numpy(zero_copy_only=False) if pc.any(wrong).as_py() else None


def _number(field: str) -> float | str:
    if re.fullmatch(INTEGER, field):
        return int(field)
    # of ASCII: the letters of other alphabets that are alike in lower case are none of a number
    return float(field) if re.fullmatch(f"{NUMBER}|{INFINITE}", field, re.IGNORECASE | re.ASCII) else field


def _flag(field: str) -> bool | str:
    return FLAGS.get(field.lower(), field)


def _unless_missing(read: Callable[[str], Any]) -> Callable[[str | None], Any]:
    def value(field: str | None) -> Any:
        trimmed = "" if field is None else field.strip()
        return None if trimmed.lower() in MISSING else read(trimmed)

    return value


_COLUMNS: dict[ColumnType, Callable[[Any], Column]] = {
    "text": _text_column,
    "number": _number_column,
    "flag": _flag_column,
    "time": _time_column,
}
_VALUES: dict[ColumnType, Callable[[str | None], Any]] = {
    "text": lambda field: field,
    "number": _unless_missing(_number),
    "flag": _unless_missing(_flag),
    "time": _unless_missing(str),
}
