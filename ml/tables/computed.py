"""The columns that a declaration computes of others of the same row."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ml.base.expressions import check_columns_of, row_sql, sources_of
from ml.base.sql import DataError, connection, quoted
from ml.base.table_file import TableFile
from ml.declaration.tables import Table
from ml.tables.columns import read_column, select_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def with_computed(where: str, declared: Table, table: pa.Table) -> pa.Table:
    """Return a table with its computed columns, as `computed_sql` has them."""
    with connection(threads=1) as opened:
        opened.register("rows", table)
        computed = opened.sql(computed_sql(where, declared, opened, "rows")).to_arrow_table()
    check_known(where, declared, computed)
    return computed


def computed_sql(where: str, declared: Table, opened: "DuckDBPyConnection", relation: str) -> str:
    """Return the query of some rows with their computed columns, each made of its own row alone, maybe of another.

    Raises DataError, with `where` in front, if an expression is wrong, or makes what cannot be a column.
    """
    import duckdb

    names = opened.sql(f"from {relation} limit 0").columns
    for expression in declared.derived.values():
        check_columns_of(where, expression, [*names, *declared.derived])
    expressions = "".join(f", {row_sql(expression)} as {quoted(name)}" for name, expression in declared.derived.items())
    query = f"(select source.*{expressions} from {relation} as source)"
    try:
        schema = opened.sql(f"from {query} limit 0").to_arrow_table().schema
    except duckdb.Error as error:
        raise DataError(f"{where}: {error}; correct the expression in the declaration") from error
    logical = {name: kind for name, kind in declared.logical_types.items() if name in declared.derived}
    _check_time(where, declared, schema)
    return select_sql([read_column(where, field, logical.get(field.name)) for field in schema], query)


@contextmanager
def failures_named(where: str, declared: Table, opened: "DuckDBPyConnection", query: str) -> Iterator[None]:
    """Name the computed column in what DuckDB says of a query by `computed_sql` that fails at some row."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        for name, expression in declared.derived.items():
            try:
                opened.execute(f"select count({quoted(name)}) from {query}")
            except duckdb.Error as failure:
                reason = str(failure).strip().splitlines()[0]
                raise DataError(
                    f"{where}, column {name!r}: {expression!r} fails: {reason}; correct the expression in the "
                    "declaration, such as by try_cast(... as ...) or try(...), which are null there"
                ) from error
        raise


def _check_time(where: str, declared: Table, schema: pa.Schema) -> None:
    """Raise DataError for a computed `time` that is none."""
    if declared.time is None or declared.time not in declared.computed:
        return
    if not pa.types.is_temporal(kind := schema.field(declared.time).type):
        raise DataError(
            f"{where}: {declared.time!r}, which is computed ({declared.computed[declared.time]}), holds {kind} and no "
            "times: make one of it, as cast(… as timestamp) and strptime(…, '%d/%m/%Y') do"
        )


def check_known(where: str, declared: Table, rows: pa.Table | TableFile) -> None:
    """Raise DataError where some row has a computed column before a column that it is made of."""
    for own, columns in declared.known_from.items():
        for name in sorted(declared.computed.keys() & set(columns)):
            for source, origin, early in late_parts(declared, rows, name, own):
                raise DataError(
                    f"{where}: {name!r} is declared as known from {own!r} on, but is computed of {source!r}, which is "
                    f"known from {origin!r} on: later, or never, in {early} of {rows.num_rows} rows. List {name!r} in "
                    f"known_at under {origin!r}"
                )


def late_parts(declared: Table, rows: pa.Table | TableFile, column: str, time: str) -> Iterator[tuple[str, str, int]]:
    """Yield what a column is made of, itself among it, that becomes known after a time of its row, or never.

    Each is yielded in lower case, with the time from which on it is known and the number of rows where that is later.
    """
    known_from = {name.lower(): origin for origin, names in declared.known_from.items() for name in names}
    known_from |= {origin.lower(): origin for origin in declared.known_from}
    for part in sorted(sources_of([column], declared.derived) & known_from.keys()):
        if (origin := known_from[part]) == time:
            continue
        table = rows.select(list(dict.fromkeys([origin, time, column])))
        late = pc.or_(pc.is_null(table[origin]), pc.fill_null(pc.greater(table[origin], table[time]), True))
        count = pc.sum(pc.and_(pc.and_(late, pc.is_valid(table[time])), pc.is_valid(table[column]))).as_py()
        if count:
            yield part, origin, count


def sent_types(declared: Table, table: pa.Table) -> dict[str, str]:
    """Return the types of source columns whose numbers a request has as DOUBLE, which an expression tells apart."""
    kinds = {field.name: field.type for field in table.schema if field.name not in declared.derived}
    return {name: "BIGINT" for name, kind in kinds.items() if pa.types.is_integer(kind)}
