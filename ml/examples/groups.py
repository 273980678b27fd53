"""Groups: rows that belong together, and so may not be apart in two splits or folds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.base.keys import joined, places
from ml.declaration.use_case import UseCaseSpec


def groups_of(spec: UseCaseSpec, tables: Mapping[str, pa.Table], rows: pa.Table) -> pa.ChunkedArray | None:
    """Return the group of each row, null where it is unknown; None where the declaration names nothing.

    A random split of the rows of a query keeps those of a key together, if nothing else is declared.
    """
    column, keys = spec.kept_whole, rows.select(spec.keys).columns
    if column is None:
        return joined(keys) if spec.grouped else None
    if column == spec.examples.split.group:
        return values_of(spec, tables, rows, column)
    return ranked_within(spec, tables, rows)


def ranked_within(spec: UseCaseSpec, tables: Mapping[str, pa.Table], rows: pa.Table) -> pa.ChunkedArray:
    """Return the value of each row within which it is ranked: that of its cutoff, or of a column of its table."""
    return rows["cutoff"] if is_cutoff(spec) else values_of(spec, tables, rows, str(spec.examples.ranked_within))


def is_cutoff(spec: UseCaseSpec) -> bool:
    """Return whether rows are ranked among those of the same cutoff."""
    return spec.examples.ranked_within == "cutoff" and spec.examples.timed


def split_names(spec: UseCaseSpec, tables: Mapping[str, pa.Table], rows: pa.Table) -> pa.ChunkedArray | None:
    """Return the value of each row that says in which split it is; None where no column does."""
    column = spec.examples.split.named_by
    return None if column is None else values_of(spec, tables, rows, column)


def values_of(spec: UseCaseSpec, tables: Mapping[str, pa.Table], rows: pa.Table, column: str) -> pa.ChunkedArray:
    """Return the values that rows have in a column of the examples' table."""
    table = tables[spec.examples.table]
    return table[column].take(places(rows.select(spec.keys).columns, table.select(spec.keys).columns))


def may_share_groups(spec: UseCaseSpec) -> bool:
    """Return whether groups may be in two parts of a split by dates, of which the audit then only warns."""
    return "no_group_in_two_splits" in spec.audit.warn


def group_codes(groups: pd.Series) -> np.ndarray:
    """Return the number of each row's group, int [n_rows]; a row whose group is not known is one of its own."""
    codes, distinct = pd.factorize(groups)
    alone = codes < 0
    codes[alone] = len(distinct) + np.arange(alone.sum())
    return codes
