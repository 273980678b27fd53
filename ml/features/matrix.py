"""Feature values: every value known at the row's cutoff time, none later."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import FeatureDefinitions, Lookup
from ml.features.events import event_columns, events_of, views
from ml.features.synthesis_query import synthesized_values
from ml.windows.window import windows


def feature_matrix(
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    tables: Mapping[str, pa.Table],
    examples: pd.DataFrame,
    requests: pa.Table | None = None,
) -> pd.DataFrame:
    """Compute one row per row of `examples` (columns: the key and `cutoff`), in its order, with one column per feature.

    `requests` are the rows asked about, in that order, where they are not those of the examples' table.
    """
    key = spec.key
    source = tables[spec.examples.table] if requests is None else requests
    columns = [name for name in source.column_names if name in definitions.record]
    record = source.select(list(dict.fromkeys([key, *columns]))).to_pandas()
    if requests is None:
        record = record.set_index(key, drop=False).loc[examples[key]].reset_index(drop=True)
    looked_up = _windows(spec, definitions, tables, record, examples["cutoff"])
    for name, lookup in definitions.lookups.items():
        if lookup.kind != "window":
            keys, exact = record[lookup.on[0]], definitions.at_cutoff == "included"
            looked_up[name] = _rows_of(lookup, tables[lookup.table], keys, examples["cutoff"], exact)
    synthesized = pd.DataFrame()
    if any(feature.kind == "synthesis" for feature in definitions.features):
        synthesized = synthesized_values(spec, definitions, tables, record, examples["cutoff"])
    values_of = {}
    for feature in definitions.features:
        if feature.kind == "column":
            values = record[feature.column]
        elif feature.kind == "synthesis":
            values = synthesized[feature.name]
        elif feature.kind == "calendar":
            values = calendar_part(record[feature.column], str(feature.primitive))
        elif feature.kind == "window":
            values = looked_up[str(feature.lookup)].pop(feature.name)  # the matrix may be most of what the memory holds
        else:
            values = looked_up[str(feature.lookup)][feature.column]
        if feature.type == "numeric":
            values = values.to_numpy(dtype="float64", copy=True, na_value=np.nan)
        values_of[feature.name] = values
    return pd.DataFrame({**examples.reset_index(drop=True), **values_of}, copy=False)


def calendar_part(times: pd.Series, primitive: str) -> pd.Series:
    """Return a part of a time, with featuretools' own primitive."""
    from featuretools.primitives import get_transform_primitives

    part = get_transform_primitives()[primitive]().get_function()(times)
    return pd.Series(part, index=times.index).astype("float64").where(times.notna())


def _windows(
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    tables: Mapping[str, pa.Table],
    record: pd.DataFrame,
    cutoff: pd.Series,
) -> dict[str, pd.DataFrame]:
    """Compute the windows of each record by lookup, with a column for each feature.

    Lookups of one time share their events.
    """
    values = {}
    for together in views(definitions.lookups):
        first, keys = next(iter(together.values())), event_columns(together.values())
        events = events_of(spec, first, keys, tables[first.table])
        for name, lookup in together.items():
            rows = pa.Table.from_pandas(record[lookup.on].assign(cutoff=cutoff.to_numpy()), preserve_index=False)
            wanted = definitions.windows(name)
            table = windows(events, rows, lookup.keys, str(lookup.time), lookup.scales, wanted, definitions.at_cutoff)
            values[name] = table.to_pandas(split_blocks=True, self_destruct=True)
    return values


def _rows_of(lookup: Lookup, table: pa.Table, keys: pd.Series, cutoff: pd.Series, exact: bool) -> pd.DataFrame:
    """Return the lookup's row for each key and cutoff, `exact` at the very cutoff too.

    Where it has none, the values are missing.
    """
    if lookup.kind == "static":
        static: pd.DataFrame = table.to_pandas().set_index(lookup.keys[0])
        return static.reindex(keys).reset_index(drop=True)
    return _latest(lookup, table.to_pandas(), keys, cutoff, exact)


def known_rows(table: pd.DataFrame, lookup: Lookup) -> pd.DataFrame:
    """Return the rows that are the latest of their key at some time.

    Never are those that became known only after one that had happened later, and those that never became known.
    """
    if lookup.happened == lookup.time:
        return table
    happened = str(lookup.happened)
    rows = table.dropna(subset=[str(lookup.time)])
    rows = rows.sort_values([str(lookup.time), happened], kind="stable")
    return rows[rows[happened] >= rows.groupby(lookup.keys[0], sort=False)[happened].cummax()]


def _latest(lookup: Lookup, table: pd.DataFrame, keys: pd.Series, cutoff: pd.Series, exact: bool) -> pd.DataFrame:
    left = pd.DataFrame({"_key": keys.to_numpy(), "_cutoff": cutoff.to_numpy("datetime64[ns]")})
    left["_row"] = range(len(left))

    table = known_rows(table, lookup)
    right = table.rename(columns={lookup.keys[0]: "_key"}).assign(
        _cutoff=table[str(lookup.time)].to_numpy("datetime64[ns]")
    )
    merged = pd.merge_asof(
        left.sort_values("_cutoff", kind="stable"),
        right.sort_values("_cutoff", kind="stable"),
        on="_cutoff",
        by="_key",
        allow_exact_matches=exact,
        tolerance=pd.Timedelta(seconds=lookup.valid_for_s) if lookup.valid_for_s is not None else None,
    )
    return merged.sort_values("_row").reset_index(drop=True)
