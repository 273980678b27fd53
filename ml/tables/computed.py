"""The columns that a declaration computes of others of the same row."""

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
    known_from = {column.lower(): time for time, columns in declared.known_from.items() for column in columns}
    known_from |= {time.lower(): time for time in declared.known_from}
    for name in sorted(declared.computed.keys() & {name for names in declared.known_from.values() for name in names}):
        own = known_from[name.lower()]
        for source in sorted(sources_of([name], declared.derived) & known_from.keys()):
            origin = known_from[source]
            if origin == own:
                continue
            table = rows.select(list(dict.fromkeys([origin, own, name])))
            late = pc.or_(pc.is_null(table[origin]), pc.fill_null(pc.greater(table[origin], table[own]), True))
            early = pc.sum(pc.and_(pc.and_(late, pc.is_valid(table[own])), pc.is_valid(table[name]))).as_py()
            if early:
                raise DataError(
                    f"{where}: {name!r} is declared as known from {own!r} on, but is computed of {source!r}, which is "
                    f"known from {origin!r} on: later, or never, in {early} of {table.num_rows} rows. List {name!r} in "
                    f"known_at under {origin!r}"
                )


def sent_types(declared: Table, table: pa.Table) -> dict[str, str]:
    """Return the types of source columns whose numbers a request has as DOUBLE, which an expression tells apart."""
    kinds = {field.name: field.type for field in table.schema if field.name not in declared.derived}
    return {name: "BIGINT" for name, kind in kinds.items() if pa.types.is_integer(kind)}
