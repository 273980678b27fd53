"""Facts about columns: what the values of each say, from all of the rows that were read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ml.base.sql import quoted
from ml.tables.columns import NUMBER, WHOLE
from ml.tables.numbers import NUMBERS, WORDS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Kind = Literal["whole", "number", "boolean", "time", "text"]
TABLE = "rows"
MARKS = ("?", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "NaN", "nan", "-", "--", ".")
SENTINELS = (-99, -999, -9999, -99999, -999999)
COUNTED = 0.95  # of the rows, in which a number is one more than in the row before, in a column that counts them
SHOWN = 20  # most frequent values that are kept
MOSTLY = 0.9  # of the texts of a column that are different, in a column of names
FEW = 30  # rows, up to which all may be different by chance
PROSE = 40  # characters on average, from which on texts that are mostly different are prose
_ISO = r"\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}.*)?"
_DAY = ("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%d-%m-%Y", "%m-%d-%Y",
        "%d-%m-%y", "%m-%d-%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%Y%m%d")  # fmt: skip
_CLOCK = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_COMMA = r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?"
_GROUPED = r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?|[+-]?\d+(\.\d+)?"
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST, _LAST = 10**8, 4 * 10**9  # seconds: 1973 and 2096
_GROUPS = (" ", "\u00a0", "\u202f", "'")  # of digits, beside points and commas
TEXTS, FORMATS = 1000, 4  # different texts of which several formats are looked for, and how many these are at most
_NUMBERS = {  # of amounts, by the mark before the fraction
    ".": r"([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?",
    ",": "([0-9]{1,3}([.' \u00a0\u202f][0-9]{3})+|[0-9]+)(,[0-9]+)?",
}
_SPACE = "[ \u00a0\u202f]?"
_AMOUNTS = {
    point: f"[+-]?[€$£¥]{_SPACE}[+-]?{number}|[+-]?{number}{_SPACE}[€$£¥%]" for point, number in _NUMBERS.items()
}
_TIMELY = re.compile(r"time|date|stamp|(^|_)(at|ts|on|when)$|epoch|created|updated", re.IGNORECASE)


@dataclass(frozen=True)
class Facts:
    """The values of a column: of which kind they are, how many there are and differ, and the most frequent ones.

    `marks` stand for missing values, and do not count. Texts of times are written as one of `dates`, none for ISO 8601,
    or stay texts where they are written in several formats, `mixed`; numbers of times count a `unit`. Numbers have a
    `decimal` mark and `thousands`. Texts of numbers with a currency or a percent sign have `amount`, the mark before
    their fraction. `digest` is equal for equal columns.
    """

    name: str
    kind: Kind
    rows: int
    values: int
    distinct: int
    least: Any
    most: Any
    digest: int
    shown: tuple[tuple[Any, int], ...] = ()
    marks: tuple[str | int, ...] = ()
    marked: int = 0
    dates: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    unit: str | None = None
    amount: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    length: float = 0.0
    counts_rows: bool = False

    @property
    def unique(self) -> bool:
        """True where no value is missing and all are different."""
        return self.values == self.rows == self.distinct and self.rows > 0

    @property
    def prose(self) -> bool:
        """True for texts of which the words count: long ones that are mostly different."""
        return self.kind == "text" and self.length >= PROSE and self.distinct > 0.5 * self.values and not self.constant

    @property
    def nearly_unique(self) -> bool:
        """True for texts that are nearly all different."""
        return self.kind == "text" and self.distinct > MOSTLY * self.values and self.values > FEW

    @property
    def constant(self) -> bool:
        """True where there is only one value, or none."""
        return self.distinct <= 1 and self.values in (0, self.rows)


def facts_of(opened: DuckDBPyConnection) -> list[Facts]:
    """Return the facts of each column of the table `rows`, in its order."""
    described = opened.execute(f"select column_name, column_type from (describe {TABLE})").fetchall()
    return [_Column(opened, name, kind).facts() for name, kind in described]


def useless(facts: Iterable[Facts], texts: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield the names of columns that tell nothing of other rows, and why; of `texts` the words may tell something."""
    seen: dict[tuple[int, str], str] = {}
    for one in facts:
        if one.constant:
            yield one.name, "is the same in all rows" if one.values else "has no values"
        elif one.counts_rows:
            yield one.name, "only counts the rows"
        elif one.name not in texts and one.nearly_unique and not one.prose:
            yield (
                one.name,
                f"has {one.distinct:,} different texts in {one.values:,} rows: a name tells nothing of others",
            )
        elif (one.digest, one.kind) in seen and one.kind != "time":
            yield one.name, f"is equal to {seen[one.digest, one.kind]!r}"
        seen.setdefault((one.digest, one.kind), one.name)


def parsed_sql(facts: Facts) -> str:
    """Return SQL of a column's values: numbers, times and texts as a table has them, marks as null."""
    return _parsed(quoted(facts.name), facts)


def _parsed(x: str, facts: Facts) -> str:
    texts = [mark for mark in facts.marks if isinstance(mark, str)]
    numbers = [mark for mark in facts.marks if not isinstance(mark, str)]
    if texts:
        x = f"case when {x} not in ({_literals(texts)}) then {x} end"
    if facts.kind == "time" and facts.unit:
        return f"make_timestamp(cast(try_cast({x} as double) * {10**6 / _UNITS[facts.unit]} as bigint))"
    if facts.kind == "time":
        return f"try_strptime({x}, '{facts.dates[0]}')" if facts.dates else f"try_cast({x} as timestamp)"
    if facts.kind in ("whole", "number"):
        if facts.thousands:
            x = f"replace({x}, '{_escaped(facts.thousands)}', '')"
        if facts.decimal:
            x = f"replace({x}, '{facts.decimal}', '.')"
        x = f"try_cast({x} as {'hugeint' if facts.kind == 'whole' else 'double'})"
        return f"case when {x} not in ({_literals(numbers)}) then {x} end" if numbers else x
    return x


class _Column:
    """One column of the table."""

    def __init__(self, opened: DuckDBPyConnection, name: str, kind: str) -> None:
        self._opened, self._name, self._sql_kind = opened, name, kind
        self._x = quoted(name)

    def facts(self) -> Facts:
        """Return the facts, first what kind the values are of, then what these say."""
        facts = self._of_texts() if self._sql_kind == "VARCHAR" else self._typed()
        facts = self._counted(facts)
        if facts.kind not in ("whole", "number") or not facts.values:
            return facts
        marked = self._sentinel(self._epoch(facts))
        return facts if marked is facts else self._counted(marked)

    def _blank(self, kind: Kind, **more: Any) -> Facts:
        return Facts(self._name, kind, 0, 0, 0, None, None, 0, **more)

    def _typed(self) -> Facts:
        kind = self._sql_kind
        if kind == "BOOLEAN":
            return self._blank("boolean")
        if kind.startswith(("TIMESTAMP", "DATE")):
            return self._blank("time")
        return self._blank("whole" if kind.endswith(("INT", "INTEGER")) else "number")

    def _of_texts(self) -> Facts:
        """Return the kind that all texts have but for a few that stand for missing values."""
        x, t = self._x, f"trim({self._x})"
        values, numbers, whole, flags, codes = self._row(
            f"count({x}), count_if(regexp_full_match({t}, '{NUMBER}')), count_if(regexp_full_match({t}, '{WHOLE}')), "
            f"count_if(lower({t}) in ('true', 'false')), count_if(regexp_full_match({t}, '[+0][0-9]+'))"
        )
        if not values:
            return self._blank("number")
        if flags == values:
            return self._blank("boolean")
        others = self._others(f"not regexp_full_match({t}, '{NUMBER}')")
        marks = self._marks(others, values, numbers)
        left = values - sum(count for text, count in others if text in marks)
        if numbers == left and numbers and not codes:
            return self._blank("whole" if whole == numbers else "number", marks=marks)
        known = tuple(text for text, _ in others if _is_mark(text))
        return self._written(known, values) or self._blank("text", marks=known)

    def _others(self, condition: str) -> list[tuple[str, int]]:
        return [
            (str(text), int(count))
            for text, count in self._opened.execute(
                f"select {self._x}, count(*) from {TABLE} where {self._x} is not null and {condition} "
                f"group by 1 order by 2 desc, 1 limit {SHOWN}"
            ).fetchall()
        ]

    def _marks(self, others: Sequence[tuple[str, int]], values: int, numbers: int) -> tuple[str, ...]:
        """Return the texts that stand for missing values in a column of numbers, if it is one."""
        few = 0 < len(others) <= WORDS
        if few and numbers and (numbers >= NUMBERS * values or all(_is_mark(text) for text, _ in others)):
            return tuple(text for text, _ in others)
        return ()

    def _written(self, marks: tuple[str, ...], values: int) -> Facts | None:
        """Return times, or numbers with other marks; None where the texts are neither."""
        x = f"case when {self._x} not in ({_literals(marks)}) then {self._x} end" if marks else self._x
        shapes = {"iso": _ISO, "comma": _COMMA, "grouped": _GROUPED}
        counts = self._row(
            f"count({x}), count_if(regexp_matches({x}, '[0-9].*[/.: ,-].*[0-9]') or {x} similar to '[0-9]{{8}}'), "
            + ", ".join(f"count_if(regexp_full_match(trim({x}), '{shape}'))" for shape in shapes.values())
        )
        values, datelike, iso, comma, grouped = counts
        if not values:
            return None
        if iso == values and self._row(f"count(try_cast({x} as timestamp))")[0] == values:
            return self._blank("time", marks=marks)
        if datelike == values and (formats := self._formats(x, values)):
            return self._blank("time", marks=marks, dates=formats)
        if datelike == values and (several := self._mixed(x)):
            return self._blank("text", marks=marks, mixed=several)
        if (
            comma == values
            and self._row(f"count_if(contains({x}, ',') and not regexp_full_match({x}, '{_GROUPED}'))")[0]
        ):
            dotted = self._row(f"count_if(contains({x}, '.'))")[0]
            return self._blank("number", marks=marks, decimal=",", thousands="." if dotted else None)
        if grouped == values and self._row(f"count_if(contains({x}, ','))")[0]:
            return self._blank("number", marks=marks, thousands=",")
        return self._spaced(x, marks, values)

    def _spaced(self, x: str, marks: tuple[str, ...], values: int) -> Facts | None:
        """Return numbers whose digits are grouped by blanks or apostrophes; None where the texts are none."""
        for group in _GROUPS:
            mark = _escaped(group)
            shape = rf"[+-]?([0-9]{{1,3}}({mark}[0-9]{{3}})+|[0-9]+)([.,][0-9]+)?"
            fitting, grouped, commas, points = self._row(
                f"count_if(regexp_full_match(trim({x}), '{shape}')), count_if(contains(trim({x}), '{mark}')), "
                f"count_if(contains({x}, ',')), count_if(contains({x}, '.'))"
            )
            if fitting == values and grouped and not (commas and points):
                return self._blank("number", marks=marks, decimal="," if commas else None, thousands=group)
        return None

    def _mixed(self, x: str) -> tuple[str, ...]:
        """Return several formats, of which each text of dates has one; "" is ISO 8601, none where no few have all."""
        formats = [day + clock for day in _DAY for clock in _CLOCK]
        parsed = [f"try_strptime(x, '{one}')" for one in formats]
        fits = ", ".join(f"coalesce(year({one}) between 1900 and 2100, false)" for one in parsed)
        rows = self._opened.execute(
            f"select regexp_full_match(x, '{_ISO}') and try_cast(x as timestamp) is not null, {fits} "
            f"from (select distinct {x} as x from {TABLE} where {x} is not null order by 1 limit {TEXTS})"
        ).fetchall()
        chosen = list[int]()
        while rows and len(chosen) < FORMATS:
            counts = [sum(column) for column in zip(*rows, strict=True)]
            best = counts.index(max(counts))
            if not counts[best]:
                return ()
            chosen.append(best)
            rows = [row for row in rows if not row[best]]
        return tuple(["", *formats][place] for place in chosen) if not rows and len(chosen) > 1 else ()

    def _formats(self, x: str, values: int) -> tuple[str, ...]:
        """Return the formats of dates that all texts have; a year lies between 1900 and 2100."""
        formats = [day + clock for day in _DAY for clock in _CLOCK]
        first = f"'{_escaped(self._row(f'any_value({x})')[0])}'"
        tried = self._row(", ".join(f"any_value(try_strptime({first}, '{one}'))" for one in formats))
        fitting = [one for one, time in zip(formats, tried, strict=True) if time is not None]
        if not fitting:
            return ()
        counts = self._row(
            ", ".join(f"count_if(year(try_strptime({x}, '{one}')) between 1900 and 2100)" for one in fitting)
        )
        return tuple(one for one, count in zip(fitting, counts, strict=True) if count == values)

    def _epoch(self, facts: Facts) -> Facts:
        """Return numbers as times where their name and their size say so."""
        if not _TIMELY.search(self._name):
            return facts
        for unit, factor in _UNITS.items():
            if _FIRST * factor <= facts.least and facts.most <= _LAST * factor:
                return replace(facts, kind="time", unit=unit)
        return facts

    def _sentinel(self, facts: Facts) -> Facts:
        """Return numbers with a mark that is far below all others, which are not negative."""
        if facts.kind == "time" or facts.least not in SENTINELS:
            return facts
        x = _parsed(self._x, facts)
        count, negative = self._row(f"count_if({x} = {facts.least}), count_if({x} < 0)")
        return replace(facts, marks=(*facts.marks, int(facts.least))) if negative == count > 1 else facts

    def _counted(self, facts: Facts) -> Facts:
        """Return the facts with what the values say."""
        x = _parsed(self._x, facts)
        length = f"avg(length({x}))" if facts.kind == "text" else "0"
        rows, values, distinct, least, most, digest, mean = self._row(
            f"count(*), count({x}), count(distinct {x}), min({x}), max({x}), "
            f"bit_xor(hash(concat_ws('|', rowid, {x}))), {length}"
        )
        present = self._row(f"count({self._x})")[0]
        frequent = self._opened.execute(
            f"select {x}, count(*) from {TABLE} where {x} is not null group by 1 order by 2 desc, 1 limit {SHOWN}"
        ).fetchall()
        shown = tuple((value, count) for value, count in frequent)
        is_number = facts.kind == "whole" and values == distinct and values >= COUNTED * rows and rows > 1
        return replace(
            facts,
            rows=rows,
            values=values,
            distinct=distinct,
            least=least,
            most=most,
            digest=digest or 0,
            shown=shown,
            amount=self._amount(x, [str(value) for value, _ in shown]) if facts.kind == "text" else None,
            marked=present - values,
            length=mean or 0.0,
            counts_rows=is_number and (most - least == rows - 1 or self._steps(x) >= COUNTED * (rows - 1)),
        )

    def _amount(self, x: str, shown: Sequence[str]) -> str | None:
        """Return the mark before the fraction of amounts; None where frequent texts are none, or two marks are used."""
        either = re.compile("|".join(_AMOUNTS.values()))
        if not shown or not all(either.fullmatch(text.strip()) for text in shown):
            return None
        fits = {point: f"regexp_full_match(trim({x}), '{_escaped(shape)}')" for point, shape in _AMOUNTS.items()}
        only_point, only_comma = self._row(
            f"count_if({fits['.']} and not {fits[',']}), count_if({fits[',']} and not {fits['.']})"
        )
        return None if only_point and only_comma else "," if only_comma else "."

    def _steps(self, x: str) -> int:
        """Return in how many rows a number is one more than in the row before."""
        lagged = f"select {x} as x, lag({x}) over (order by rowid) as before from {TABLE}"
        ((steps,),) = self._opened.execute(f"select count_if(x - before = 1) from ({lagged})").fetchall()
        return int(steps)

    def _row(self, selected: str) -> tuple[Any, ...]:
        (row,) = self._opened.execute(f"select {selected} from {TABLE}").fetchall()
        return tuple(row)


def _is_mark(text: str) -> bool:
    return text in MARKS or not text.strip()


def _literals(values: Iterable[str | int]) -> str:
    return ", ".join(f"'{_escaped(value)}'" if isinstance(value, str) else str(value) for value in values)


def _escaped(text: object) -> str:
    return str(text).replace("'", "''")
