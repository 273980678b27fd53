"""Columns of a source: the value that each has in a table of Sextant, and what cannot be read so.

A table holds whole numbers (64 bits), numbers (doubles, missing ones null), booleans, texts, and times (microseconds
in UTC, without a zone). Everything that comes in is one of these, or refused by its name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from ml.base.sql import quoted, text_sql
from ml.tables.findings import AuditError, Finding
from ml.tables.types import is_text

_DIGIT = "(0|[1-9][0-9]*)"  # of a number that no leading zero makes a code
_POWER = "[eE][+-]?[0-9]+"
_NO_NUMBER = "(?i:nan|inf|infinity)"
WHOLE = f"-?{_DIGIT}"
NUMBER = rf"{WHOLE}|[+-]?(({_DIGIT}\.[0-9]*|\.[0-9]+)({_POWER})?|{_DIGIT}{_POWER}|{_NO_NUMBER})"
CODE = f"{WHOLE}|[0-9]+[eE][0-9]+"  # 12e5 may be part of a hash; programs write 1.2e+06
_WRITTEN = rf"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)({_POWER})?|{_NO_NUMBER})"
_TRUE, _FALSE = "'true', '1'", "'false', '0'"
_DAY = r"[+-]?[0-9]{4,6}[-/][0-9]{1,2}[-/][0-9]{1,2}"
_OFFSET = r"Z| ?UTC| ?GMT|[+-](0?[0-9]|1[0-8])(:?[0-5][0-9](:?[0-5][0-9])?)?"
_TIME = rf"{_DAY}([T ][0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]*)?)?({_OFFSET})?)?"
_SHORT = rf"[0-9]{{8}}(T[0-9]{{4}}([0-9]{{2}}({_OFFSET})?)?)?|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}"
_SHORT_FORMS = "['%Y%m%dT%H%M%S%z', '%Y%m%dT%H%M%SZ', '%Y%m%dT%H%M%S', '%Y%m%dT%H%M', '%Y%m%d', '%Y-%m-%dT%H']"


@dataclass(frozen=True)
class Column:
    """A column as SQL over its source: the value, and the condition under which it cannot be read so, if any.

    `fault` says what is then wrong with {some} of its values, and `remedy` what to do.
    """

    name: str
    value: str
    wrong: str | None = None
    fault: str = ""
    remedy: str = ""


class UnknownType(ValueError):
    """A column is of a type that no column may have; the message says which, `remedy` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def column(field: pa.Field, logical: str | None) -> Column:
    """Return how a column of a source is read as what it is, or as its declared logical type.

    Raises UnknownType for one of a type that cannot be a column, or cannot be read as that.
    """
    kind, name, x = field.type, field.name, quoted(field.name)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if extension := _extension(kind, field.metadata or {}):
        return _of_extension(extension, name, x, logical)
    if is_text(kind) or pa.types.is_string_view(kind):
        return _of_text(name, f"cast({x} as varchar)", logical)
    if pa.types.is_null(kind):
        return Column(name, f"cast(null as {_SQL.get(logical or 'number', 'DOUBLE')})")
    if pa.types.is_boolean(kind):
        return _of_boolean(name, x, logical)
    if pa.types.is_integer(kind):
        return _of_whole(name, x, logical, wide=pa.types.is_uint64(kind))
    is_decimal = pa.types.is_decimal(kind) and not pa.types.is_decimal256(kind)
    if is_decimal and kind.scale == 0:
        return _of_whole(name, x, logical, wide=kind.precision > 18)
    if pa.types.is_floating(kind) or is_decimal:
        return _of_number(name, x, logical)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _of_time(name, x, logical, zoned=pa.types.is_timestamp(kind) and kind.tz is not None)
    raise UnknownType(
        f"holds {kind}, which cannot be a column",
        f"make {_INSTEAD.get(kind.id, 'texts, numbers, booleans or times')} of it at the source, or list it under "
        "ignore",
    )


_SQL = {"category": "VARCHAR", "number": "DOUBLE", "boolean": "BOOLEAN", "time": "TIMESTAMP"}
_INSTEAD = {
    pa.lib.Type_DURATION: "a number of seconds",
    pa.lib.Type_TIME32: "a number of seconds or a text",
    pa.lib.Type_TIME64: "a number of seconds or a text",
    pa.lib.Type_BINARY: "texts",
    pa.lib.Type_LARGE_BINARY: "texts",
    pa.lib.Type_FIXED_SIZE_BINARY: "texts",
    pa.lib.Type_LIST: "a table of its own, with a row for each element,",
    pa.lib.Type_LARGE_LIST: "a table of its own, with a row for each element,",
    pa.lib.Type_STRUCT: "a column of each field",
}


def _extension(kind: pa.DataType, metadata: Mapping[bytes, bytes]) -> str | None:
    """Return the name of an extension of Arrow's types; pyarrow knows not all of them."""
    name = kind.extension_name if isinstance(kind, pa.BaseExtensionType) else metadata.get(b"ARROW:extension:name")
    return name.decode() if isinstance(name, bytes) else name


def _of_extension(extension: str, name: str, x: str, logical: str | None) -> Column:
    if extension == "arrow.uuid":
        return _of_text(name, f"cast({x} as varchar)", logical)
    if extension == "arrow.bool8":
        return _of_boolean(name, f"cast({x} as boolean)", logical)
    raise UnknownType(
        f"holds {extension}, which cannot be a column",
        "make texts, numbers, booleans or times of it at the source, or list it under ignore",
    )


def _of_text(name: str, x: str, logical: str | None) -> Column:
    """Return texts as they are, or what they spell: numbers, true and false, or times by ISO 8601."""
    spelled = f"trim({x})"
    if logical == "number":
        value = number(f"try_cast({spelled} as double)")
        wrong = f"{x} is not null and (not regexp_full_match({spelled}, '{_WRITTEN}') or {_is_beyond(spelled)})"
        return Column(name, value, wrong, "{some} values are no numbers", "correct them, or logical_types")
    if logical == "boolean":
        value = f"case when lower({spelled}) in ({_TRUE}) then true when lower({spelled}) in ({_FALSE}) then false end"
        return Column(name, value, f"lower({spelled}) not in ({_TRUE}, {_FALSE})", _NEITHER, _ONE_OF_BOTH)
    if logical == "time":
        value = time(spelled)
        return Column(name, value, f"{x} is not null and {value} is null", _NO_TIME, _ISO)
    return Column(name, x)


_NEITHER = "{some} values are neither true nor false"
_ONE_OF_BOTH = "write them so, or correct logical_types"
_NO_TIME = "must hold times, but {some} values do not parse as a time"
_ISO = "write them as ISO 8601, such as 2013-01-31T18:30:00"


def time(text: str) -> str:
    """Return SQL of the time that a text spells, in UTC if it has an offset; null where it spells none.

    DuckDB alone would read the year 24, a time zone's name, of which it takes the one or the other, and `epoch`.
    """
    usual = f"case when regexp_full_match({text}, '{_TIME}') then try_cast({text} as timestamptz) end"
    short = f"case when regexp_full_match({text}, '{_SHORT}') then try_strptime({text}, {_SHORT_FORMS}) end"
    parsed = f"coalesce({usual}, ({short})::timestamptz)"
    return f"case when isfinite({parsed}) then cast({parsed} as timestamp) end"


def _is_beyond(text: str) -> str:
    """Return SQL that is true of a number's digits that are beyond the largest double."""
    return f"(regexp_matches({text}, '[0-9]') and isinf(try_cast({text} as double)))"


def _is_rounded(text: str) -> str:
    """Return SQL that is true of a whole number that no double writes with the same digits."""
    digits = "rtrim(regexp_replace({}, '[^0-9]', '', 'g'), '0')"
    double = f"split_part(cast(try_cast({text} as double) as varchar), 'e', 1)"
    is_other = f"{digits.format(text)} <> {digits.format(double)}"
    return f"(length({text}) > 15 and regexp_full_match({text}, '{WHOLE}') and {is_other})"


def number(x: str) -> str:
    """Return SQL of a double, null where it is not a number: SQL's `is null` shall see it."""
    return f"case when not isnan({x}) then {x} end"


def _of_boolean(name: str, x: str, logical: str | None) -> Column:
    if logical == "time":
        raise _unreadable("boolean", "time")
    return Column(name, f"cast({x} as {_SQL.get(logical or 'boolean', 'BOOLEAN')})")


def _of_whole(name: str, x: str, logical: str | None, wide: bool) -> Column:
    """Return whole numbers; beyond 64 bits (`wide`) they cannot be one column of them."""
    if logical == "time":
        raise _unreadable("whole numbers", "time")
    if logical == "boolean":
        return _of_one_or_zero(name, x)
    if logical:
        text = f"cast(cast({x} as decimal(38, 0)) as varchar)" if wide else f"cast({x} as varchar)"
        return Column(name, text if logical == "category" else f"cast({x} as {_SQL[logical]})")
    beyond = f"{x} is not null and try_cast({x} as bigint) is null" if wide else None
    return Column(name, f"cast({x} as bigint)", beyond, _BEYOND, _DIGITS)


_BEYOND = "{some} values are no whole numbers of 64 bits"
_DIGITS = "declare it in logical_types as a category, which keeps every digit, or as a number, which rounds"


def _of_number(name: str, x: str, logical: str | None) -> Column:
    if logical == "time":
        raise _unreadable("numbers", "time")
    value = number(f"cast({x} as double)")
    if logical == "boolean":
        return _of_one_or_zero(name, value)
    return Column(name, text_sql(value) if logical == "category" else value)


def _of_one_or_zero(name: str, x: str) -> Column:
    """Return numbers as booleans; SQL would take any but zero for true, and 1 and 2 are yes and no as often."""
    return Column(name, f"{x} = 1", f"{x} not in (0, 1)", _NEITHER, _ONE_OF_BOTH)


def _of_time(name: str, x: str, logical: str | None, zoned: bool) -> Column:
    if logical in ("number", "boolean"):
        raise _unreadable("times", str(logical))
    value = f"cast(cast({x} as timestamptz) as timestamp)" if zoned else f"cast({x} as timestamp)"
    return Column(name, f"cast({value} as varchar)" if logical == "category" else value)


def _unreadable(kind: str, logical: str) -> UnknownType:
    return UnknownType(f"holds {kind}, which cannot be read as {logical}", "correct logical_types or the source")


@dataclass(frozen=True)
class Spelled:
    """How many values a column of texts has, and how many of them spell what: a number that is a code at times too."""

    values: int
    whole: int
    numbers: int
    codes: int
    flags: int


def inferred(name: str, count: Spelled) -> Column:
    """Return how a column of texts is read whose type only its values tell.

    Where all are of one kind, that is its type. A leading zero or plus makes a text of what else would be a number, and
    so does a letter e alone: 00501, 01.10 and 12e5 are codes.
    """
    text = quoted(name)
    spelled = f"trim({text})"
    if count.values == count.whole and count.values:
        value = f"try_cast({spelled} as bigint)"
        return Column(name, value, f"{text} is not null and {value} is null", _BEYOND, _DIGITS)
    if count.values == count.numbers and (count.codes < count.values or not count.values):
        is_wrong = _is_rounded(spelled) if count.whole else None
        return Column(name, number(f"try_cast({spelled} as double)"), is_wrong, _ROUNDED, _DIGITS)
    if count.values == count.flags:
        return Column(name, f"lower({spelled}) = 'true'")
    return Column(name, text)


_ROUNDED = "{some} values are whole numbers that the doubles beside them cannot hold"


def counts_sql(name: str) -> list[str]:
    """Return the SQL of the numbers that a Spelled has of a column of texts, in their order."""
    text = quoted(name)
    spelled = f"trim({text})"
    return [
        f"count({text})",
        f"count_if(regexp_full_match({spelled}, '{WHOLE}'))",
        f"count_if(regexp_full_match({spelled}, '{NUMBER}') and not {_is_beyond(spelled)})",
        f"count_if(regexp_full_match({spelled}, '{CODE}'))",
        f"count_if(lower({spelled}) in ('true', 'false'))",
    ]


def read_column(where: str, field: pa.Field, logical: str | None) -> Column:
    """Return how a column is read; raise AuditError, with `where` in front, for one that cannot be."""
    try:
        return column(field, logical)
    except UnknownType as error:
        fault, remedy = f"column {field.name!r} {error}", error.remedy
        if logical == "time":
            fault, remedy = f"column {field.name!r}: must hold times, but {error}", "store ISO 8601 times in it"
        raise AuditError(where, [Finding("types", "", (fault,), remedy)]) from error


def select_sql(columns: Iterable[Column], relation: str) -> str:
    """Return the query that reads columns of some rows."""
    return f"select {', '.join(f'{column.value} as {quoted(column.name)}' for column in columns)} from {relation}"
