"""Feature values: every value known at the row's cutoff time, none later."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.keys import places
from ml.base.sql import DataError
from ml.base.times import microseconds
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
    record = _record(spec, definitions, tables[spec.examples.table], examples) if requests is None else requests
    cutoff = pa.chunked_array([pa.array(examples["cutoff"]).cast(pa.timestamp("us"), safe=False)])
    looked_up = _windows(spec, definitions, tables, record, cutoff)
    for name, lookup in definitions.lookups.items():
        if lookup.kind != "window":
            keys, exact = record.select(lookup.on).columns, definitions.at_cutoff == "included"
            looked_up[name] = rows_of(lookup, tables[lookup.table], keys, cutoff, exact)
    synthesized = None
    if any(feature.kind == "synthesis" for feature in definitions.features):
        synthesized = synthesized_values(spec, definitions, tables, record, cutoff)
    values_of: dict[str, Any] = {}
    for feature in definitions.features:
        if feature.kind == "column":
            values = record[str(feature.column)]
        elif feature.kind == "synthesis":
            assert synthesized is not None
            values = synthesized[feature.name]
        elif feature.kind == "calendar":
            values = calendar_part(record[str(feature.column)].to_pandas(), str(feature.primitive))
        elif feature.kind == "window":
            values = looked_up[str(feature.lookup)].pop(feature.name)  # the matrix may be most of what the memory holds
        else:
            values = looked_up[str(feature.lookup)][str(feature.column)]
        values_of[feature.name] = _numbers(values) if feature.type == "numeric" else values.to_pandas()
    return pd.DataFrame({**examples.reset_index(drop=True), **values_of}, copy=False)


def _numbers(values: pa.ChunkedArray | pd.Series) -> npt.NDArray[np.float64]:
    """Return numbers and booleans as doubles, missing ones as NaN."""
    column = values.cast(pa.float64(), safe=False) if isinstance(values, pa.ChunkedArray) else values
    numbers: npt.NDArray[np.float64] = column.to_numpy()
    return numbers if numbers.flags.writeable else numbers.copy()


def _record(spec: UseCaseSpec, definitions: FeatureDefinitions, source: pa.Table, examples: pd.DataFrame) -> pa.Table:
    """Return the row of each example, with the key and the columns that a record may have."""
    columns = [name for name in source.column_names if name in definitions.record]
    rows = source.select(list(dict.fromkeys([*spec.keys, *columns])))
    keys = [pa.chunked_array([pa.array(examples[key], from_pandas=True)]) for key in spec.keys]
    place = places(keys, rows.select(spec.keys).columns)
    if place.null_count:
        first = [f"{name} = {key.filter(pc.is_null(place))[0]}" for name, key in zip(spec.keys, keys, strict=True)]
        raise DataError(f"table {spec.examples.table!r} has no row with the key {', '.join(first)}")
    return rows.take(place)


def calendar_part(times: pd.Series, primitive: str) -> pd.Series:
    """Return a part of a time, with featuretools' own primitive."""
    from featuretools.primitives import get_transform_primitives

    part = get_transform_primitives()[primitive]().get_function()(times)
    return pd.Series(part, index=times.index).astype("float64").where(times.notna())


def _windows(
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    tables: Mapping[str, pa.Table],
    record: pa.Table,
    cutoff: pa.ChunkedArray,
) -> dict[str, dict[str, Any]]:
    """Compute the windows of each record by lookup, with a column for each feature.

    Lookups of one time share their events.
    """
    values = {}
    for together in views(definitions.lookups):
        first, keys = next(iter(together.values())), event_columns(together.values())
        events = events_of(spec, first, keys, tables[first.table])
        for name, lookup in together.items():
            rows = pa.table({**{column: record[column] for column in lookup.on}, "cutoff": cutoff})
            wanted = definitions.windows(name)
            table = windows(events, rows, lookup.keys, str(lookup.time), lookup.scales, wanted, definitions.at_cutoff)
            values[name] = dict(zip(table.column_names, table.columns, strict=True))
    return values


def rows_of(
    lookup: Lookup, table: pa.Table, keys: list[pa.ChunkedArray], cutoff: pa.ChunkedArray, exact: bool
) -> dict[str, pa.ChunkedArray]:
    """Return the lookup's row for each key and cutoff, `exact` at the very cutoff too.

    Where it has none, the values are missing.
    """
    if lookup.kind == "static":
        place = places(keys, table.select(lookup.keys).columns)
    else:
        place = _latest(lookup, table, keys, cutoff, exact)
    rows = table.take(place)
    return dict(zip(rows.column_names, rows.columns, strict=True))


def known_places(table: pa.Table, lookup: Lookup) -> npt.NDArray[np.int64]:
    """Return the places of the rows that are the latest of their key at some time.

    Never are those that became known only after one that had happened later, and those that never became known.
    """
    is_known = table[str(lookup.time)].is_valid().to_numpy()
    if lookup.happened == lookup.time:
        return np.flatnonzero(is_known)
    key = table.select(lookup.keys).columns
    known, happened = microseconds(table[str(lookup.time)]), microseconds(table[str(lookup.happened)])
    rows = pd.DataFrame({"key": places(key, key).to_numpy(), "known": known, "happened": happened})
    rows = rows[is_known].sort_values(["known", "happened"], kind="stable")
    latest: npt.NDArray[np.int64] = rows.index[
        rows["happened"] >= rows.groupby("key", sort=False)["happened"].cummax()
    ].to_numpy()
    return latest


def _latest(
    lookup: Lookup, table: pa.Table, keys: list[pa.ChunkedArray], cutoff: pa.ChunkedArray, exact: bool
) -> pa.ChunkedArray:
    """Return the place in the table of the latest row of each key that was known at its cutoff; null without one."""
    known, of = known_places(table, lookup), table.select(lookup.keys).columns
    asked = pd.DataFrame({"key": _numbered(places(keys, of)), "at": microseconds(cutoff)})
    asked.loc[cutoff.is_null().to_numpy(), "key"] = -1
    rows = pd.DataFrame({"key": _numbered(places(of, of)), "at": microseconds(table[str(lookup.time)])}).loc[known]
    merged = pd.merge_asof(
        asked.sort_values("at", kind="stable").reset_index(names="row"),
        rows.sort_values("at", kind="stable").reset_index(names="place"),
        on="at",
        by="key",
        allow_exact_matches=exact,
        tolerance=lookup.valid_for_s * 10**6 if lookup.valid_for_s is not None else None,
    )
    return pa.chunked_array([pa.array(merged.sort_values("row")["place"], from_pandas=True).cast(pa.int64())])


def _numbered(place: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return places as numbers, -1 for none."""
    numbers: npt.NDArray[np.int64] = pc.fill_null(place.cast(pa.int64()), -1).to_numpy()
    return numbers
