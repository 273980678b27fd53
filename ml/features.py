"""Feature values: every value known at the row's cutoff time, none later."""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.feature_definitions import FeatureDefinitions, Lookup, history_columns, history_entities, plain_frame
from ml.spec import UseCaseSpec, duration

_CHUNK_DAYS = 31


def feature_matrix(
    spec: UseCaseSpec, definitions: FeatureDefinitions, tables: Mapping[str, pa.Table], examples: pd.DataFrame
) -> pd.DataFrame:
    """One row per row of `examples` (columns: the key and `cutoff`), in its order, with one column per feature."""
    key = spec.tables[spec.examples.table].keys[0]
    record = tables[spec.examples.table].select([key, *definitions.record]).to_pandas().set_index(key)
    record = record.loc[examples[key]].reset_index()
    found = {
        name: _rows_found(spec, definitions, name, lookup, tables, record, examples["cutoff"])
        for name, lookup in definitions.lookups.items()
    }
    columns = {}
    for feature in definitions.features:
        if feature.kind == "column":
            values = record[feature.column]
        elif feature.kind == "lookup":
            values = found[str(feature.lookup)][feature.column]
        else:
            values = calendar_part(record[feature.column], str(feature.primitive))
        numeric = feature.type == "numeric"
        columns[feature.name] = values.to_numpy(dtype="float64", na_value=np.nan) if numeric else values
    return pd.concat([examples.reset_index(drop=True), pd.DataFrame(columns)], axis=1)


def calendar_part(times: pd.Series, primitive: str) -> pd.Series:
    """A part of a time, with featuretools' own primitive."""
    from featuretools.primitives import get_transform_primitives

    part = get_transform_primitives()[primitive]().get_function()(times)
    return pd.Series(part, index=times.index).astype("float64").where(times.notna())


def _rows_found(
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    name: str,
    lookup: Lookup,
    tables: Mapping[str, pa.Table],
    record: pd.DataFrame,
    cutoff: pd.Series,
) -> pd.DataFrame:
    """The lookup's row for each record; missing values where it has none."""
    keys = record[lookup.on]
    if lookup.kind == "static":
        static: pd.DataFrame = tables[lookup.table].to_pandas().set_index(lookup.key)
        return static.reindex(keys).reset_index(drop=True)
    if lookup.kind == "latest":
        return _latest(lookup, tables[lookup.table].to_pandas(), keys, cutoff)
    days = cutoff.dt.floor("D")
    table = history_table(spec, definitions, lookup.on, tables, days.unique())
    wanted = pd.MultiIndex.from_arrays([keys, days.astype(table.index.get_level_values(1).dtype)])
    return table.reindex(wanted).fillna(history_defaults(definitions, lookup.on)).reset_index(drop=True)


def _latest(lookup: Lookup, table: pd.DataFrame, keys: pd.Series, cutoff: pd.Series) -> pd.DataFrame:
    left = pd.DataFrame({"_key": keys.to_numpy(), "_cutoff": cutoff.to_numpy("datetime64[ns]")})
    left["_row"] = range(len(left))

    right = table.rename(columns={lookup.key: "_key"}).assign(
        _cutoff=table[str(lookup.time)].to_numpy("datetime64[ns]")
    )
    merged = pd.merge_asof(
        left.sort_values("_cutoff", kind="stable"),
        right.sort_values("_cutoff", kind="stable"),
        on="_cutoff",
        by="_key",
        tolerance=pd.Timedelta(seconds=lookup.valid_for_s) if lookup.valid_for_s is not None else None,
    )
    return merged.sort_values("_row").reset_index(drop=True)


def history_defaults(definitions: FeatureDefinitions, group: str) -> dict[str, float]:
    """The values of a group without any past, where they are not missing: a count of nothing is 0."""
    import featuretools as ft

    features = ft.load_features(definitions.history[group])
    return {str(f.get_name()): float(f.default_value) for f in features if not pd.isna(f.default_value)}


def history_table(
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    group: str,
    tables: Mapping[str, pa.Table],
    days: np.ndarray,
) -> pd.DataFrame:
    """The history of every group as of each midnight in `days`, by group and day; no event of that day counts."""
    import featuretools as ft

    history = spec.features.history
    assert history is not None
    features = ft.load_features(definitions.history[group])
    longest = max(duration(window) for window in history.windows)
    times = spec.tables[history.table].known_at
    events = plain_frame(tables[history.table], history_columns(spec, group))
    groups = sorted(events[group].dropna().unique())
    parts = []
    days = np.sort(pd.DatetimeIndex(days).unique())
    for first in range(0, len(days), _CHUNK_DAYS):
        chunk = pd.DatetimeIndex(days[first : first + _CHUNK_DAYS])
        # Only events inside the longest window can count, so each chunk's tables stay small.
        near = pd.concat([events[time].between(chunk[0] - longest, chunk[-1]) for time in times], axis=1).any(axis=1)
        cutoffs = pd.MultiIndex.from_product([chunk, groups], names=["time", group]).to_frame(index=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            entities = history_entities(spec, group, events[near])
            part = ft.calculate_feature_matrix(
                features,
                entities,
                cutoff_time=cutoffs[[group, "time"]].rename(columns={group: "instance_id"}),
                include_cutoff_time=False,
                cutoff_time_in_index=True,
            )
        parts.append(part)
    table: pd.DataFrame = pd.concat(parts).astype("float64")
    table.index = table.index.set_names([group, "day"])
    return table.sort_index()
