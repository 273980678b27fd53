"""Rows that are sent to a service: which columns they have, and how they become rows of the files that it holds.

By the same expressions as in the batch path, over a table `event` of what was sent.
"""

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from ml.base.expressions import row_sql, sources_of
from ml.base.sql import quoted
from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import FeatureDefinitions, Lookup
from ml.features.events import event_columns, events_sql
from ml.features.synthesis_query import rows_sql
from ml.tables.computed import sent_types
from ml.tables.types import SqlType, record_type
from service.plan import parts

Sent = tuple[str, parts.EventTable]  # a table, and what becomes of a row of it in one file


def sent_events(spec: UseCaseSpec, lookups: Mapping[str, Lookup], file: str, table: pa.Table) -> Sent:
    """Return the table of lookups of windows over the same events, and how a row that is sent becomes an event."""
    lookup = next(iter(lookups.values()))
    declared, keys = spec.tables[lookup.table], event_columns(lookups.values())
    query = events_sql(spec, lookup, keys, rows_of_event(declared, table), table.schema)
    columns = [*declared.keys, str(lookup.time), *keys, *lookup.scales]
    return lookup.table, _event_table(declared, columns, table, parts.View(file, query))


def sent_lookup(spec: UseCaseSpec, lookup: Lookup, types: Mapping[str, SqlType], file: str, table: pa.Table) -> Sent:
    """Return the table of a lookup, and how a row that is sent becomes one of it.

    `types` are the columns that features read, as SQL has their values: a DOUBLE or a VARCHAR.
    """
    declared = spec.tables[lookup.table]
    values = {**{name: quoted(name) for name in lookup.keys}, **times_sql(lookup)}
    values |= {name: f"cast({quoted(name)} as {kind})" for name, kind in types.items()}
    columns = ", ".join(f"{value} as {quoted(name)}" for name, value in values.items())
    query = f"select {columns} from {rows_of_event(declared, table)}"
    return lookup.table, _event_table(declared, [*declared.keys, *values], table, parts.View(file, query))


def times_sql(lookup: Lookup) -> dict[str, str]:
    """Return the times by which the rows of a lookup are in order, as SQL; what happened at no time did in 1970."""
    times = {} if lookup.time is None else {lookup.time: f"cast({quoted(lookup.time)} as timestamp)"}
    if lookup.happened not in (None, lookup.time):
        happened = quoted(str(lookup.happened))
        times[str(lookup.happened)] = f"coalesce(cast({happened} as timestamp), timestamp '1970-01-01')"
    return times


def sent_rows(
    spec: UseCaseSpec, definitions: FeatureDefinitions, tables: Mapping[str, pa.Table], synthesis: parts.Synthesis
) -> Iterator[Sent]:
    """Yield of each table that synthesized features read its source, and how rows that are sent become rows of it."""
    assert definitions.synthesis is not None
    for name, table in synthesis.tables.items():
        view = definitions.synthesis.views[name]
        declared, source = spec.tables[view.table], tables[view.table]
        query = rows_sql(view, table.columns, rows_of_event(declared, source))
        columns = [*table.columns, *([view.time] if view.time else [])]
        yield view.table, _event_table(declared, columns, source, parts.View(table.file, query))


def event_tables(sent: Iterable[Sent]) -> dict[str, parts.EventTable]:
    """Return the tables whose rows may be sent, each with the columns and views of all that is made of it.

    One whose key is computed is not among them: nothing that is sent would name its row.
    """
    tables: dict[str, parts.EventTable] = {}
    for name, more in sent:
        table = tables.get(name, parts.EventTable({}, more.key, []))
        tables[name] = parts.EventTable(table.record | more.record, table.key, [*table.views, *more.views])
    return {name: table for name, table in tables.items() if set(table.keys) <= table.record.keys()}


def rows_of_event(declared: Table, table: pa.Table) -> str:
    """Return the rows of `event`, with their computed columns, as a table expression."""
    types, derived = sent_types(declared, table), declared.derived.items()
    expressions = "".join(f", {row_sql(expression, types)} as {quoted(name)}" for name, expression in derived)
    return f"(select event.*{expressions} from event)"


def _event_table(declared: Table, columns: Iterable[str], table: pa.Table, view: parts.View) -> parts.EventTable:
    key = declared.keys if len(declared.keys) > 1 else declared.keys[0]
    # the expressions of all computed columns stand in a query, whichever of them it needs
    return parts.EventTable(_record([*columns, *declared.derived], declared.derived, table), key, [view])


def _record(columns: Iterable[str], derived: Mapping[str, str], table: pa.Table) -> dict[str, parts.ColumnType]:
    """Return the types of the columns that a row must have for some columns, which may be computed, to be known."""
    needed = sources_of(columns, derived)
    stored = [name for name in table.column_names if name.lower() in needed and name not in derived]
    return {name: record_type(table[name].type) for name in stored}
