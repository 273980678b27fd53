"""The test for leaks: what happened after a moment is scrambled, and no feature of a row asked before may change."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import FeatureDefinitions
from ml.features.matrix import feature_matrix
from ml.tables.findings import Finding

NO_LEAK = "no_value_from_after_the_cutoff"


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
    """Return the tables with all that happened or became known after a moment replaced, and what can be, removed.

    Rows of the examples' table stay, for what is asked about has yet to happen.
    """
    return {
        name: _scramble_table(spec.tables[name], table, pa.scalar(moment.to_pydatetime()), name != spec.examples.table)
        for name, table in tables.items()
    }


def _scramble_table(declared: Table, table: pa.Table, moment: pa.Scalar, may_remove: bool) -> pa.Table:
    later = {time: pc.fill_null(pc.greater(table[time], moment), False) for time in declared.known_from}
    for time, columns in declared.known_from.items():
        for column in {*columns, time} & set(table.column_names):
            place = table.schema.get_field_index(column)
            table = table.set_column(place, column, pc.if_else(later[time], _other(table[column]), table[column]))
    if may_remove and declared.moment is not None:
        table = table.filter(pc.fill_null(pc.less_equal(table[declared.moment], moment), True))
    return table


def _other(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values of the same type that are not the column's own."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return pc.invert(column)
    if pa.types.is_timestamp(kind):
        return pc.add(column, pa.scalar(np.timedelta64(1, "h").astype(f"timedelta64[{kind.unit}]")))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return pc.cast(pc.subtract(pc.multiply(column, -1), 1), kind)
    return pa.chunked_array([pa.nulls(len(column), kind)])


def leaking(
    spec: UseCaseSpec, definitions: FeatureDefinitions, tables: Mapping[str, pa.Table], rows: pd.DataFrame
) -> dict[str, int]:
    """Return the features that tell something from after the cutoff, each with the number of rows in which it does.

    `rows` (the key and `cutoff`) is a sample; those before its median cutoff are computed with the past as it is and
    with the future scrambled. Empty where the problem has no time.
    """
    if not spec.examples.timed:
        return {}
    moment = rows["cutoff"].sort_values().iloc[len(rows) // 2]
    early = rows[rows["cutoff"] <= moment].reset_index(drop=True)
    before = feature_matrix(spec, definitions, tables, early)
    after = feature_matrix(spec, definitions, scramble(spec, tables, moment), early)
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
