"""Lookup files: the Parquet files of lookups, as those to which rows can be added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.records.keys import joined_text, key_text
from service.records.reader import Problem
from service.tables.files import NUMERIC, TEXT, kind_of
from service.tables.table import Columns, Row


@dataclass(frozen=True)
class LookupFile:
    """The file of a lookup; `names` are those of its columns that name a row."""

    lookup: str
    columns_of_file: Columns
    names: Sequence[str]

    def columns(self) -> list[str]:
        """List the columns of a row."""
        about = self.columns_of_file
        return list(dict.fromkeys([*about.kinds, *about.numeric, *about.categorical]))

    def type_problems(self, schema: Any) -> list[str]:
        """List the columns of a schema of Arrow whose type is not the file's."""
        about = self.columns_of_file
        kinds = {name: kind_of(schema.field(name).type) for name in self.columns()}
        wrong = {name: kind for name, kind in about.kinds.items() if kinds[name] != kind}
        problems = [f"{name!r} as a {kinds[name]}, not a {kind}" for name, kind in wrong.items()]
        problems += [
            f"{name!r} as a {kinds[name]}, not a number" for name in about.numeric if kinds[name] not in NUMERIC
        ]
        return problems + [
            f"{name!r} as a {kinds[name]}, not a text" for name in about.categorical if kinds[name] not in TEXT
        ]

    def name(self, row: Row) -> str:
        """Return the text that names a row."""
        kinds = self.columns_of_file.kinds
        return joined_text(
            [str(row[name]) if kinds[name] == "time" else key_text(row[name]) or "" for name in self.names]
        )

    def value_problems(self, row: Mapping[str, Any], index: int) -> list[Problem]:
        """List no problems: what the query makes of a row, the lookup can hold."""
        return []
