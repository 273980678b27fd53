"""Rows of which all features are equal, though their keys differ: copies, most often."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.base.expressions import sources_of
from ml.base.keys import places
from ml.declaration.use_case import UseCaseSpec
from ml.examples.known import is_value, known_columns


def alike(spec: UseCaseSpec, tables: Mapping[str, pa.Table], rows: pa.Table) -> np.ndarray | None:
    """Number rows (key and cutoff) [n_rows]: those with the same number are equal in all that features are made of.

    There are no features yet, so what counts is the columns of a row that become features, or by which others are
    looked up, and the cutoff where these depend on it. None where there is no such column but the key.
    """
    columns = compared_columns(spec, tables)
    if not columns:
        return None
    table = tables[spec.examples.table]
    keys = spec.keys
    known = table.select(columns).take(places(rows.select(keys).columns, table.select(keys).columns))
    compared = [*known.columns, *([rows["cutoff"]] if spec.of_the_past else [])]
    numbers = np.zeros(rows.num_rows, dtype="int64")
    for column in compared:
        codes, distinct = pd.factorize(column.to_pandas())
        numbers = pd.factorize(numbers * (len(distinct) + 1) + codes + 1)[0]
    return numbers


def may_be_alike(spec: UseCaseSpec) -> bool:
    """Return whether rows with different keys can be equal: not where others are looked up by the whole key."""
    return not set(spec.keys) <= spec.looked_up_by


def compared_columns(spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return the columns of a row that become features, or by which others are looked up or computed."""
    if not may_be_alike(spec):
        return []
    table, declared = tables[spec.examples.table], spec.tables[spec.examples.table]
    computed = sources_of(declared.computed, declared.computed)
    by_name = {*spec.looked_up_by, *spec.features.calendar}

    def is_used(name: str) -> bool:
        is_feature = is_value(spec, name) and not pa.types.is_temporal(table[name].type)
        return name in by_name or name.lower() in computed or is_feature

    return (
        [name for name in known_columns(spec, table) if name != spec.key and is_used(name)]
        if may_be_alike(spec)
        else []
    )
