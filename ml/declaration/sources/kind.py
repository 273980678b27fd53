"""The base of every kind of source: the key that a declaration picks it by, and the reading of its rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from ml.declaration.kinds import Kind

if TYPE_CHECKING:
    import pandas as pd


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

    @abstractmethod
    def read(self) -> pd.DataFrame:
        """Return the rows as they are. Raises DataError where a mistake in the declaration is the cause."""
