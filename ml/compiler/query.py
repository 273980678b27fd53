"""A compiled query of features, and its values for given tables and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.base.files import scratch_folder
from ml.base.sql import NO_STATISTICS, SETTINGS, quoted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LABELS = "__labels"
LABEL_COLUMNS = ["row", "instance", "cutoff"]
_ROWS_AT_ONCE = 50_000  # label rows of one run of the query
_ROWS_OF_A_BATCH = 65_536


class FeatureSqlError(ValueError):
    """Features, tables or labels do not fit; the message names them and the remedy."""


@dataclass(frozen=True)
class FeatureQuery:
    """A compiled list of features.

    `sql` reads the tables by their names and `__labels` (row, instance, cutoff and the columns `record`); it returns
    these three columns and `names`, one row for each label, ordered by row. `columns` has what it reads of each table.
    """

    sql: str
    names: list[str]
    columns: dict[str, list[str]]
    record: list[str]


def compute(
    query: FeatureQuery,
    tables: "Mapping[str, pa.Table | duckdb.DuckDBPyRelation]",
    labels: "pa.Table",
    *,
    memory_limit: str = "4GB",
    threads: int | None = None,
) -> "pa.Table":
    """Compute the features of each label: the columns row, instance, cutoff and one for every feature.

    `labels` have the columns instance, cutoff and `query.record`; the rows are in their order.

    A relation is read where it lies, as in `duckdb.read_parquet("events/*.parquet")`. Times with a zone are converted
    to UTC; times are compared to the nanosecond, and have microseconds where they are features. A missing value is
    null, and so is every feature without a default of an instance that is not visible at its cutoff. A row's values do
    not depend on `threads` or on the other rows, to the last bit. What does not fit `memory_limit` is computed in
    smaller parts, or goes to a temporary folder.

    Raises FeatureSqlError if a table, a column or a cutoff is missing, or an index of the target is not unique.
    """
    import duckdb
    import pyarrow as pa

    labels = _numbered(labels, query.record)
    with (
        scratch_folder() as spill,
        duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(spill)}) as connection,
    ):
        connection.execute(SETTINGS)
        # The compiler writes joins in the order in which they are quick; DuckDB's own costs a quarter of the time.
        connection.execute(f"SET disabled_optimizers = '{NO_STATISTICS},join_order'")
        if threads:
            connection.execute(f"SET threads = {threads}")
        for name, columns in query.columns.items():
            _create_view(connection, name, columns, tables)
        parts: list[pa.Table] = []
        for start in range(0, max(labels.num_rows, 1), _ROWS_AT_ONCE):
            parts += _computed(connection, query, labels.slice(start, _ROWS_AT_ONCE))
    return pa.concat_tables(parts)


def _computed(connection: "duckdb.DuckDBPyConnection", query: FeatureQuery, labels: "pa.Table") -> "list[pa.Table]":
    """Return the result, in more parts the less memory there is: what an aggregate collects does not spill."""
    import duckdb
    import pyarrow as pa

    _create_view(connection, LABELS, labels.column_names, {LABELS: labels})
    try:
        result: pa.Table = connection.sql(query.sql).to_arrow_table()
    except duckdb.OutOfMemoryException as error:
        if labels.num_rows < 2:
            raise FeatureSqlError(f"not even one label fits into the memory; raise memory_limit ({error})") from error
        half = labels.num_rows // 2
        return _computed(connection, query, labels.slice(0, half)) + _computed(connection, query, labels.slice(half))
    if result.num_rows != labels.num_rows:
        raise FeatureSqlError(f"an index is not unique; look for equal ones in {sorted(query.columns)}")
    return [result]


def _numbered(labels: "pa.Table", record: Sequence[str]) -> "pa.Table":
    import pyarrow as pa

    needed = ["instance", "cutoff", *record]
    if not set(needed) <= set(labels.column_names):
        raise FeatureSqlError(f"labels have the columns {labels.column_names}; they need {needed}")
    try:
        cutoff = labels["cutoff"].cast(pa.timestamp("us", labels["cutoff"].type.tz)).cast(pa.timestamp("us"))
    except (pa.ArrowInvalid, AttributeError) as error:
        raise FeatureSqlError(f"a cutoff must be a time of whole microseconds: {error}") from error
    if cutoff.null_count:
        raise FeatureSqlError(f"{cutoff.null_count} labels have no cutoff; leave them out")
    columns = [np.arange(labels.num_rows), labels["instance"], cutoff]
    return pa.table(columns + [labels[name] for name in record], names=LABEL_COLUMNS + list(record))


def _create_view(
    connection: "duckdb.DuckDBPyConnection", name: str, columns: list[str], tables: Mapping[str, Any]
) -> None:
    """Make a table known to the query: NaN as NULL, dictionaries as text, decimals as DOUBLE."""
    if name not in tables:
        raise FeatureSqlError(f"the features read the table {name!r}; there are {sorted(tables)}")
    table = tables[name]
    is_relation = hasattr(table, "sql_query")
    relation = connection.sql(table.sql_query()) if is_relation else connection.from_arrow(_in_batches(table))
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    if missing := sorted(set(columns) - set(types)):
        raise FeatureSqlError(f"the features read {missing} of table {name!r}, which has {sorted(types)}")
    relation.project(
        ", ".join(f"{_plain(column, types[column])} AS {quoted(column)}" for column in columns)
    ).create_view(name, replace=True)


def _in_batches(table: "pa.Table") -> "pa.Table":
    """Return the same rows in pieces, which are what DuckDB's threads share among them; nothing is copied."""
    import pyarrow as pa

    return pa.Table.from_batches(table.to_batches(max_chunksize=_ROWS_OF_A_BATCH), table.schema)


def _plain(column: str, kind: str) -> str:
    if kind in ("DOUBLE", "FLOAT"):
        return f"nullif({quoted(column)}, 'nan'::{kind})"
    if kind.startswith("DECIMAL"):
        return f"CAST({quoted(column)} AS DOUBLE)"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {quoted(column)})"
    return f"CAST({quoted(column)} AS VARCHAR)" if kind.startswith("ENUM") else quoted(column)
