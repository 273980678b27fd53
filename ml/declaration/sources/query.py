"""A source that is a query to a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_serializer

from ml.declaration.part import without_secrets
from ml.declaration.sources.kind import SourceKind

if TYPE_CHECKING:
    import pandas as pd


class QuerySource(SourceKind):
    """A SQL query to a database that SQLAlchemy knows."""

    keys = ("query",)

    query: str = Field(description="A SQL query that returns the table; needs `url`.")
    url: str = Field(description="The SQLAlchemy URL that `query` runs on, such as postgresql+psycopg2://host/db.")

    @field_serializer("url", when_used="json")
    def _without_secrets(self, url: str) -> str:
        """Coordinates, tags and models carry the declaration; a secret belongs into none of them."""
        return without_secrets(url)

    def read(self) -> pd.DataFrame:
        """Run the query, on a connection of its own."""
        import pandas as pd
        from sqlalchemy import create_engine, text

        engine = create_engine(self.url)
        try:
            with engine.connect() as connection:
                return pd.read_sql_query(text(self.query), connection)
        finally:
            engine.dispose()
