"""The test for leaks: what happened after a moment is scrambled, and no feature of a row asked before may change."""

from collections.abc import Iterable, Mapping
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.keys import places
from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.examples.known import own_columns
from ml.features.definitions import FeatureDefinitions
from ml.features.matrix import feature_matrix
from ml.tables.computed import with_computed
from ml.tables.findings import Finding

NO_LEAK = "no_value_from_after_the_cutoff"


def sampled(rows: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Return some of the rows to test: half of them at random, half those asked next to the median cutoff.

    What is known a minute too early changes only rows that are asked in the minute before the future is taken away.
    """
    if len(rows) <= count:
        return rows
    order = rows["cutoff"].argsort(kind="stable").to_numpy()
    start = (len(rows) - count // 2) // 2
    near, others = order[start : start + count // 2], np.delete(order, slice(start, start + count // 2))
    drawn = np.random.default_rng(seed).choice(others, count - len(near), replace=False)
    return rows.iloc[np.sort(np.concatenate([near, drawn]))]


def no_leak(
    spec: UseCaseSpec, definitions: FeatureDefinitions, tables: Mapping[str, pa.Table], rows: pd.DataFrame
) -> Finding:
    """Test a sample of the rows for leaks."""
    leaks = leaking(spec, definitions, tables, rows)
    order = sorted(leaks, key=lambda name: (-leaks[name], name))
    return Finding(
        NO_LEAK,
        f"of {len(rows)} rows, those before the median cutoff keep every value when the future is scrambled",
        tuple(f"{name} changes with the future in {leaks[name]} of {len(rows)} sampled rows" for name in order),
        "say in known_at when their columns become known",
        tuple({"feature": name, "rows": leaks[name]} for name in order),
    )


def scramble(spec: UseCaseSpec, tables: Mapping[str, pa.Table], moment: pd.Timestamp) -> dict[str, pa.Table]:
    """Return the tables without rows of which nothing was known by a moment, and all columns replaced that were not.

    What is computed is computed anew, of the columns as they then are.
    """
    after = pa.scalar(moment.to_pydatetime())
    return {name: _without_later(name, spec.tables[name], table, after) for name, table in tables.items()}


def asked_rows(spec: UseCaseSpec, table: pa.Table, rows: pd.DataFrame, moment: pd.Timestamp) -> pa.Table:
    """Return the rows of the examples' table that are asked about, with all replaced that they do not yet know.

    A row itself may lie after its cutoff, for what is asked about has yet to happen.
    """
    declared, own, after = spec.tables[spec.examples.table], own_columns(spec), pa.scalar(moment.to_pydatetime())
    keys = [pa.chunked_array([pa.array(rows[key], from_pandas=True)]) for key in spec.keys]
    asked = table.take(places(keys, table.select(spec.keys).columns))
    unknown = {name for name in asked.column_names if own is not None and name not in own} - set(spec.keys)
    if own is None and declared.moment != declared.time:
        asked = _replaced(asked, set(asked.column_names) - set(spec.keys), _is_later(asked[declared.moment], after))
    asked = _replaced(asked, unknown, pa.scalar(True))
    return _computed("asked rows", declared, _scrambled(declared, asked, after))


def _without_later(name: str, declared: Table, table: pa.Table, after: pa.Scalar) -> pa.Table:
    if declared.moment is not None:
        # Of a row that happens later, columns may be known before: a plane leaves ahead of its schedule.
        is_known = [pc.invert(_is_later(table[time], after)) for time in (declared.moment, *declared.known_from)]
        table = table.filter(reduce(pc.or_, is_known))
    return _computed(f"table {name!r}", declared, _scrambled(declared, table, after))


def _scrambled(declared: Table, table: pa.Table, after: pa.Scalar) -> pa.Table:
    """Return a table with the columns replaced that a row has only after some moment."""
    later = {time: _is_later(table[time], after) for time in declared.known_from}
    for time, columns in declared.known_from.items():
        table = _replaced(table, {*columns, time} & set(table.column_names), later[time])
    return table


def _is_later(times: pa.ChunkedArray, after: pa.Scalar) -> pa.ChunkedArray:
    """Return which times lie after a moment; a missing one is never."""
    return pc.fill_null(pc.greater(times, after), True)


def _replaced(table: pa.Table, columns: Iterable[str], where: pa.ChunkedArray | pa.Scalar) -> pa.Table:
    for column in columns:
        values, place = table[column], table.schema.get_field_index(column)
        table = table.set_column(place, column, pc.if_else(where, _other(values), values))
    return table


def _computed(where: str, declared: Table, table: pa.Table) -> pa.Table:
    """Return a table with what is computed made anew, its columns in their order.

    Where an expression fails it is null: no source ever had the values that are there now, and no month is -1.
    """
    import duckdb

    names = table.column_names
    table = table.drop_columns([name for name in names if name in declared.derived])
    if not declared.derived:
        return table
    try:
        return with_computed(where, declared, table).select(names)
    except duckdb.Error:
        tried = {name: f"try({expression}\n)" for name, expression in declared.computed.items()}
        return with_computed(where, declared.model_copy(update={"computed": tried}), table).select(names)


def _other(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values of the same type that are not the column's own."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return pc.invert(column)
    if pa.types.is_timestamp(kind):
        return pc.add(column, pa.scalar(np.timedelta64(1, "h").astype(f"timedelta64[{kind.unit}]")))
    if pa.types.is_signed_integer(kind) or pa.types.is_floating(kind):
        return pc.cast(pc.subtract(pc.multiply(column, -1), 1), kind)
    return pa.chunked_array([pa.nulls(len(column), kind)])


def leaking(
    spec: UseCaseSpec, definitions: FeatureDefinitions, tables: Mapping[str, pa.Table], rows: pd.DataFrame
) -> dict[str, int]:
    """Return the features that tell something from after the cutoff, each with the number of rows in which it does.

    `rows` (the key and `cutoff`) is a sample; those before its median cutoff are computed among the others with the
    sources as they are, and alone with the future of the sources scrambled. Empty where the problem has no time.
    """
    if not spec.examples.timed:
        return {}
    moment = rows["cutoff"].sort_values().iloc[len(rows) // 2]
    is_early = (rows["cutoff"] <= moment).to_numpy()
    early = rows[is_early].reset_index(drop=True)
    # All of the sample is asked at once before: what a row is told must not depend on rows that are asked later.
    before = feature_matrix(spec, definitions, tables, rows.reset_index(drop=True))[is_early].reset_index(drop=True)
    asked = asked_rows(spec, tables[spec.examples.table], early, moment)
    after = feature_matrix(spec, definitions, scramble(spec, tables, moment), early, asked)
    changed = {
        feature.name: int(
            (before[feature.name].ne(after[feature.name]) & ~_both_missing(before, after, feature.name)).sum()
        )
        for feature in definitions.features
    }
    return {name: count for name, count in changed.items() if count}


def _both_missing(before: pd.DataFrame, after: pd.DataFrame, name: str) -> pd.Series:
    missing: pd.Series = before[name].isna() & after[name].isna()
    return missing
