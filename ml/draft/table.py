"""A table of a draft: how its file is read, what identifies a row, when it happened, and what is no feature."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml.base.sql import DataError, connection, quoted
from ml.declaration.sources.file import FileSource
from ml.draft.facts import MARKS, PROSE, TABLE, Facts, facts_of, parsed_sql, useless
from ml.draft.notes import Guess, Question, block_lines, plain
from ml.draft.sniff import options_of
from ml.tables.columns import UnknownType, column
from ml.tables.sources import without_halves
from ml.tasks.row_weights import WEIGHT

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS = 1_000_000  # that are looked at, the first ones
ROW_NUMBER = "row_number"
LARGEST = 2**63 - 1  # of the whole numbers of a table
OWN_TIME = re.compile(r"birth|born|dob", re.IGNORECASE)
ID_NAME = re.compile(r"(^|_)(id|key|uuid|guid|code|nr|no|number|index)$|[a-z]I[dD]$|ID$", re.IGNORECASE)
_OF_EXAMPLES = ("cutoff", "target", "split", WEIGHT)  # columns that every example has
_EVENT = ("date", "time", "datetime", "timestamp", "at", "created_at", "day")


@dataclass(frozen=True)
class DraftTable:
    """A table: its file, what its columns say, and what was guessed from it. `opened` holds its first rows."""

    name: str
    path: str
    options: Mapping[str, Any]
    facts: Mapping[str, Facts]
    refused: Mapping[str, str]
    rows: int
    opened: DuckDBPyConnection
    keys: tuple[tuple[str, ...], ...]
    """What could identify a row, the likeliest first; empty where nothing does."""

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row; none where nothing does."""
        return self.keys[0] if self.keys else ()

    def keyed(self, key: tuple[str, ...]) -> DraftTable:
        """Return the table with one of its keys as the likeliest."""
        return replace(self, keys=(key, *(other for other in self.keys if other != key)))

    @property
    def times(self) -> list[Facts]:
        """The times that every row has, the likeliest to be when it happened first."""
        times = [
            one for one in self.facts.values() if one.kind == "time" and one.values == one.rows and one.distinct > 1
        ]
        order = sorted(times, key=lambda one: (bool(OWN_TIME.search(one.name)), one.name.lower() not in _EVENT))
        return [one for one in order if not OWN_TIME.search(one.name)]

    def entries(self, time: str | None, target: str | None, ignored: Mapping[str, str]) -> dict[str, Any]:
        """Return the declaration of the table; `ignored` are further columns that are no features, and why."""
        entries: dict[str, Any] = {"source": self._source(), "key": self._key()}
        if time is not None:
            entries["time"] = self._time(time)
        if logical := self._logical_types(time, target):
            entries["logical_types"] = logical
        if useless := dict(self._useless(target)) | dict(ignored):
            entries["ignore"] = [Guess(name, why) for name, why in useless.items()]
        if marked := [one for one in self.facts.values() if one.amount and one.name != target]:
            entries["question about amounts"] = Question(
                f"are the texts of {_some([one.name for one in marked])} amounts? As texts they are names; to have "
                "numbers, list them under ignore and compute",
                block_lines({"computed": dict(map(_number_of, marked))}),
            )
        if otherwise := self._otherwise_written(target):
            numbers = {
                re.sub(r"\W+", "_", f"{one.name}_number"): f"try_cast({quoted(one.name)} as double)"
                for one in otherwise
            }
            entries["question about numbers"] = Question(
                f"are the texts of {_some([one.name for one in otherwise])} numbers? They have a point before the "
                "fraction, those of other columns a comma, and are names as they stand; to have numbers, list them "
                "under ignore and compute",
                block_lines({"computed": numbers}),
            )
        for one in (one for one in self.facts.values() if one.mixed and one.name != target):
            written = " and as ".join(form or "ISO 8601" for form in one.mixed)
            entries[f"question about {one.name}"] = Question(
                f"is {one.name} a time? Its texts are written as {written}, and are names as they stand; to have "
                "times, list it under ignore and compute",
                block_lines({"computed": {re.sub(r"\W+", "_", f"{one.name}_time"): time_of(one)}}),
            )
        return entries

    def _source(self) -> dict[str, Any]:
        source: dict[str, Any] = {"path": self.path, **self.options}
        marks = {one.name: one for one in self.facts.values() if one.marks}
        if marks:
            source["missing"] = self._missing(marks)
        for option in ("decimal", "thousands"):
            if values := {getattr(one, option) for one in self.facts.values()} - {None}:
                names = [one.name for one in self.facts.values() if getattr(one, option)]
                source[option] = Guess(sorted(values)[0], f"numbers are written so in {_some(names)}")
        if dates := {one.name: one.dates for one in self.facts.values() if one.dates}:
            ambiguous = [name for name, formats in dates.items() if len(formats) > 1]
            source["dates"] = Guess(
                {name: formats[0] for name, formats in dates.items()}, f"texts of {_some(list(dates))} are times"
            )
            for name in ambiguous:
                first, second = dates[name][:2]
                source[f"question about {name}"] = Question(
                    f"is {self._text_of(name)!r} of {name} written as {first} or as {second}? All values fit both"
                )
        if units := {one.name: one.unit for one in self.facts.values() if one.unit}:
            source["unit"] = Guess(units, "by their name and size these numbers are times, counted since 1970")
        return source

    def _otherwise_written(self, target: str | None) -> list[Facts]:
        """Return the numbers with a point in texts of a source whose other numbers have a comma."""
        if not any(one.decimal for one in self.facts.values()):
            return []
        pointed = [one for one in self.facts.values() if one.kind == "number" and not one.decimal and one.values]
        return [one for one in pointed if one.name != target and self._is_text(one.name)]

    def _missing(self, marks: Mapping[str, Facts]) -> Guess:
        values = [value for one in marks.values() for value in one.marks]
        count, written = sum(one.marked for one in marks.values()), ", ".join(map(repr, dict.fromkeys(values)))
        why = f"{count:,} values of {_some(list(marks))} stand for missing ones; {written}"
        if texts := [one.name for one in marks.values() if one.kind == "text"]:
            why += f" could also be a value of its own in {_some(texts)}: then leave it out"
        everywhere = all(isinstance(value, str) and (value in MARKS or not value.strip()) for value in values)
        if everywhere and len(marks) > 1:
            return Guess(sorted(set(values), key=str), why)
        return Guess({name: list(one.marks) for name, one in marks.items()}, why)

    def _key(self) -> Guess:
        if not self.keys:
            return Guess(
                ROW_NUMBER, f"no column is different in each of {self.rows:,} rows: the place of a row names it"
            )
        key, others = self.keys[0], [*map(_named, self.keys[1:]), ROW_NUMBER]
        why = f"{self.rows:,} rows, all different in it; it could also be {_or(others[:4])}"
        return Guess(key[0] if len(key) == 1 else list(key), why)

    def _time(self, time: str) -> Guess:
        facts, others = self.facts[time], [one.name for one in self.times if one.name != time]
        also = f"; it could also be {_or(others)}" if others else ""
        return Guess(time, f"when a row happened: {facts.least} to {facts.most}{also}")

    def _logical_types(self, time: str | None, target: str | None) -> dict[str, Any]:
        """Return the types of prose, and of times that are not declared as such elsewhere."""
        named = [
            one.name for one in self.facts.values()
            if one.kind == "time" and one.name != time and not one.dates and not one.unit and self._is_text(one.name)
        ]  # fmt: skip
        useless = dict(self._useless(target))
        prose = [
            one for one in self.facts.values()
            if one.prose and one.name not in useless and one.name != target and one.name not in self.key
        ]  # fmt: skip
        digits = "of more than 64 bits are among its whole numbers: as texts they keep every digit"
        large = [one.name for one in self.facts.values() if one.kind == "whole" and one.values and one.most > LARGEST]
        types = {name: Guess("category", digits) for name in large if name != target}
        return (
            types
            | {name: Guess("time", "all of its texts are times") for name in named}
            | {
                one.name: Guess(
                    "text", f"prose of {one.length:.0f} characters on average: its words count, not which it is"
                )
                for one in prose
            }
        )

    def _text_of(self, name: str) -> str:
        """Return a text of a column, the last of them in order, of which no two parts are likely to be equal."""
        ((text,),) = self.opened.execute(f"select max({quoted(name)}) from {TABLE}").fetchall()
        return str(text)

    def _is_text(self, name: str) -> bool:
        kinds = self.opened.execute(
            f"select column_type from (describe {TABLE}) where column_name = ?", [name]
        ).fetchall()
        return kinds == [("VARCHAR",)]

    def _useless(self, target: str | None) -> Iterator[tuple[str, str]]:
        """Yield the columns that are no features, and why."""
        yield from self.refused.items()
        left = [one for one in self.facts.values() if one.name != target and one.name not in self.key]
        yield from ((name, f"it {why}") for name, why in useless(left))
        yield from (
            (one.name, "every example has a column of this name; to have it as a feature, rename it at its source")
            for one in left
            if one.name.lower() in _OF_EXAMPLES and one.kind != "time"
        )


@contextmanager
def draft_table(path: str, taken: Iterable[str] = (), target: str | None = None) -> Iterator[DraftTable]:
    """Yield the draft of a file; its name is none of those that are taken. Raises DataError for one not to be read.

    Of columns whose names differ by case only the `target` is one, else the first.
    """
    options = options_of(path, target)
    with connection() as opened:
        refused = _read(opened, path, plain(options), target)
        facts = {one.name: one for one in facts_of(opened)}
        rows = next((one.rows for one in facts.values()), 0)
        if rows == 0:
            raise DataError(f"the file {path!r} has no rows")
        keys = tuple(_keys(opened, list(facts.values()), rows))
        yield DraftTable(_name(path, set(taken)), path, options, facts, refused, rows, opened, keys)


def _read(opened: DuckDBPyConnection, path: str, options: Mapping[str, Any], target: str | None) -> dict[str, str]:
    """Read the first rows into a table; return the columns that no table can hold, and why."""
    import duckdb

    source = FileSource.model_validate({"path": path, **options})
    try:
        with source.rows() as rows:
            refused = dict(rows.refused) | _same_names(rows.schema.names, target)
            if twice := sorted(name for name, count in Counter(rows.schema.names).items() if count > 1):
                raise DataError(
                    f"the file {path!r} has the columns {twice} more than once; rename one of each in its header"
                )
            values = {field.name: value for field in rows.schema if (value := _value(field, refused))}
            scanned = rows.scan(list(values))
            if not isinstance(scanned, str):
                opened.register("source", without_halves(scanned))
            relation = scanned if isinstance(scanned, str) else "source"
            columns = ", ".join(f"{value} as {quoted(name)}" for name, value in values.items())
            opened.execute(f"create table {TABLE} as select {columns} from {relation} limit {ROWS}")
    except (pa.ArrowException, duckdb.Error, UnicodeDecodeError) as error:
        raise DataError(f"the file {path!r} cannot be read with {options or 'no options'}: {error}") from error
    return refused


def _same_names(names: Sequence[str], target: str | None) -> dict[str, str]:
    """Return the columns whose names SQL takes for that of another column, and why they are no features."""
    first: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name != target):
        first.setdefault(name.lower(), name)
    return {
        name: f"its name differs from that of {first[name.lower()]!r} by case only"
        for name in names
        if first[name.lower()] != name
    }


def _value(field: pa.Field, refused: dict[str, str]) -> str | None:
    """Return SQL of a column's values as a table has them; None, and why, where none can hold it."""
    if field.name in refused:
        return None
    if pa.types.is_uint64(field.type):
        return f"cast({quoted(field.name)} as varchar)"  # some of 64 bits have no place in a column of a table
    try:
        return column(field, None).value
    except UnknownType as error:
        refused[field.name] = f"it {error}; {error.remedy}"
        return None


def _keys(opened: DuckDBPyConnection, facts: Sequence[Facts], rows: int) -> Iterator[tuple[str, ...]]:
    """Yield what could identify a row, the likeliest first: one column, or two of which one is named like an id."""
    single = [
        (place, one) for place, one in enumerate(facts)
        if one.unique
        and one.name.lower() not in _OF_EXAMPLES
        and (one.kind == "whole" or (one.kind == "text" and one.length < PROSE))
    ]  # fmt: skip
    likely = sorted(single, key=lambda pair: (-_likeness(pair[1]), pair[0]))
    yield from ((one.name,) for _, one in likely)
    if single:
        return
    parts = [
        one for one in facts
        if one.values == one.rows
        and one.name.lower() not in _OF_EXAMPLES
        and (ID_NAME.search(one.name) or one.kind == "time")
    ][:6]  # fmt: skip
    for pair in combinations(parts, 2):
        if not any(ID_NAME.search(one.name) for one in pair) or pair[0].distinct * pair[1].distinct < rows:
            continue
        count = opened.execute(
            f"select count(*) from (select distinct {', '.join(map(parsed_sql, pair))} from {TABLE})"
        ).fetchall()
        if count == [(rows,)]:
            yield pair[0].name, pair[1].name


def _likeness(facts: Facts) -> int:
    """Return how much a column looks like a key: by its name, and as one that does not just count the rows."""
    is_unnamed = facts.name.startswith("Unnamed: ") or not facts.name
    return 2 * bool(ID_NAME.search(facts.name)) - facts.counts_rows - is_unnamed


def _name(path: str, taken: set[str]) -> str:
    """Return a name for the table of a file: its own, as an identifier of ASCII."""
    stem = unicodedata.normalize("NFKD", Path(path).name.split(".")[0])
    name = re.sub(r"\W+", "_", stem.encode("ascii", "ignore").decode()).strip("_").lower() or "rows"
    name = f"t_{name}" if name[0].isdigit() else name
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique


def time_of(facts: Facts) -> str:
    """Return the expression that computes times of texts in several formats; ISO 8601 is tried last, as most fit it."""
    name, formats = quoted(facts.name), sorted(facts.mixed, key=lambda form: form == "")
    parsed = (f"try_strptime({name}, '{form}')" if form else f"try_cast({name} as timestamp)" for form in formats)
    return f"coalesce({', '.join(parsed)})"


def _number_of(facts: Facts) -> tuple[str, str]:
    """Return a name for the numbers of a column of amounts, and the expression that computes them."""
    return re.sub(r"\W+", "_", f"{facts.name}_number"), number_of(facts)


def number_of(facts: Facts) -> str:
    """Return the expression that computes the numbers of a column of amounts."""
    digits = f"regexp_replace({quoted(facts.name)}, '[^0-9{facts.amount}-]', '', 'g')"
    if facts.amount == ",":
        digits = f"replace({digits}, ',', '.')"
    return f"try_cast({digits} as double)"


def _named(key: tuple[str, ...]) -> str:
    return " and ".join(key)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _or(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
