"""Columns of a source: the value that each has in a table of Sextant, and what cannot be read so.

A table holds whole numbers (64 bits), numbers (doubles, missing ones null), booleans, texts, and times (microseconds
in UTC, without a zone). Everything that comes in is one of these, or refused by its name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ml.base.sql import quoted, text_sql
from ml.declaration.sources.spelling import PLAIN, Spelling, Unit
from ml.tables.findings import AuditError, Finding
from ml.tables.types import is_text

_DIGITS = "(0|[1-9][0-9]*)"  # of a number that no leading zero makes a code
_POWER = "[eE][+-]?[0-9]+"
_NO_NUMBER = "(?i:nan|inf|infinity)"
WHOLE = f"-?{_DIGITS}"
NUMBER = rf"{WHOLE}|[+-]?(({_DIGITS}\.[0-9]*|\.[0-9]+)({_POWER})?|{_DIGITS}{_POWER}|{_NO_NUMBER})"
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

    `fault` says what is then wrong with {some} of its values, and `remedy` what to do. `by` are the options of its
    source, dates or unit, by which it became a time.
    """

    name: str
    value: str
    wrong: str | None = None
    fault: str = ""
    remedy: str = ""
    by: frozenset[str] = frozenset()


class UnknownType(ValueError):
    """A column is of a type that no column may have; the message says which, `remedy` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def column(field: pa.Field, logical: str | None, spelling: Spelling = PLAIN) -> Column:
    """Return how a column of a source is read as what it is, or as its declared logical type.

    `spelling` says how the source writes it.

    Raises UnknownType for one of a type that cannot be a column, or cannot be read as that.
    """
    kind, name, x = field.type, field.name, quoted(field.name)
    logical = "category" if logical == "text" else logical  # which are read alike
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if extension := _extension(kind, field.metadata or {}):
        return _of_extension(extension, name, x, logical)
    if is_text(kind) or pa.types.is_string_view(kind):
        return _of_text(name, _unmarked(f"cast({x} as varchar)", spelling), logical, spelling)
    if pa.types.is_null(kind):
        return Column(name, f"cast(null as {_SQL.get(logical or 'number', 'DOUBLE')})")
    if pa.types.is_boolean(kind):
        return _of_boolean(name, x, logical)
    if pa.types.is_integer(kind):
        return _of_whole(name, _kept(x, spelling), logical, spelling.unit, wide=pa.types.is_uint64(kind))
    is_decimal = pa.types.is_decimal(kind) and not pa.types.is_decimal256(kind)
    if is_decimal and kind.scale == 0:
        return _of_whole(name, _kept(x, spelling), logical, spelling.unit, wide=kind.precision > 18)
    if pa.types.is_floating(kind) or is_decimal:
        return _of_number(name, _kept(x, spelling), logical, spelling.unit)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _of_time(name, x, logical, zoned=pa.types.is_timestamp(kind) and kind.tz is not None)
    raise UnknownType(
        f"holds {kind}, which cannot be a column",
        f"make {_INSTEAD.get(kind.id, 'texts, numbers, booleans or times')} of it at the source, or list it under "
        "ignore",
    )


def _unmarked(text: str, spelling: Spelling) -> str:
    """Return SQL of a text, null where it is one of those that stand for a missing value."""
    return f"case when {text} not in ({_literals(spelling.texts)}) then {text} end" if spelling.texts else text


def _kept(number: str, spelling: Spelling) -> str:
    """Return SQL of a number, null where it is one of those that stand for a missing value."""
    return (
        f"case when {number} not in ({_literals(spelling.numbers)}) then {number} end" if spelling.numbers else number
    )


def _literals(marks: Iterable[object]) -> str:
    return ", ".join(str(mark) if not isinstance(mark, str) else "'" + mark.replace("'", "''") + "'" for mark in marks)


def _spelled(text: str, spelling: Spelling) -> str:
    """Return SQL of a text as DuckDB spells numbers; an empty one where it is none in the source's own spelling."""
    if spelling.decimal == "." and not spelling.thousands:
        return f"trim({text})"
    point, group = (re.escape(mark) if mark.isascii() else mark for mark in (spelling.decimal, spelling.thousands))
    grouped = f"|[0-9]{{1,3}}({group}[0-9]{{3}})+" if group else ""
    shape = f"(?i:[+-]?([0-9]+{grouped})?({point}[0-9]*)?(e[+-]?[0-9]+)?|[+-]?(nan|inf|infinity))".replace("'", "''")
    bare = f"replace(trim({text}), {_literals([spelling.thousands])}, '')" if group else f"trim({text})"
    plain = f"replace({bare}, {_literals([spelling.decimal])}, '.')"
    return f"case when regexp_full_match(trim({text}), '{shape}') then {plain} else '' end"


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


def _of_text(name: str, x: str, logical: str | None, spelling: Spelling = PLAIN) -> Column:
    """Return texts as they are, or what they spell: numbers, true and false, or times by ISO 8601."""
    spelled = f"trim({x})"
    if logical == "number":
        spelled = _spelled(x, spelling)
        value = _kept(number(f"try_cast({spelled} as double)"), spelling)
        wrong = f"{x} is not null and (not regexp_full_match({spelled}, '{_WRITTEN}') or {_is_beyond(spelled)})"
        return Column(name, value, wrong, "{some} values are no numbers", "correct them, or logical_types")
    if logical == "boolean":
        value = f"case when lower({spelled}) in ({_TRUE}) then true when lower({spelled}) in ({_FALSE}) then false end"
        return Column(name, value, f"lower({spelled}) not in ({_TRUE}, {_FALSE})", _NEITHER, _ONE_OF_BOTH)
    if logical == "time":
        value, wrong, remedy = time(spelled), f"{x} is not null", _ISO
        by = {name for name in ("dates", "unit") if getattr(spelling, name)}
        if spelling.dates:
            value, remedy = (
                _dated(spelled, spelling.dates),
                f"write them as {spelling.dates!r}, or correct source.dates",
            )
        if spelling.unit:
            whole = f"try_cast({_spelled(x, spelling)} as decimal(38, 9))"
            counted = _counted(_kept(whole, spelling), spelling.unit)
            value = counted if spelling.is_time else f"case when {whole} is null then {value} else {counted} end"
            wrong += f" and ({whole} is null or {_kept(whole, spelling)} is not null)"
            remedy = f"write them in {spelling.unit} since 1970, or correct source.unit"
        return Column(name, value, f"{wrong} and {value} is null", _NO_TIME, remedy, frozenset(by))
    return Column(name, x)


def _dated(text: str, dates: str) -> str:
    """Return SQL of the time that a text spells in a format; null where it does not, or not in the years 1000 to 9999.

    DuckDB takes 24 for a year of four digits too, and it would be the year 24; and `epoch` for one of any format.
    """
    parsed = f"cast(cast(try_strptime({text}, {_literals([dates])}) as timestamptz) as timestamp)"
    years = "timestamp '1000-01-01' and timestamp '9999-12-31 23:59:59.999999'"
    return f"case when regexp_matches({text}, '[0-9]') and {parsed} between {years} then {parsed} end"


_PER_SECOND: dict[Unit, int] = {"s": 1, "ms": 10**3, "us": 10**6}


def _counted(x: str, unit: Unit) -> str:
    """Return SQL of the time that lies a number of units after 1970; null beyond the years 1 to 9999."""
    if unit == "ns":
        whole = f"cast(floor(cast({x} as decimal(38, 6))) as hugeint)"
        micros = f"try(({whole} - (({whole} % 1000) + 1000) % 1000) // 1000)"
    else:
        micros = f"try(cast(floor(cast({x} as decimal(38, 6)) * {10**6 // _PER_SECOND[unit]}) as bigint))"
    least, most = "-62135596800000000", "253402300799999999"
    return f"case when {micros} between {least} and {most} then make_timestamp(cast({micros} as bigint)) end"


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


def _of_whole(name: str, x: str, logical: str | None, unit: Unit | None, wide: bool) -> Column:
    """Return whole numbers; beyond 64 bits (`wide`) they cannot be one column of them."""
    if logical == "time" and unit:
        return _of_count(name, x, unit)
    if logical == "time":
        raise _unreadable("whole numbers", "time")
    if logical == "boolean":
        return _of_one_or_zero(name, x)
    if logical:
        text = f"cast(cast({x} as decimal(38, 0)) as varchar)" if wide else f"cast({x} as varchar)"
        return Column(name, text if logical == "category" else f"cast({x} as {_SQL[logical]})")
    beyond = f"{x} is not null and try_cast({x} as bigint) is null" if wide else None
    return Column(name, f"cast({x} as bigint)", beyond, _BEYOND, _EITHER)


_BEYOND = "{some} values are no whole numbers of 64 bits"
_ROUNDED = "{some} values are whole numbers that the doubles beside them cannot hold"
_EITHER = "declare it in logical_types as a category, which keeps every digit, or as a number, which rounds"


def _of_count(name: str, x: str, unit: Unit) -> Column:
    value = _counted(x, unit)
    wrong, remedy = f"{x} is not null and {value} is null", "correct source.unit, or the values"
    return Column(name, value, wrong, _NO_TIME, remedy, frozenset({"unit"}))


def _of_number(name: str, x: str, logical: str | None, unit: Unit | None) -> Column:
    if logical == "time" and unit:
        return _of_count(name, number(f"cast({x} as double)"), unit)
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


def inferred(name: str, counts: Sequence[int], spelling: Spelling = PLAIN) -> Column:
    """Return how a column of texts is read whose type only its values tell, by the `counts` of `counts_sql`.

    Where all are of one kind, that is its type. A leading zero or plus makes a text of what else would be a number, and
    so does a letter e alone: 00501, 01.10 and 12e5 are codes. Numbers that stand for a missing value are neither
    counted nor kept in a column of numbers.
    """
    values, whole, numbers, flags, codes, *more = counts
    marked = more[1] if more else 0
    text = _unmarked(quoted(name), spelling)
    spelled = _spelled(text, spelling)
    rest = _rest(text, spelling)  # of which a mark such as -9.5 would be rounded
    if values - marked == whole and whole:
        value = f"try_cast({_spelled(rest, spelling)} as bigint)"
        return Column(name, value, f"{rest} is not null and {value} is null", _BEYOND, _EITHER)
    if (values - marked == numbers and codes < numbers) or values == marked > 0:
        value = _kept(number(f"try_cast({spelled} as double)"), spelling)
        return Column(name, value, _is_rounded(_spelled(rest, spelling)) if whole else None, _ROUNDED, _EITHER)
    if values == flags:
        return Column(name, f"lower(trim({text})) = 'true'")
    return (as_dates(name, counts, spelling) if spelling.dates else None) or Column(name, text)


def _rest(text: str, spelling: Spelling) -> str:
    """Return SQL of a text, null where it is a number that stands for a missing value."""
    if not spelling.numbers:
        return text
    spelled, marks = _spelled(text, spelling), _literals(spelling.numbers)
    whole = f"case when regexp_full_match({spelled}, '{WHOLE}') then try_cast({spelled} as bigint) end"
    mark = f"coalesce({whole} in ({marks}), try_cast({spelled} as double) in ({marks}), false)"  # no digit is rounded
    return f"case when not {mark} then {text} end"


def as_dates(name: str, counts: Sequence[int], spelling: Spelling) -> Column | None:
    """Return how a column of texts is read if all of them are times as its source writes dates; None if not."""
    values, dates = counts[0], counts[5]
    text = _unmarked(quoted(name), spelling)
    if not values or values != dates:
        return None
    return Column(name, _dated(f"trim({text})", str(spelling.dates)), by=frozenset({"dates"}))


def counts_sql(name: str, spelling: Spelling = PLAIN) -> list[str]:
    """Return the SQL of the numbers that `inferred` takes of a column of texts.

    They are its values, and which of them are whole numbers, numbers, true or false, and numbers that may be codes;
    where the spelling is not plain, then times and numbers that stand for a missing value.
    """
    text = _unmarked(quoted(name), spelling)
    rest = _spelled(_rest(text, spelling), spelling)
    counts = [
        f"count({text})",
        f"count_if(regexp_full_match({rest}, '{WHOLE}'))",
        f"count_if(regexp_full_match({rest}, '{NUMBER}') and not {_is_beyond(rest)})",
        f"count_if(lower(trim({text})) in ('true', 'false'))",
        f"count_if(regexp_full_match({rest}, '{CODE}'))",
    ]
    if spelling == PLAIN:
        return counts
    dated = _dated(f"trim({text})", spelling.dates) if spelling.dates else "null"
    return [*counts, f"count({dated})", f"count({text}) - count({_rest(text, spelling)})"]


def read_column(where: str, field: pa.Field, logical: str | None, spelling: Spelling = PLAIN) -> Column:
    """Return how a column is read; raise AuditError, with `where` in front, for one that cannot be."""
    try:
        return column(field, logical, spelling)
    except UnknownType as error:
        fault, remedy = f"column {field.name!r} {error}", error.remedy
        if logical == "time":
            fault, remedy = f"column {field.name!r}: must hold times, but {error}", "store ISO 8601 times in it"
        raise AuditError(where, [Finding("types", "", (fault,), remedy)]) from error


def select_sql(columns: Iterable[Column], relation: str) -> str:
    """Return the query that reads columns of some rows."""
    return f"select {', '.join(f'{column.value} as {quoted(column.name)}' for column in columns)} from {relation}"
