"""What a service needs to make of a raw record the features that the batch path makes: the plan, and the past."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.base.sql import quoted, sources_of
from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import CUTOFF, Feature, FeatureDefinitions, Lookup
from ml.features.events import event_columns, events_of, events_sql, views
from ml.features.matrix import known_rows
from ml.features.synthesis_query import rows_sql, synthesis_plan
from ml.tables.types import is_number, record_type
from ml.tasks.metrics import BINARY, Task
from ml.windows.window import AtCutoff


def online_state(
    use_case: str,
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    tables: Mapping[str, pa.Table],
    cutoffs: pd.Series,
    task: Task = BINARY,
) -> dict[str, bytes]:
    """The files plan.json and, as Parquet, lookups, events of windows and rows of synthesized features.

    The past that they hold begins where the first of `cutoffs` needs it.
    """
    used: dict[str, list[Feature]] = {name: [] for name in definitions.lookups}
    for feature in definitions.features:
        if feature.lookup is not None:
            used[feature.lookup].append(feature)
    wanted = {name: (definitions.lookups[name], features) for name, features in used.items() if features}
    files, lookups = {}, {}
    for name, (lookup, features) in wanted.items():
        if lookup.kind == "window":
            continue
        columns = sorted({str(feature.column) for feature in features})
        table, described = _rows(lookup, tables, cutoffs, definitions.at_cutoff)
        keep = table[[*lookup.keys, *([str(lookup.time)] if lookup.time else []), *columns]]
        files[f"{name}.parquet"] = _parquet(pa.Table.from_pandas(keep, preserve_index=False))
        lookups[name] = {"file": f"{name}.parquet", "on": lookup.on, "keys": lookup.keys, **described}
    windowed = _views(spec, {name: lookup for name, (lookup, _) in wanted.items()}, tables)
    for view in windowed:
        since = cutoffs.min() - view.longest(definitions)
        files[view.file] = _parquet(view.since(since))
        for name, lookup in view.lookups.items():
            lookups[name] = {
                "kind": "window",
                "file": view.file,
                "on": lookup.on,
                "keys": lookup.keys,
                "time": lookup.time,
                "scales": lookup.scales,
                "at_cutoff": definitions.at_cutoff,
                "since": since.isoformat(),
            }
    events, synthesis = _accepted(spec, windowed, tables), None
    if any(feature.kind == "synthesis" for feature in definitions.features):
        synthesis, rows = synthesis_plan(spec, definitions, tables)
        files |= {file: _parquet(table) for file, table in rows.items()}
        _add_views(spec, definitions, tables, synthesis, events)
    column = CUTOFF if spec.examples.query else spec.examples.cutoff_column
    plan = {
        "use_case": use_case,
        "record": definitions.record,
        "required": [column] if column else [],
        "cutoff": {"column": column, "before_s": int(spec.examples.cutoff_before.total_seconds())} if column else None,
        "features": list(map(_described, definitions.features)),
        "lookups": lookups,
        "events": events,
        "golden": "golden.json",
        "task": asdict(task),
    }
    if synthesis is not None:
        plan["synthesis"] = synthesis
    return {"plan.json": json.dumps(plan, indent=1).encode(), **files}


def _described(feature: Feature) -> dict[str, Any]:
    """A feature in the plan; the type of a synthesized one tells what its query returns."""
    hidden = {"made_of"} if feature.kind == "synthesis" else {"type", "made_of"}
    return feature.model_dump(exclude_none=True, exclude=hidden)


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink)
    return sink.getvalue()


def _rows(
    lookup: Lookup, tables: Mapping[str, pa.Table], cutoffs: pd.Series, at_cutoff: AtCutoff
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows of a static or latest lookup, and what the plan says of it."""
    table: pd.DataFrame = tables[lookup.table].to_pandas()
    if lookup.kind == "static":
        return table, {"kind": "static"}
    if lookup.valid_for_s is not None:
        table = table[table[str(lookup.time)] >= cutoffs.min() - pd.Timedelta(seconds=lookup.valid_for_s)]
    table = known_rows(table, lookup)
    about = {"kind": "latest", "time": lookup.time, "valid_for_s": lookup.valid_for_s, "at_cutoff": at_cutoff}
    return table, about


@dataclass(frozen=True)
class _View:
    """The events of one table as of one time, which several lookups group in their ways."""

    file: str
    lookups: Mapping[str, Lookup]
    events: pa.Table
    query: str

    @property
    def table(self) -> str:
        return next(iter(self.lookups.values())).table

    @property
    def time(self) -> str:
        return str(next(iter(self.lookups.values())).time)

    def longest(self, definitions: FeatureDefinitions) -> pd.Timedelta:
        """How far the longest window reaches back."""
        windows = (window for name in self.lookups for window in definitions.windows(name))
        return pd.Timedelta(seconds=max(window.seconds or 0 for window in windows))

    def since(self, first: pd.Timestamp) -> pa.Table:
        """The events from a time on."""
        return self.events.filter(pc.greater_equal(self.events[self.time], pa.scalar(first.to_pydatetime())))


def _views(spec: UseCaseSpec, lookups: Mapping[str, Lookup], tables: Mapping[str, pa.Table]) -> list[_View]:
    made = []
    for together in views(lookups):
        lookup, keys = next(iter(together.values())), event_columns(together.values())
        events = events_of(spec, lookup, keys, tables[lookup.table])
        number_key = is_number(tables[lookup.table][spec.tables[lookup.table].keys[0]].type)
        query = events_sql(spec, lookup, keys, _computed(spec, lookup.table), number_key)
        made.append(_View(f"{lookup.table}.{lookup.time}.parquet", together, events, query))
    return made


def _computed(spec: UseCaseSpec, table: str) -> str:
    """The rows of `event`, with their computed columns, as a table expression."""
    expressions = "".join(f", ({sql}) as {quoted(name)}" for name, sql in spec.tables[table].derived.items())
    return f"(select event.*{expressions} from event)"


def _accepted(spec: UseCaseSpec, windowed: list[_View], tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """What the service needs to take new events in: their columns, and the queries that make views of them."""
    accepted: dict[str, Any] = {}
    for view in windowed:
        declared, table = spec.tables[view.table], tables[view.table]
        lookup = next(iter(view.lookups.values()))
        named = [declared.keys[0], view.time, *event_columns(view.lookups.values()), *lookup.scales, *declared.derived]
        needed = sources_of(named, declared.derived)
        record = {n: record_type(table[n].type) for n in table.column_names
                  if n.lower() in needed and n not in declared.derived}  # fmt: skip
        about = accepted.setdefault(view.table, {"record": {}, "key": declared.keys[0], "views": []})
        about["record"] |= record
        about["views"].append({"file": view.file, "query": view.query})
    return accepted


def _add_views(
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    tables: Mapping[str, pa.Table],
    synthesis: Mapping[str, Any],
    events: dict[str, Any],
) -> None:
    """Says of each table that synthesized features read how rows that are sent become rows of it."""
    assert definitions.synthesis is not None
    for name, about in synthesis["tables"].items():
        view = definitions.synthesis.views[name]
        derived, table = spec.tables[view.table].derived, tables[view.table]
        needed = sources_of([*about["columns"], *([view.time] if view.time else [])], derived)
        columns = [each for each in table.column_names if each.lower() in needed and each not in derived]
        taken = events.setdefault(view.table, {"record": {}, "key": view.key, "views": []})
        taken["record"] |= {each: record_type(table[each].type) for each in columns}
        query = rows_sql(view, about["columns"], _computed(spec, view.table))
        taken["views"].append({"file": about["file"], "query": query})
