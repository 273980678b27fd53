"""Events: the rows of a history's table, from the moment on at which something of them was known."""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from ml.base.sql import quoted, run_sql
from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import Lookup
from ml.tables.types import is_number
from ml.windows.window import check_range, scaled_sql


def views(lookups: Mapping[str, Lookup]) -> list[dict[str, Lookup]]:
    """Return the lookups of windows, by name; those over the events of one table and time together."""
    together: dict[tuple[str, str | None], dict[str, Lookup]] = {}
    for name, lookup in lookups.items():
        if lookup.kind == "window":
            together.setdefault((lookup.table, lookup.time), {})[name] = lookup
    return list(together.values())


def event_columns(lookups: Iterable[Lookup]) -> list[str]:
    """Return the columns that name the groups of some lookups over the same events, sorted."""
    return sorted({column for lookup in lookups for column in lookup.keys})


def events_sql(spec: UseCaseSpec, lookup: Lookup, keys: Iterable[str], table: str, schema: pa.Schema) -> str:
    """Return the query that makes events of a table's rows: `_row`, which names one, keys, time, and scaled numbers.

    `schema` is that of the table.
    """
    names = [_name_sql(key, schema.field(key).type) for key in spec.tables[lookup.table].keys]
    if len(names) > 1:
        names = [f"concat_ws('|', {', '.join(map(_escaped_sql, names))})"]
    columns = [
        f"{names[0]} as _row",
        *map(quoted, keys),
        f"cast({quoted(str(lookup.time))} as timestamp) as {quoted(str(lookup.time))}",
        *(_number_sql(lookup, column) for column in lookup.scales),
    ]
    return f"select {', '.join(columns)} from {table} where {quoted(str(lookup.time))} is not null"


def _name_sql(key: str, kind: pa.DataType) -> str:
    """Return the text of a key: a whole number is 17 and not 17.0 wherever it is from, a time counts microseconds."""
    if pa.types.is_timestamp(kind):
        return f"cast(epoch_us({quoted(key)}) as varchar)"
    return f"cast({f'cast({quoted(key)} as bigint)' if is_number(kind) else quoted(key)} as varchar)"


def _escaped_sql(text: str) -> str:
    """Return SQL of a text that is a part of a name, in which | stands between parts."""
    return f"replace(replace({text}, '\\', '\\\\'), '|', '\\|')"


def _number_sql(lookup: Lookup, column: str) -> str:
    """Return a column as whole numbers: a text as 40 bits of its MD5, which tell texts apart."""
    if column in lookup.texts:
        return f"cast(md5_number({quoted(column)}) % {2**40} as bigint) as {quoted(column)}"
    return scaled_sql(column, lookup.scales[column])


def events_of(spec: UseCaseSpec, lookup: Lookup, keys: Iterable[str], table: pa.Table) -> pa.Table:
    """Return the events of a table; raises DataError if a number is too large to be aggregated."""
    where = f"table {lookup.table!r}"
    check_range(where, table, {name: scale for name, scale in lookup.scales.items() if name not in lookup.texts})
    return run_sql(where, events_sql(spec, lookup, keys, "source", table.schema), source=table)
