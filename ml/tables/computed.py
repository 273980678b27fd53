"""The columns that a declaration computes of others of the same row."""

import pyarrow as pa
import pyarrow.compute as pc

from ml.base.expressions import check_columns_of, row_sql, sources_of
from ml.base.sql import DataError, quoted, run_sql
from ml.declaration.tables import Table


def with_computed(where: str, declared: Table, table: pa.Table) -> pa.Table:
    """Return a table with its computed columns, each made of its own row alone; one may be made of another.

    Raises DataError, with `where` in front, if an expression is wrong, or a column is declared to be known before what
    it is made of.
    """
    for expression in declared.derived.values():
        check_columns_of(where, expression, [*table.column_names, *declared.derived])
    expressions = "".join(f", {row_sql(expression)} as {quoted(name)}" for name, expression in declared.derived.items())
    computed = run_sql(where, f"select source.*{expressions} from source", source=table)
    _check_times(where, declared, computed)
    return computed


def _check_times(where: str, declared: Table, table: pa.Table) -> None:
    """Raise DataError where some row has a computed column before a column that it is made of."""
    known_from = {column.lower(): time for time, columns in declared.known_from.items() for column in columns}
    known_from |= {time.lower(): time for time in declared.known_from}
    for name in sorted(declared.computed.keys() & {name for names in declared.known_from.values() for name in names}):
        own = known_from[name.lower()]
        for source in sorted(sources_of([name], declared.derived) & known_from.keys()):
            origin = known_from[source]
            late = pc.or_(pc.is_null(table[origin]), pc.fill_null(pc.greater(table[origin], table[own]), True))
            early = pc.sum(pc.and_(pc.and_(late, pc.is_valid(table[own])), pc.is_valid(table[name]))).as_py()
            if own != origin and early:
                raise DataError(
                    f"{where}: {name!r} is declared as known from {own!r} on, but is computed of {source!r}, which is "
                    f"known from {origin!r} on: later, or never, in {early} of {table.num_rows} rows. List {name!r} in "
                    f"known_at under {origin!r}"
                )


def sent_types(declared: Table, table: pa.Table) -> dict[str, str]:
    """Return the types of source columns whose numbers a request has as DOUBLE, which an expression tells apart."""
    kinds = {field.name: field.type for field in table.schema if field.name not in declared.derived}
    return {name: "BIGINT" for name, kind in kinds.items() if pa.types.is_integer(kind)} | {
        name: "FLOAT" for name, kind in kinds.items() if pa.types.is_float32(kind)
    }
