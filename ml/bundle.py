"""What a service needs to score raw records as the batch path does: plan, lookup tables and golden requests."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.feature_definitions import FeatureDefinitions, Lookup
from ml.features import history_defaults, history_table
from ml.spec import UseCaseSpec, duration


def plan_and_lookups(
    use_case: str,
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    tables: Mapping[str, pa.Table],
    cutoffs: pd.Series,
) -> dict[str, bytes]:
    """The files plan.json and one Parquet file per lookup; histories begin at the first of `cutoffs`."""
    files, lookups = {}, {}
    for name, lookup in definitions.lookups.items():
        used = sorted({feature.column for feature in definitions.features if feature.lookup == name})
        if not used:
            continue
        table, described = _lookup(spec, definitions, lookup, tables, cutoffs)
        keep = [lookup.key, *([str(lookup.time)] if lookup.time else []), *used]
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(table[keep], preserve_index=False).replace_schema_metadata(None), sink)
        files[f"{name}.parquet"] = sink.getvalue()
        lookups[name] = {"file": f"{name}.parquet", "on": [lookup.on], "keys": [lookup.key], **described}
    column = spec.examples.cutoff_column
    plan = {
        "use_case": use_case,
        "record": definitions.record,
        "required": [column] if column else [],
        "cutoff": {"column": column, "before_s": int(spec.examples.cutoff_before.total_seconds())} if column else None,
        "features": [feature.model_dump(exclude_none=True, exclude={"type"}) for feature in definitions.features],
        "lookups": lookups,
        "golden": "golden.json",
    }
    return {"plan.json": json.dumps(plan, indent=1).encode(), **files}


def _lookup(
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    lookup: Lookup,
    tables: Mapping[str, pa.Table],
    cutoffs: pd.Series,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    if lookup.kind == "static":
        return tables[lookup.table].to_pandas(), {"kind": "static"}
    if lookup.kind == "latest":
        table = tables[lookup.table].to_pandas()
        if lookup.valid_for_s is not None:
            table = table[table[str(lookup.time)] >= cutoffs.min() - pd.Timedelta(seconds=lookup.valid_for_s)]
        return table, {"kind": "latest", "time": lookup.time, "valid_for_s": lookup.valid_for_s}
    history = spec.features.history
    assert history is not None
    events = tables[history.table].to_pandas()[list(spec.tables[history.table].known_at)].max().max()
    first = cutoffs.min().floor("D")
    # Beyond the last event by the longest window, every window is empty: the defaults say all.
    last = max(events, cutoffs.max()).ceil("D") + max(duration(window) for window in history.windows)
    days = np.asarray(pd.date_range(first, last, freq="D"), dtype="datetime64[ns]")
    table = history_table(spec, definitions, lookup.on, tables, days).reset_index()
    return table, {
        "kind": "daily",
        "time": "day",
        "first": str(first.date()),
        "last": str(last.date()),
        "defaults": history_defaults(definitions, lookup.on),
    }


def golden_rows(
    spec: UseCaseSpec, definitions: FeatureDefinitions, table: pa.Table, rows: pd.DataFrame, count: int
) -> pa.Table:
    """Rows to ask the service about, with keys of their own and nothing known of their outcome.

    Each is a row of the examples' table: as it is, with its numbers missing, and with its categories unseen.
    """
    key = spec.tables[spec.examples.table].keys[0]
    chosen = rows.iloc[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
    source = table.select([key, *definitions.record]).to_pandas().set_index(key).loc[chosen[key]].reset_index()
    kinds = definitions.record
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    texts = [name for name, kind in kinds.items() if kind == "text"]
    parts = [source, source.assign(**dict.fromkeys(numbers, np.nan))]
    parts += [source.assign(**{name: "never seen"}) for name in texts] + [
        source.assign(**{name: None}) for name in texts
    ]
    golden = pd.concat(parts, ignore_index=True)
    taken = table[key].to_pandas()
    numeric = pd.api.types.is_integer_dtype(taken)
    golden[key] = [int(taken.max()) + 1 + row if numeric else f"golden {row}" for row in range(len(golden))]
    schema = pa.schema([table.schema.field(name) for name in golden.columns])
    made = pa.Table.from_pandas(golden, preserve_index=False)
    columns = [made[field.name].cast(field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def records(definitions: FeatureDefinitions, golden: pa.Table) -> list[dict[str, Any]]:
    """Golden rows as the JSON records that the service is asked with; missing values are left out or null."""
    rows = golden.select(list(definitions.record)).to_pylist()
    return [{name: _json(value) for name, value in row.items()} for row in rows]


def _json(value: Any) -> Any:
    if isinstance(value, float) and np.isnan(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
