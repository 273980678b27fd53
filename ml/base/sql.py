"""SQL of the declaration, run and read by DuckDB."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml.base.files import scratch_folder

if TYPE_CHECKING:
    import duckdb


class DataError(ValueError):
    """The data does not fit the declaration; the message names use case, table, column and remedy."""


def memory_limit() -> str | None:
    """Return $SEXTANT_MEMORY_LIMIT, such as 4GB; None where it is not set.

    It is read here, since connections are opened far below all that knows the settings, and it changes no result.
    """
    return os.environ.get("SEXTANT_MEMORY_LIMIT") or None


@contextmanager
def connection(threads: int | None = None) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Yield an empty DuckDB; $SEXTANT_MEMORY_LIMIT, such as 4GB, makes it spill to disk beyond that."""
    import duckdb

    config: dict[str, Any] = {"threads": threads} if threads else {}
    with scratch_folder() as folder:
        if limit := memory_limit():
            config |= {"memory_limit": limit, "temp_directory": str(folder)}
        with duckdb.connect(config=config) as opened:
            yield opened


def quoted(name: str) -> str:
    """Return a column's or table's name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def run_sql(where: str, query: str, **tables: pa.Table) -> pa.Table:
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


def columns_of(expression: str) -> set[str]:
    """Return the columns that a SQL expression refers to, in lower case: DuckDB's names do not tell cases apart.

    Raises DataError if it is no expression.
    """
    import duckdb

    with duckdb.connect() as connection:
        row = connection.execute("select json_serialize_sql(?)", [f"select ({expression})"]).fetchone()
    tree = json.loads(row[0]) if row else {}
    if tree.get("error"):
        raise DataError(f"{expression!r} is no SQL expression: {tree.get('error_message')}; correct the declaration")
    return set(_names(tree))


def _names(node: Any) -> Iterable[str]:
    if isinstance(node, list):
        for child in node:
            yield from _names(child)
    elif isinstance(node, dict):
        if node.get("class") == "COLUMN_REF":
            yield from (str(name).lower() for name in node["column_names"])
        for child in node.values():
            yield from _names(child)


def sources_of(columns: Iterable[str], computed: Mapping[str, str]) -> set[str]:
    """Return these columns and all that they are computed from, in lower case."""
    expressions = {name.lower(): expression for name, expression in computed.items()}
    sources: set[str] = set()
    rest = {name.lower() for name in columns}
    while rest:
        name = rest.pop()
        sources.add(name)
        rest |= (columns_of(expressions[name]) if name in expressions else set()) - sources
    return sources
