"""SQL of the declaration, run and read by DuckDB."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml.base.files import scratch_folder

if TYPE_CHECKING:
    import duckdb


# A division by zero is null, of whole numbers too; the time zone of this machine is nobody's. Statistics of a Parquet
# file leave out NaN, and DuckDB would conclude from them that there is none: `isnan(x)` would be false of it.
NO_STATISTICS = "statistics_propagation"
SETTINGS = f"""
    set error_on_division_by_zero = false; set TimeZone = 'UTC'; set disabled_optimizers = '{NO_STATISTICS}'
"""


class DataError(ValueError):
    """The data does not fit the declaration; the message names use case, table, column and remedy."""


def memory_limit() -> str | None:
    """Return $SEXTANT_MEMORY_LIMIT, such as 4GB; None where it is not set.

    It is read here, since connections are opened far below all that knows the settings, and it changes no result.
    """
    return os.environ.get("SEXTANT_MEMORY_LIMIT") or None


@contextmanager
def connection(threads: int | None = None, memory: str | None = None) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Yield an empty DuckDB; beyond $SEXTANT_MEMORY_LIMIT, such as 4GB, or else `memory`, it spills to disk."""
    import duckdb

    config: dict[str, Any] = {"python_enable_replacements": False, **({"threads": threads} if threads else {})}
    with scratch_folder() as folder:
        if limit := memory_limit() or memory:
            config |= {"memory_limit": limit, "temp_directory": str(folder)}
        with duckdb.connect(config=config) as opened:
            opened.execute(SETTINGS)
            yield opened


def quoted(name: str) -> str:
    """Return a column's or table's name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def text_sql(value: str) -> str:
    """Return SQL of a value's text; that of a whole double is that of the whole number, 7 and not 7.0."""
    number = "try_cast(v as double)"
    whole = f"typeof(v) in ('DOUBLE', 'FLOAT') and {number} = trunc({number}) and abs({number}) < {2**53}"
    text = f"case when {whole} then cast(try_cast(v as bigint) as varchar) else cast(v as varchar) end"
    return f"list_transform([{value}], lambda v: {text})[1]"


def parquet_sql(path: Path) -> str | None:
    """Return the SQL that reads a Parquet file; None for a path that DuckDB would take for a pattern."""
    if set(str(path)) & set("*?["):
        return None
    place = str(path).replace("'", "''")
    return f"read_parquet('{place}', hive_partitioning = false)"


def run_sql(where: str, query: str, /, **tables: pa.Table) -> pa.Table:
    """Return the result of a DuckDB query over Arrow tables; one thread, so that its order and sums are repeatable.

    Raises DataError with `where` in front if the query is wrong.
    """
    import duckdb

    with connection(threads=1) as opened:
        for name, table in tables.items():
            opened.register(name, table)
        try:
            return opened.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise DataError(f"{where}: {error}; correct the expression in the declaration") from error
