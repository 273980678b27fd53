"""SQL of the declaration, run and read by DuckDB."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb


class DataError(ValueError):
    """The data does not fit the declaration; the message names use case, table, column and remedy."""


@contextmanager
def connection(threads: int | None = None) -> Iterator["duckdb.DuckDBPyConnection"]:
    """An empty DuckDB; $SEXTANT_MEMORY_LIMIT, such as 4GB, makes it spill to disk beyond that."""
    import duckdb

    config: dict[str, Any] = {"threads": threads} if threads else {}
    with TemporaryDirectory(prefix="sextant-") as folder:
        if limit := os.environ.get("SEXTANT_MEMORY_LIMIT"):
            config |= {"memory_limit": limit, "temp_directory": folder}
        with duckdb.connect(config=config) as opened:
            yield opened


def quoted(name: str) -> str:
    """A column's or table's name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def run_sql(where: str, query: str, **tables: pa.Table) -> pa.Table:
    """The result of a DuckDB query over Arrow tables; one thread, so that its order and sums are repeatable.

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
    """The columns that a SQL expression refers to, in lower case: DuckDB's names do not tell cases apart.

    Raises DataError if it is no expression.
    """
    import duckdb

    with duckdb.connect() as connection:
        found = connection.execute("select json_serialize_sql(?)", [f"select ({expression})"]).fetchone()
    tree = json.loads(found[0]) if found else {}
    if tree.get("error"):
        raise DataError(f"{expression!r} is no SQL expression: {tree.get('error_message')}; correct the declaration")
    return set(_names(tree))


def _names(node: Any) -> Iterable[str]:
    if isinstance(node, list):
        for each in node:
            yield from _names(each)
    elif isinstance(node, dict):
        if node.get("class") == "COLUMN_REF":
            yield from (str(name).lower() for name in node["column_names"])
        for each in node.values():
            yield from _names(each)


def sources_of(columns: Iterable[str], computed: Mapping[str, str]) -> set[str]:
    """These columns and all that they are computed from, in lower case."""
    expressions = {name.lower(): expression for name, expression in computed.items()}
    found: set[str] = set()
    rest = {name.lower() for name in columns}
    while rest:
        name = rest.pop()
        found.add(name)
        rest |= (columns_of(expressions[name]) if name in expressions else set()) - found
    return found
