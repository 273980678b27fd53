"""Reach: the rows of each table that a query must see to answer some records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.plan.parts import Link, Synthesis
from service.plan.synthesis import INSTANCE
from service.records.notices import notice
from service.records.reader import excerpt
from service.synthesis.labels import as_sql
from service.synthesis.rows import Rows, Selection


class Reach:
    """The rows around some records, found by following the plan's links."""

    def __init__(self, synthesis: Synthesis) -> None:
        self._synthesis = synthesis
        self._linked = {link.table for link in synthesis.links}
        labels = {INSTANCE: synthesis.instance, **synthesis.labels}
        self._columns_asked = {name: label.column for name, label in labels.items()}

    def columns(self, table: str) -> set[str]:
        """Return the columns by which rows of a table are found."""
        return {link.column for link in self._synthesis.links if link.table == table}

    def rows(
        self, labels: Mapping[str, Sequence[Any]], tables: Mapping[str, Rows], warnings: Sequence[list[str]]
    ) -> dict[str, dict[str, list[Any]]]:
        """Return of each table the columns of the rows that records reach; add to `warnings` where there are none."""
        reached: list[Selection] = []
        for link in self._synthesis.links:
            selection = self._follow(link, labels, tables, reached)
            reached.append(selection)
            if link.parent is None:
                _warn(link, self._columns_asked[link.value], labels[link.value], selection.unknown, warnings)
        return {name: self._columns(name, tables[name], reached) for name in tables}

    def _follow(
        self, link: Link, labels: Mapping[str, Sequence[Any]], tables: Mapping[str, Rows], reached: Sequence[Selection]
    ) -> Selection:
        if link.parent is None:
            values = labels[link.value]
        else:
            values = tables[self._synthesis.links[link.parent].table].values(reached[link.parent], link.value)
        kind = self._synthesis.tables[link.table].columns[link.column]
        distinct = {_as_kind(value, kind) for value in set(values)} - {None}
        return tables[link.table].find(link.column, distinct)

    def _columns(self, name: str, rows: Rows, reached: Sequence[Selection]) -> dict[str, list[Any]]:
        if name in self._linked:
            links = zip(self._synthesis.links, reached, strict=True)
            selection = _union([selected for link, selected in links if link.table == name])
        else:
            selection = rows.all()
        return {column: rows.values(selection, column) for column in self._synthesis.tables[name].columns}


def _as_kind(value: Any, kind: Any) -> Any:
    """Return a number as one of the other type, so that 17.0 finds 17; all else as it is."""
    return as_sql(value, kind) if kind in ("BIGINT", "DOUBLE") else value


def _union(selections: Sequence[Selection]) -> Selection:
    if len(selections) == 1:
        return selections[0]
    positions = np.unique(np.concatenate([selection.positions for selection in selections]))
    return Selection(positions, list({name: None for selection in selections for name in selection.names}), set())


def _warn(link: Link, asked: str, values: Sequence[Any], unknown: set[Any], warnings: Sequence[list[str]]) -> None:
    for value, texts in zip(values, warnings, strict=True):
        if value is None:
            texts.append(notice("missing_key", link.table, [], f"{link.table}: no row, for {asked} names none"))
        elif value in unknown:
            text = f"{link.table}: no row for {link.column} {excerpt(value)!r}"
            texts.append(notice("unseen_key", link.table, [asked], text))
