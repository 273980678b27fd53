"""The columns that a declaration computes of others of the same row."""

import pyarrow as pa

from ml.base.expressions import check_columns_of, row_sql
from ml.base.sql import quoted, run_sql
from ml.declaration.tables import Table


def with_computed(where: str, declared: Table, table: pa.Table) -> pa.Table:
    """Return a table with its computed columns, each made of its own row alone; one may be made of another.

    Raises DataError, with `where` in front, if an expression is wrong.
    """
    for expression in declared.derived.values():
        check_columns_of(where, expression, [*table.column_names, *declared.derived])
    expressions = "".join(f", {row_sql(expression)} as {quoted(name)}" for name, expression in declared.derived.items())
    return run_sql(where, f"select source.*{expressions} from source", source=table)


def sent_types(declared: Table, table: pa.Table) -> dict[str, str]:
    """Return the types of source columns whose numbers a request has as DOUBLE, which an expression tells apart."""
    kinds = {field.name: field.type for field in table.schema if field.name not in declared.derived}
    return {name: "BIGINT" for name, kind in kinds.items() if pa.types.is_integer(kind)} | {
        name: "FLOAT" for name, kind in kinds.items() if pa.types.is_float32(kind)
    }
