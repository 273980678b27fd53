"""Options of files: those that all sources that are files share, and which format takes which."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import replace
from typing import ClassVar, Literal, Self, get_args

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from ml.base.sql import DataError
from ml.declaration.sources.kind import SourceKind
from ml.declaration.sources.spelling import Spelling, Unit, of_column

Format = Literal["csv", "jsonl", "parquet", "excel"]
ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
}
COMPRESSED = (".gz", ".zip", ".bz2", ".xz")
_PACKABLE = ("csv", "jsonl")
TAKES: dict[Format, tuple[str, ...]] = {
    "csv": ("separator", "header", "encoding", "decimal", "thousands", "quote", "skip"),
    "jsonl": ("encoding",),
    "parquet": (),
    "excel": ("sheet", "header", "skip"),
}
_SOME = tuple(sorted({option for options in TAKES.values() for option in options}))
# Those that DuckDB's strptime knows.
_DIRECTIVE = re.compile(r"%(-?[aAbBcdfgGHIjmMnpSuUVwWxXyYzZ%]|.|$)")
_DIRECTIVES = set("aAbBcdfgGHIjmMnpSuUVwWxXyYzZ%") | {f"-{letter}" for letter in "dHIjmMSy"}
_YEARS = {"Y", "y", "x", "c", "G"}


def _check_dates(dates: str) -> None:
    unknown = [match[0] for match in _DIRECTIVE.finditer(dates) if match[1] not in _DIRECTIVES]
    if unknown or "%" not in dates:
        raise ValueError(
            f"{dates!r} is no format of dates"
            + (f", for {', '.join(map(repr, unknown))} is unknown" if unknown else "")
            + ": write it as strptime has it, such as %d/%m/%Y or %Y-%m-%d %H:%M:%S"
        )
    if not {match[1] for match in _DIRECTIVE.finditer(dates)} & _YEARS:
        raise ValueError(
            f"{dates!r} names no year, so that it tells no time; make texts of the parts, or a computed time"
        )


def _check_marks(marks: object) -> None:
    for mark in marks if isinstance(marks, list) else [marks]:
        is_infinite = isinstance(mark, float) and not math.isfinite(mark)
        if isinstance(mark, bool) or not isinstance(mark, str | int | float) or is_infinite:
            raise ValueError(
                f'{mark!r} is no mark: write a list of texts, in quotes, and of numbers, as ["?", "no", -999]'
            )
    if not isinstance(marks, list) or not marks:
        raise ValueError(f'{marks!r} is no list of marks: write one, as ["?", " ", -999]')


def _by_column(declared: object) -> list[object]:
    """Return what is declared of all columns, or of each that is named."""
    return list(declared.values()) if isinstance(declared, dict) else [declared]


Mark = StrictStr | StrictInt | StrictFloat
_VALUES = ("columns", "missing", "dates", "unit")


class StoredSource(SourceKind):
    """A source whose columns are chosen, and whose values are written in a way that the declaration says."""

    unsaid: ClassVar[tuple[str, ...]] = _VALUES

    columns: list[str] | None = Field(
        None,
        min_length=1,
        description="The columns of the table: of a file without a header the names of all in their order, of any "
        "other those that are read.",
    )
    missing: list[Mark] | dict[str, list[Mark]] | None = Field(
        None,
        min_length=1,
        description='What stands for a missing value: ["?", " ", -999]. A text is missing where a cell is exactly it, '
        "a number in columns of numbers. Or by column: {income: [-999]}.",
    )
    dates: str | dict[str, str] | None = Field(
        None,
        min_length=1,
        description='How texts of times are written, if not by ISO 8601: "%d/%m/%Y". Or by column: {born: "%d.%m.%y"}.',
    )
    unit: Unit | dict[str, Unit] | None = Field(
        None,
        min_length=1,
        description="What numbers of times count since 1970, in UTC: s, ms, us or ns. Or by column: {at: ms}.",
    )

    @field_validator("missing", mode="before")
    @classmethod
    def _check_missing(cls, missing: object) -> object:
        for marks in _by_column(missing) if missing is not None else ():
            _check_marks(marks)
        return missing

    @field_validator("dates", mode="before")
    @classmethod
    def _check_formats(cls, dates: object) -> object:
        for each in _by_column(dates):
            if isinstance(each, str):
                _check_dates(each)
        return dates

    @field_validator("unit", mode="before")
    @classmethod
    def _check_unit(cls, unit: object) -> object:
        for each in _by_column(unit) if unit is not None else ():
            if each not in get_args(Unit):
                raise ValueError(f"{each!r} is no unit: write s, ms, us or ns")
        return unit

    @model_validator(mode="after")
    def _of_the_columns(self) -> Self:
        if self.columns and (twice := sorted({name for name in self.columns if self.columns.count(name) > 1})):
            raise ValueError(f"columns names {twice} twice")
        if unread := sorted(set(self.by_column) - set(self.columns or self.by_column)):
            raise ValueError(f"missing, dates or unit name {unread}, which are not among columns {self.columns}")
        return self

    @property
    def selected(self) -> list[str] | None:
        """The columns that are read; None: all."""
        return self.columns

    @property
    def by_column(self) -> list[str]:
        """The columns that missing, dates and unit name."""
        declared = (self.missing, self.dates, self.unit)
        return list(dict.fromkeys(name for one in declared if isinstance(one, dict) for name in one))

    @property
    def times(self) -> set[str]:
        """The columns that dates and unit name, which so hold times."""
        return {name for one in (self.dates, self.unit) if isinstance(one, dict) for name in one}

    def spelling(self, column: str) -> Spelling:
        """Return how a column writes its values."""
        marks = of_column(self.missing, column) or []
        return Spelling(
            texts=tuple(mark for mark in marks if isinstance(mark, str)),
            numbers=tuple(mark for mark in marks if not isinstance(mark, str)),
            dates=of_column(self.dates, column),
            unit=of_column(self.unit, column),
            is_time=column in self.times,
        )

    def chosen(self, names: list[str], where: str, partition: Collection[str] = ()) -> list[str]:
        """Return the columns that are read of those that there are; `partition` are columns beside them.

        Raises DataError for one that is none of them.
        """
        if self.selected is None:
            return names
        chosen = [name for name in self.selected if name not in partition]
        if missing := [name for name in chosen if name not in names]:
            raise DataError(f"{where} has no columns {missing}. It has {names}; correct source.columns")
        return chosen


class FileOptions(StoredSource):
    """A source that is one file or several, and how these are written."""

    unsaid: ClassVar[tuple[str, ...]] = ("format", *_SOME, *_VALUES)

    format: Format | None = Field(
        None, description="What the files are, where their ending does not tell: csv, jsonl, parquet or excel."
    )
    separator: str | None = Field(
        None, description='What divides the cells of a CSV file: ";" or "\\t". If absent a comma; a tab in .tsv.'
    )
    header: StrictBool | None = Field(
        None, description="Whether the first line names the columns. If false, `columns` names them, or their places."
    )
    encoding: str | None = Field(None, description="The encoding of texts, such as cp1252 or utf-16; UTF-8 if absent.")
    decimal: str | None = Field(None, description='The mark before the fraction of a number: ",".')
    thousands: str | None = Field(None, description='What groups the digits of a number by three: "." or " ".')
    quote: StrictBool | StrictStr | None = Field(
        None, description="The mark around a cell that holds a separator: a double quote if absent, false for none."
    )
    skip: int | None = Field(None, ge=1, description="Lines at the beginning that are left out, before the header.")
    sheet: StrictStr | StrictInt | None = Field(
        None, description="The sheet of an Excel file, by its name or its place from 1 on; the first if absent."
    )

    @field_validator("separator", "decimal", "quote")
    @classmethod
    def _check_character(cls, mark: bool | str | None) -> bool | str | None:
        if mark is True:
            raise ValueError("true says nothing: write the character, or false for none")
        if isinstance(mark, str) and (len(mark) != 1 or not mark.isascii() or mark in "\r\n"):
            raise ValueError(f'{mark!r} is not one ASCII character; write one, such as ";", or "\\t" for a tab')
        return mark

    @field_validator("thousands")
    @classmethod
    def _check_thousands(cls, mark: str | None) -> str | None:
        if mark is not None and (len(mark) != 1 or mark.isalnum() or mark in "+-\r\n"):
            raise ValueError(f'{mark!r} cannot group digits; write one character, such as "." or "\'"')
        return mark

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None:
            try:
                "".encode(encoding)
            except LookupError as error:
                raise ValueError(
                    f"{encoding!r} is no encoding of texts; allowed are those of Python, such as cp1252 or utf-16"
                ) from error
        return encoding

    @model_validator(mode="after")
    def _fitting(self) -> FileOptions:
        if (self.decimal or ".") == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.thousands!r}; a number would mean two things")
        if (self.decimal or ".").isalnum() or (self.decimal or ".") in "+-":
            raise ValueError(f"decimal: {self.decimal!r} is a part of numbers themselves")
        if self.quote and self.quote == (self.separator or ","):
            raise ValueError(f"quote and separator are both {self.quote!r}")
        form = self.format or self.told
        if form and (wrong := self.unfit(form)):
            raise ValueError(wrong)
        return self

    @property
    def told(self) -> Format | None:
        """The format that the ending tells."""
        return format_of(self.named)

    def unfit(self, form: Format) -> str:
        """Say which options do nothing for a format, and which do; an empty text where all do something."""
        wrong = [name for name in _SOME if getattr(self, name) is not None and name not in TAKES[form]]
        if not wrong:
            return ""
        fit = ", ".join((*TAKES[form], *_VALUES))
        return f"{', '.join(wrong)}: not for {form}, which takes {fit}; leave it out, or correct format"

    @property
    def selected(self) -> list[str] | None:
        """The columns that are read; None: all."""
        return None if self.header is False else self.columns

    def spelling(self, column: str) -> Spelling:
        """Return how a column writes its values."""
        return replace(super().spelling(column), decimal=self.decimal or ".", thousands=self.thousands or "")


def format_of(path: str) -> Format | None:
    """Return the format that the ending of a path or URL tells; None where it tells none."""
    name = (path.split("?")[0] if "://" in path else path).lower().rstrip("/")
    packed = next((ending for ending in COMPRESSED if name.endswith(ending)), "")
    bare = name.removesuffix(packed)
    form = next((form for ending, form in ENDINGS.items() if bare.endswith(ending)), None)
    return None if packed and form not in _PACKABLE else form


def allowed_endings() -> str:
    """Return the endings that tell a format, as a sentence has them."""
    packed = [ending for ending, form in ENDINGS.items() if form in _PACKABLE]
    whole = [ending for ending, form in ENDINGS.items() if form not in _PACKABLE]
    return f"{', '.join(packed)} (each packed too: {', '.join(COMPRESSED)}), {', '.join(whole)}"
