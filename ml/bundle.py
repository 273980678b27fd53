"""What a service needs to score raw records as the batch path does: plan, lookup tables and golden requests."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.events import event_columns, events_of, events_sql, views
from ml.feature_definitions import CUTOFF, Feature, FeatureDefinitions, Lookup, is_number, record_type
from ml.spec import UseCaseSpec
from ml.sql import quoted, sources_of


def plan_and_lookups(
    use_case: str,
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    tables: Mapping[str, pa.Table],
    cutoffs: pd.Series,
) -> dict[str, bytes]:
    """The files plan.json and the Parquet files of the lookups; the past that they hold begins where the first of
    `cutoffs` needs it."""
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
        table, described = _rows(lookup, tables, cutoffs)
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
    column = CUTOFF if spec.examples.query else spec.examples.cutoff_column
    plan = {
        "use_case": use_case,
        "record": definitions.record,
        "required": [column] if column else [],
        "cutoff": {"column": column, "before_s": int(spec.examples.cutoff_before.total_seconds())} if column else None,
        "features": [feature.model_dump(exclude_none=True, exclude={"type"}) for feature in definitions.features],
        "lookups": lookups,
        "events": _accepted(spec, windowed, tables),
        "golden": "golden.json",
    }
    return {"plan.json": json.dumps(plan, indent=1).encode(), **files}


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink)
    return sink.getvalue()


def _rows(lookup: Lookup, tables: Mapping[str, pa.Table], cutoffs: pd.Series) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows of a static or latest lookup, and what the plan says of it."""
    table: pd.DataFrame = tables[lookup.table].to_pandas()
    if lookup.kind == "static":
        return table, {"kind": "static"}
    if lookup.valid_for_s is not None:
        table = table[table[str(lookup.time)] >= cutoffs.min() - pd.Timedelta(seconds=lookup.valid_for_s)]
    return table, {"kind": "latest", "time": lookup.time, "valid_for_s": lookup.valid_for_s}


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
    expressions = "".join(f", ({sql}) as {quoted(name)}" for name, sql in spec.tables[table].computed.items())
    return f"(select event.*{expressions} from event)"


def _accepted(spec: UseCaseSpec, windowed: list[_View], tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """What the service needs to take new events in: their columns, and the queries that make views of them."""
    accepted: dict[str, Any] = {}
    for view in windowed:
        declared, table = spec.tables[view.table], tables[view.table]
        lookup = next(iter(view.lookups.values()))
        named = [declared.keys[0], view.time, *event_columns(view.lookups.values()), *lookup.scales, *declared.computed]
        needed = sources_of(named, declared.computed)
        record = {n: record_type(table[n].type) for n in table.column_names
                  if n.lower() in needed and n not in declared.computed}  # fmt: skip
        about = accepted.setdefault(view.table, {"record": {}, "key": declared.keys[0], "views": []})
        about["record"] |= record
        about["views"].append({"file": view.file, "query": view.query})
    return accepted


def golden_rows(
    spec: UseCaseSpec, definitions: FeatureDefinitions, table: pa.Table, rows: pd.DataFrame, count: int
) -> tuple[pa.Table, pd.DataFrame]:
    """Rows to ask the service about, with nothing known of their outcome, and the key and cutoff of each.

    Each is a row of the examples' table: as it is, with its numbers missing, and with its categories unseen.
    """
    key = spec.tables[spec.examples.table].keys[0]
    chosen = rows.iloc[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)][[key, "cutoff"]]
    columns = [name for name in table.column_names if name in definitions.record]
    source = table.select(list(dict.fromkeys([key, *columns]))).to_pandas().set_index(key, drop=False)
    source = source.loc[chosen[key]].reset_index(drop=True)
    kinds = {name: definitions.record[name] for name in columns if name != key}
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    texts = [name for name, kind in kinds.items() if kind == "text"]
    parts = [source, source.assign(**dict.fromkeys(numbers, np.nan))]
    parts += [source.assign(**{name: "never seen"}) for name in texts] + [
        source.assign(**{name: None}) for name in texts
    ]
    golden = pd.concat(parts, ignore_index=True)
    schema = pa.schema([table.schema.field(name) for name in golden.columns])
    made = pa.Table.from_pandas(golden, preserve_index=False)
    asked = pa.Table.from_arrays([made[field.name].cast(field.type) for field in schema], schema=schema)
    return asked, pd.concat([chosen] * len(parts), ignore_index=True)


def records(
    spec: UseCaseSpec, definitions: FeatureDefinitions, golden: pa.Table, cutoffs: pd.DataFrame
) -> list[dict[str, Any]]:
    """Golden rows as the JSON records that the service is asked with; missing values are left out or null."""
    if spec.examples.query:
        golden = golden.append_column(CUTOFF, pa.array(cutoffs["cutoff"], pa.timestamp("us")))
    rows = golden.select(list(definitions.record)).to_pylist()
    return [{name: _json(value) for name, value in row.items()} for row in rows]


def _json(value: Any) -> Any:
    if isinstance(value, float) and np.isnan(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
