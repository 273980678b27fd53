"""A source that is a query to a database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import Field, field_serializer

from ml.declaration.part import without_secrets
from ml.declaration.sources.kind import SourceKind

if TYPE_CHECKING:
    from ml.declaration.sources.rows import Rows

_ROWS = 50_000  # that are fetched at once


class QuerySource(SourceKind):
    """A SQL query to a database that SQLAlchemy knows."""

    keys = ("query",)

    query: str = Field(description="A SQL query that returns the table; needs `url`.")
    url: str = Field(description="The SQLAlchemy URL that `query` runs on, such as postgresql+psycopg2://host/db.")

    @field_serializer("url", when_used="json")
    def _without_secrets(self, url: str) -> str:
        """Coordinates, tags and models carry the declaration; a secret belongs into none of them."""
        return without_secrets(url)

    @property
    def unordered(self) -> str | None:
        if re.search(r"\border\s+by\b", self.query, re.IGNORECASE):
            return None
        return "the rows of a query have no order: add an `order by` to source.query"

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """Run the query as it is written, on a connection of its own: a colon or a percent sign in it binds nothing."""
        from sqlalchemy import create_engine

        from ml.declaration.sources.rows import values_rows

        engine = create_engine(self.url)
        try:
            with engine.connect().execution_options(no_parameters=True, stream_results=True) as connection:
                result = connection.exec_driver_sql(self.query)
                names = list(result.keys())
                columns: list[list[Any]] = [[] for _ in names]
                for rows in result.partitions(_ROWS):
                    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
                        column += map(_plain, values)
            yield values_rows(names, columns)
        finally:
            engine.dispose()


def _plain(value: Any) -> Any:
    """Return a value as Arrow takes it: a UUID as its text, a number that is none as missing."""
    if isinstance(value, UUID):
        return str(value)
    return None if isinstance(value, Decimal) and value.is_nan() else value
