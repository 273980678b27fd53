"""Reach: the rows of each table that a query must see to answer some records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.plan.parts import Link, Synthesis
from service.synthesis.labels import as_sql
from service.synthesis.rows import Found, Rows


class Reach:
    """Follows the plan's links from asked records."""

    def __init__(self, synthesis: Synthesis) -> None:
        self._synthesis = synthesis
        self._linked = {link.table for link in synthesis.links}

    def columns(self, table: str) -> set[str]:
        """The columns by which rows of a table are found."""
        return {link.column for link in self._synthesis.links if link.table == table}

    def rows(
        self, labels: Mapping[str, Sequence[Any]], tables: Mapping[str, Rows], warnings: Sequence[list[str]]
    ) -> dict[str, dict[str, list[Any]]]:
        """Of each table the columns of what the records reach; adds to their `warnings` where that is nothing."""
        reached: list[Found] = []
        for link in self._synthesis.links:
            found = self._follow(link, labels, tables, reached)
            reached.append(found)
            if link.parent is None and found.unknown:
                _warn(link, labels[link.value], found.unknown, warnings)
        return {name: self._taken(name, tables[name], reached) for name in tables}

    def _follow(
        self, link: Link, labels: Mapping[str, Sequence[Any]], tables: Mapping[str, Rows], reached: Sequence[Found]
    ) -> Found:
        if link.parent is None:
            values = labels[link.value]
        else:
            values = tables[self._synthesis.links[link.parent].table].values(reached[link.parent], link.value)
        kind = self._synthesis.tables[link.table].columns[link.column]
        distinct = {_as_kind(value, kind) for value in set(values)} - {None}
        return tables[link.table].find(link.column, distinct)

    def _taken(self, name: str, rows: Rows, reached: Sequence[Found]) -> dict[str, list[Any]]:
        found = [each for link, each in zip(self._synthesis.links, reached, strict=True) if link.table == name]
        together = _union(found) if name in self._linked else rows.all()
        return {column: rows.values(together, column) for column in self._synthesis.tables[name].columns}


def _as_kind(value: Any, kind: Any) -> Any:
    """A number as one of the other type, so that 17.0 finds 17; all else as it is."""
    return as_sql(value, kind) if kind in ("BIGINT", "DOUBLE") else value


def _union(found: Sequence[Found]) -> Found:
    if len(found) == 1:
        return found[0]
    positions = np.unique(np.concatenate([each.positions for each in found]))
    return Found(positions, list({name: None for each in found for name in each.names}), set())


def _warn(link: Link, values: Sequence[Any], unknown: set[Any], warnings: Sequence[list[str]]) -> None:
    for value, said in zip(values, warnings, strict=True):
        if value in unknown:
            said.append(f"{link.table}: no row for {link.column} {value!r}")
