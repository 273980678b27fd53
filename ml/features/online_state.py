"""The online state: the plan and the past that a service needs to make of a record the features of the batch path.

The plan is built of the structs by which the service reads it, `service.plan`: its schema is declared once.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.base.expressions import row_sql, sources_of
from ml.base.sql import quoted
from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import CUTOFF, Feature, FeatureDefinitions, Lookup
from ml.features.events import event_columns, events_of, events_sql, views
from ml.features.matrix import known_places
from ml.features.synthesis_query import links_of, query_of, rows_of, rows_sql
from ml.tables.computed import sent_types
from ml.tables.types import record_type, sql_type
from ml.tasks.task import BINARY, Task
from ml.windows.window import AtCutoff
from service.plan import document, parts


def online_state(
    use_case: str,
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    tables: Mapping[str, pa.Table],
    cutoffs: pd.Series,
    task: Task = BINARY,
) -> dict[str, bytes]:
    """Return the files plan.json and, as Parquet, lookups, events of windows and rows of synthesized features.

    The past that they hold begins where the first of `cutoffs` needs it.
    """
    used = _used_columns(definitions)
    lookups: dict[str, parts.Lookup] = {}
    files: dict[str, pa.Table] = {}
    for name, columns in used.items():
        if (lookup := definitions.lookups[name]).kind != "window":
            lookups[name] = _row_lookup(lookup, f"{name}.parquet", definitions.at_cutoff)
            files[f"{name}.parquet"] = _rows(lookup, columns, tables[lookup.table], cutoffs)
    histories = _histories(spec, {name: definitions.lookups[name] for name in used}, tables)
    for history in histories:
        since = cutoffs.min() - history.longest(definitions)
        files[history.file] = history.since(since)
        for name, lookup in history.lookups.items():
            lookups[name] = _window_lookup(lookup, history.file, since, definitions.at_cutoff)
    synthesis, sent = None, list(_sent_events(spec, histories, tables))
    if any(feature.kind == "synthesis" for feature in definitions.features):
        synthesis, rows = _synthesis(spec, definitions, tables)
        files |= rows
        sent += _sent_rows(spec, definitions, tables, synthesis)
    plan = document.Plan(
        use_case=use_case,
        record=dict(definitions.record),
        required=[column] if (column := cutoff_column(spec)) else [],
        features=list(map(_feature, definitions.features)),
        cutoff=parts.Cutoff(column, int(spec.examples.cutoff_before.total_seconds())) if column else None,
        lookups=lookups,
        events=_event_tables(sent),
        synthesis=synthesis,
        task=document.Task(task.kind, task.classes, task.targets or msgspec.UNSET),
        key=_key(spec, definitions, tables[spec.examples.table]),
    )
    return {"plan.json": document.encode_plan(plan), **{file: _parquet(table) for file, table in files.items()}}


def _key(spec: UseCaseSpec, definitions: FeatureDefinitions, rows: pa.Table) -> dict[str, parts.ColumnType]:
    """Return the types of the columns that name a row of the examples' table."""
    return {name: definitions.record.get(name) or record_type(rows[name].type) for name in spec.keys}


def _used_columns(definitions: FeatureDefinitions) -> dict[str, list[str]]:
    """Return the lookups that features use, each with the columns that they read of it, sorted."""
    used: dict[str, set[str]] = {}
    for feature in definitions.features:
        if feature.lookup is not None:
            used.setdefault(feature.lookup, set()).update([feature.column] if feature.column else [])
    return {name: sorted(used[name]) for name in definitions.lookups if name in used}


def cutoff_column(spec: UseCaseSpec) -> str | None:
    """Return the column of a record that says when it is asked about; None: no time matters."""
    return CUTOFF if spec.examples.query else spec.examples.cutoff_column


def _feature(feature: Feature) -> parts.Feature:
    """Describe a feature in the plan; of a synthesized one the type tells what its query returns."""
    name, column, lookup = feature.name, str(feature.column), str(feature.lookup)
    match feature.kind:
        case "column":
            return parts.ColumnFeature(name, column)
        case "calendar":
            return parts.CalendarFeature(name, column, str(feature.primitive))
        case "lookup":
            return parts.LookupFeature(name, lookup, column)
        case "window":
            return parts.WindowFeature(name, lookup, str(feature.aggregation), feature.column, feature.window_s)
        case "synthesis":
            return parts.SynthesisFeature(name, "numeric" if feature.type == "numeric" else "categorical")


def _row_lookup(lookup: Lookup, file: str, at_cutoff: AtCutoff) -> parts.RowLookup:
    """Describe a static or latest lookup in the plan."""
    if lookup.kind == "static":
        return parts.StaticLookup(file, lookup.on, lookup.keys)
    return parts.LatestLookup(file, lookup.on, lookup.keys, str(lookup.time), lookup.valid_for_s, at_cutoff)


def _window_lookup(lookup: Lookup, file: str, since: pd.Timestamp, at_cutoff: AtCutoff) -> parts.WindowLookup:
    """Describe a lookup of windows in the plan."""
    return parts.WindowLookup(
        file=file,
        on=lookup.on,
        keys=lookup.keys,
        time=str(lookup.time),
        scales=lookup.scales,
        at_cutoff=at_cutoff,
        since=since.to_pydatetime(),
    )


def _rows(lookup: Lookup, columns: Iterable[str], table: pa.Table, cutoffs: pd.Series) -> pa.Table:
    """Return the rows of a static lookup, or those of a latest one that some cutoff may need."""
    if lookup.kind == "latest":
        if lookup.valid_for_s is not None:
            first = cutoffs.min() - pd.Timedelta(seconds=lookup.valid_for_s)
            table = table.filter(pc.greater_equal(table[str(lookup.time)], pa.scalar(first.to_pydatetime())))
        table = table.take(pa.array(known_places(table, lookup)))
    times = [lookup.time] if lookup.time else []
    return table.select(list(dict.fromkeys([*lookup.keys, *times, *columns])))


@dataclass(frozen=True)
class _History:
    """The events of one table as of one time, which several lookups group in their ways."""

    file: str
    lookups: Mapping[str, Lookup]
    events: pa.Table
    query: str

    @property
    def lookup(self) -> Lookup:
        """The first of the lookups; all of them have its table, its time and its scales."""
        return next(iter(self.lookups.values()))

    def longest(self, definitions: FeatureDefinitions) -> pd.Timedelta:
        """Return how far the longest window reaches back."""
        windows = (window for name in self.lookups for window in definitions.windows(name))
        return pd.Timedelta(seconds=max(window.seconds or 0 for window in windows))

    def since(self, first: pd.Timestamp) -> pa.Table:
        """Return the events from a time on."""
        return self.events.filter(pc.greater_equal(self.events[self.lookup.time], pa.scalar(first.to_pydatetime())))


def _histories(spec: UseCaseSpec, lookups: Mapping[str, Lookup], tables: Mapping[str, pa.Table]) -> list[_History]:
    """Return the events of all lookups of windows, those of one table and time together."""
    histories = []
    for together in views(lookups):
        lookup, keys = next(iter(together.values())), event_columns(together.values())
        table, declared = tables[lookup.table], spec.tables[lookup.table]
        query = events_sql(spec, lookup, keys, _events_sql(declared, table), table.schema)
        events = events_of(spec, lookup, keys, table)
        histories.append(_History(f"{lookup.table}.{lookup.time}.parquet", together, events, query))
    return histories


def _synthesis(
    spec: UseCaseSpec, definitions: FeatureDefinitions, tables: Mapping[str, pa.Table]
) -> tuple[parts.Synthesis, dict[str, pa.Table]]:
    """Describe the synthesized features in the plan, and return the files with the rows that their query reads."""
    synthesis, query = definitions.synthesis, query_of(spec, definitions)
    assert synthesis is not None
    described, files = {}, {}
    for name, rows in rows_of(synthesis, query, tables).items():
        view, file = synthesis.views[name], f"{name}.rows.parquet"
        files[file] = rows
        columns = {column: view.columns[column] for column in rows.column_names}
        described[name] = parts.SynthesisTable(file, columns, view.key)
    labels = {
        name: parts.LabelColumn(name, synthesis.label_type(name, definitions.record[name])) for name in query.record
    }
    key = spec.keys[0]  # a synthesis has examples with a key of one column
    instance = parts.LabelColumn(key, sql_type(tables[spec.examples.table][key].type))
    links = [parts.Link(**step) for step in links_of(synthesis, query)]
    return parts.Synthesis(query.sql, instance, labels, described, links), files


def _events_sql(declared: Table, table: pa.Table) -> str:
    """Return the rows of `event`, with their computed columns, as a table expression."""
    types, derived = sent_types(declared, table), declared.derived.items()
    expressions = "".join(f", {row_sql(expression, types)} as {quoted(name)}" for name, expression in derived)
    return f"(select event.*{expressions} from event)"


def _sent_events(
    spec: UseCaseSpec, histories: Iterable[_History], tables: Mapping[str, pa.Table]
) -> Iterator[tuple[str, parts.EventTable]]:
    """Yield of each history its table, and how rows that are sent become events of it."""
    for history in histories:
        lookup, declared = history.lookup, spec.tables[history.lookup.table]
        keys = event_columns(history.lookups.values())
        columns = [*declared.keys, str(lookup.time), *keys, *lookup.scales, *declared.derived]
        record = _record(columns, declared.derived, tables[lookup.table])
        view = parts.View(history.file, history.query)
        key = declared.keys if len(declared.keys) > 1 else declared.keys[0]
        yield lookup.table, parts.EventTable(record, key, [view])


def _sent_rows(
    spec: UseCaseSpec, definitions: FeatureDefinitions, tables: Mapping[str, pa.Table], synthesis: parts.Synthesis
) -> Iterator[tuple[str, parts.EventTable]]:
    """Yield of each table that synthesized features read its source, and how rows that are sent become rows of it."""
    assert definitions.synthesis is not None
    for name, table in synthesis.tables.items():
        view = definitions.synthesis.views[name]
        columns = [*table.columns, *([view.time] if view.time else [])]
        record = _record(columns, spec.tables[view.table].derived, tables[view.table])
        query = rows_sql(view, table.columns, _events_sql(spec.tables[view.table], tables[view.table]))
        yield view.table, parts.EventTable(record, view.key, [parts.View(table.file, query)])


def _record(columns: Iterable[str], derived: Mapping[str, str], table: pa.Table) -> dict[str, parts.ColumnType]:
    """Return the types of the columns that a row must have for some columns, which may be computed, to be known."""
    needed = sources_of(columns, derived)
    stored = [name for name in table.column_names if name.lower() in needed and name not in derived]
    return {name: record_type(table[name].type) for name in stored}


def _event_tables(sent: Iterable[tuple[str, parts.EventTable]]) -> dict[str, parts.EventTable]:
    """Return the tables whose rows may be sent, each with the columns and views of all that is made of it."""
    tables: dict[str, parts.EventTable] = {}
    for name, more in sent:
        table = tables.get(name, parts.EventTable({}, more.key, []))
        tables[name] = parts.EventTable(table.record | more.record, table.key, [*table.views, *more.views])
    return tables


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink)
    return sink.getvalue()
