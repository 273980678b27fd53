"""The base of every kind of source: the key that a declaration picks it by, and the reading of its rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Self

from ml.declaration.kinds import Kind
from ml.declaration.sources.spelling import PLAIN, Spelling

if TYPE_CHECKING:
    from ml.declaration.sources.rows import Rows


class SourceKind(Kind):
    """A way in which the rows of a table come from somewhere."""

    recorded = ("python", "path", "query", "url")

    @property
    def key(self) -> str:
        """The field that names the source to people."""
        return self.keys[0]

    @property
    def named(self) -> str:
        """The text that the declaration has in that field."""
        return str(getattr(self, self.key))

    @property
    def module(self) -> str | None:
        """The module whose code decides the rows, if one does."""
        return None

    @property
    def version_read(self) -> str | None:
        """The version of the source that `rows` reads, where it has versions and one is pinned."""
        return None

    def pinned(self) -> Self:
        """Return the source as it is now: of one that has versions, its latest is declared."""
        return self

    @property
    def unordered(self) -> str | None:
        """The reason why rows may come in another order each time, and what to do about it; None where they do not."""
        return None

    @property
    def by_column(self) -> list[str]:
        """The columns that the source names."""
        return []

    @property
    def times(self) -> set[str]:
        """The columns that the source says hold times."""
        return set()

    def spelling(self, column: str) -> Spelling:
        """Return how a column writes its values."""
        return PLAIN

    @abstractmethod
    def rows(self) -> AbstractContextManager[Rows]:
        """Yield the rows as they are, and close what they come from.

        Raises DataError where a mistake in the declaration is the cause.
        """


class TableSource(SourceKind):
    """A source whose rows come at once, as a table in memory."""

    @abstractmethod
    def read(self) -> Any:
        """Return the rows as a pandas DataFrame, or as a table that speaks Arrow's stream interface (polars, Arrow).

        Raises DataError where a mistake in the declaration is the cause.
        """

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """Yield the rows that were read. Raises DataError for anything but a table."""
        from ml.declaration.sources.rows import table_rows

        yield table_rows(self.named, self.read())
