"""The plan's synthesis: contradictions in it, and between it and the record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from service.plan.parts import ColumnType, EventTable, LabelColumn, Link, SqlType, Synthesis, SynthesisTable

LABELS = "__labels"
LABEL_COLUMNS: dict[str, SqlType] = {"row": "BIGINT", "cutoff": "TIMESTAMP"}  # beside the instance and the labels
INSTANCE = "instance"

SQL_TYPES: dict[ColumnType, list[SqlType]] = {
    "number": ["BIGINT", "DOUBLE"],
    "text": ["VARCHAR"],
    "flag": ["BOOLEAN"],
    "time": ["TIMESTAMP"],
}
KEY_TYPES: dict[ColumnType, SqlType] = {"number": "BIGINT", "text": "VARCHAR"}  # of rows that may be sent


def synthesis_problems(synthesis: Synthesis, record: Mapping[str, ColumnType], *, has_cutoff: bool) -> list[str]:
    """List the contradictions of a synthesis, but for those with the events."""
    problems = [*_label_problems(synthesis, record)]
    if synthesis.tables and not has_cutoff:
        problems.append(f"the tables {sorted(synthesis.tables)} need a cutoff, and the plan has none")
    problems += [f"a table cannot be called {name!r}" for name in synthesis.tables if name.lower() == LABELS]
    for name, table in synthesis.tables.items():
        problems += [f"table {name!r}: {problem}" for problem in _table_problems(table)]
    for position, link in enumerate(synthesis.links):
        problems += [f"link {position}, to {link.table!r}: {p}" for p in _link_problems(link, position, synthesis)]
    files = Counter(table.file for table in synthesis.tables.values())
    problems += [f"{count} tables have the file {file!r}; only one can" for file, count in files.items() if count > 1]
    return [f"synthesis: {problem}" for problem in problems]


def synthesis_files(synthesis: Synthesis | None, events: EventTable) -> list[str]:
    """Return the files of the tables that can take rows of `events`: their keys are of one type."""
    wanted = KEY_TYPES.get(events.record.get(events.keys[0], "time")) if len(events.keys) == 1 else None
    tables = synthesis.tables.values() if synthesis and wanted else []
    return [table.file for table in tables if table.key is not None and table.columns.get(table.key) == wanted]


def _label_problems(synthesis: Synthesis, record: Mapping[str, ColumnType]) -> Iterator[str]:
    labels = {INSTANCE: synthesis.instance, **synthesis.labels}
    for name, label in labels.items():
        if label.column in record:
            yield from _type_problems(name, label, record[label.column])
        elif name != INSTANCE:  # an instance that no record names is missing in all of them
            yield f"label {name!r}: the record has no column {label.column!r}"
    for name in synthesis.labels:
        if name.lower() in (*LABEL_COLUMNS, INSTANCE):
            yield f"label {name!r}: each row of {LABELS} has another column of this name"


def _type_problems(name: str, label: LabelColumn, kind: ColumnType) -> Iterator[str]:
    if label.type not in SQL_TYPES[kind]:
        yield f"label {name!r}: column {label.column!r} is a {kind}, which is no {label.type} but {SQL_TYPES[kind]}"


def _table_problems(table: SynthesisTable) -> Iterator[str]:
    if table.key is None:
        return
    if table.key not in table.columns:
        yield f"the key {table.key!r} is none of its columns {sorted(table.columns)}"
    elif table.columns[table.key] not in KEY_TYPES.values():
        yield f"the key {table.key!r} is a {table.columns[table.key]}, not one of {sorted(KEY_TYPES.values())}"


def _link_problems(link: Link, position: int, synthesis: Synthesis) -> list[str]:
    if link.table not in synthesis.tables:
        return [f"there is no such table; there are {sorted(synthesis.tables)}"]
    if link.parent is not None and not 0 <= link.parent < position:
        return [f"its parent {link.parent} is no earlier link"]
    columns = synthesis.tables[link.table].columns
    if link.column not in columns:
        return [f"it has no column {link.column!r}"]
    values = value_types(link, synthesis)
    if link.value not in values:
        return [f"its parent has no {link.value!r}, only {sorted(values)}"]
    kinds = {columns[link.column], values[link.value]}
    if len(kinds) > 1 and kinds != {"BIGINT", "DOUBLE"}:
        return [f"{link.column!r} is a {columns[link.column]}, and {link.value!r} of its parent a {values[link.value]}"]
    return []


def value_types(link: Link, synthesis: Synthesis) -> dict[str, SqlType]:
    """Return what a link's value may be, with types: the columns of the rows where it begins."""
    if link.parent is None:
        return {INSTANCE: synthesis.instance.type, **{name: label.type for name, label in synthesis.labels.items()}}
    parent = synthesis.tables.get(synthesis.links[link.parent].table)
    return dict(parent.columns) if parent else {}
