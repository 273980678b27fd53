"""Prepared: a query over tables that come with each run, planned once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from queue import SimpleQueue
from typing import Any

from service.plan.parts import SqlType
from service.synthesis.views import connect, decode_sql, literal, quoted

Shapes = Mapping[str, Mapping[str, SqlType]]  # of each table the types of its columns
Tables = Mapping[str, Mapping[str, Sequence[Any]]]  # of each table its columns' values, times in microseconds

MOST_CONNECTIONS = 4


class Prepared:
    """A query over tables of known `shapes`; any thread may run it.

    DuckDB keeps the plan of a prepared query only if that reads no table of its own, and to plan one of 30 features is
    twice the work of running it for one record. So the tables come as parameters, which `execute` takes only as
    literals: as JSON, since SQL's own lists are slow to parse. A connection runs one query at a time; there are a few.
    """

    def __init__(self, query: str, columns: Sequence[str], shapes: Shapes) -> None:
        self._shapes = shapes
        self._free: SimpleQueue[Any] = SimpleQueue()
        sql = _statement(query, columns, shapes)
        for _ in range(min(os.cpu_count() or 1, MOST_CONNECTIONS)):
            connection = connect()
            connection.execute(f"prepare answer as {sql}")
            self._free.put(connection)

    def run(self, tables: Tables) -> list[tuple[Any, ...]]:
        """Run the query, and return the rows of the result."""
        call = self._call(tables)
        with self._connection() as connection:
            rows: list[tuple[Any, ...]] = connection.execute(call).fetchall()
        return rows

    def types(self) -> dict[str, str]:
        """Return the columns of the result, with their types."""
        nothing = {name: dict.fromkeys(types, ()) for name, types in self._shapes.items()}
        with self._connection() as connection:
            description = connection.execute(self._call(nothing)).description
        return {column[0]: str(column[1]) for column in description}

    def _call(self, tables: Tables) -> str:
        columns = [tables[name][column] for name, types in self._shapes.items() for column in types]
        # JSON's escapes leave nothing but ASCII, and of that only the quote means something to SQL
        return f"execute answer({', '.join(literal(json.dumps(column)) for column in columns)})"

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)


def _statement(query: str, columns: Sequence[str], shapes: Shapes) -> str:
    """Write the query over its parameters, one for each column of each table."""
    number, tables = count(1), list[str]()
    for name, types in shapes.items():
        values = [f"{decode_sql(f'${next(number)}', kind)} as {quoted(column)}" for column, kind in types.items()]
        tables.append(f"{quoted(name)} as materialized (select {', '.join(values)})")
    chosen = ", ".join(quoted(column) for column in ["row", *columns])
    return f'with {", ".join(tables)} select {chosen} from ({query}\n) order by "row"'
