"""A source that is all files whose path matches a pattern."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field, field_serializer

from ml.base.sql import DataError
from ml.declaration.part import without_secrets
from ml.declaration.sources.file import rows_of
from ml.declaration.sources.options import FileOptions, Format, format_of

if TYPE_CHECKING:
    from ml.declaration.sources.rows import Rows


class FilesSource(FileOptions):
    """All files that match a pattern, in the order of their paths, with the same columns."""

    keys = ("glob",)

    glob: str = Field(
        description="A pattern of paths or URLs: data/2024-*.csv. * stands for any text but a slash, ** for folders, "
        "? for a character, [ab] for one of some; [[] for a bracket."
    )

    @property
    def told(self) -> Format | None:
        """The format that the ending tells; a question mark is one of the pattern."""
        return format_of(self.glob.replace("?", "_"))

    @field_serializer("glob", when_used="json")
    def _without_secrets(self, glob: str) -> str:
        """Coordinates, tags and models carry the declaration; a secret belongs into none of them."""
        return without_secrets(glob)

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """Read the files one after the other. Raises DataError where there is none, or one is gone meanwhile."""
        from ml.declaration.sources.formats.places import places_like

        try:
            with rows_of(places_like(self.glob), self) as rows:
                yield rows
        except FileNotFoundError as error:
            raise DataError(f"a file of {without_secrets(self.glob)!r} is gone: {error}; read again") from error
