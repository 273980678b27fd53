"""A source that is a table of Delta Lake, at one of its versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_serializer

from ml.base.sql import DataError
from ml.declaration.part import without_secrets
from ml.declaration.sources.extras import required
from ml.declaration.sources.options import StoredSource

if TYPE_CHECKING:
    from ml.declaration.sources.rows import Rows


class DeltaSource(StoredSource):
    """A Delta table; the version that was read is a coordinate of what is made of it."""

    keys = ("delta",)
    unsaid = ("version", *StoredSource.unsaid)

    delta: str = Field(description="The folder or URL of a Delta table; needs the extra `delta`.")
    version: int | None = Field(None, ge=0, description="The version that is read; the latest if absent.")

    @field_serializer("delta", when_used="json")
    def _without_secrets(self, delta: str) -> str:
        """Coordinates, tags and models carry the declaration; a secret belongs into none of them."""
        return without_secrets(delta)

    @property
    def version_read(self) -> str | None:
        return None if self.version is None else str(self.version)

    def pinned(self) -> Self:
        """Return the source at its latest version. Raises DataError where there is no such table."""
        return self if self.version is not None else self.model_copy(update={"version": self._opened().version()})

    @property
    def unordered(self) -> str | None:
        return "the rows of a Delta table have no order that lasts: declare a key of its columns"

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """Read the table. Raises DataError where there is no such table, version or column."""
        from ml.declaration.sources.rows import streamed_rows

        table = self._opened()
        try:
            dataset = table.to_pyarrow_dataset()
        except Exception as error:  # a table that was written with what the library does not know
            raise DataError(f"the Delta table {self._shown!r} cannot be read: {error}") from error
        columns = self.chosen(list(dataset.schema.names), f"the Delta table {self._shown!r}")
        yield streamed_rows(dataset, columns)

    @property
    def _shown(self) -> str:
        return without_secrets(self.delta)

    def _opened(self) -> Any:
        deltalake = required("deltalake", "delta", f"the Delta table {self._shown!r}")
        try:
            table = deltalake.DeltaTable(self.delta)
            latest = table.version()
            if self.version is not None and self.version != latest:
                table = deltalake.DeltaTable(self.delta, version=self.version)
        except deltalake.exceptions.TableNotFoundError as error:
            raise DataError(f"there is no Delta table {self._shown!r}; correct source.delta") from error
        except deltalake.exceptions.DeltaError as error:
            if self.version is None:
                raise DataError(f"the Delta table {self._shown!r} cannot be read: {error}") from error
            raise DataError(
                f"the Delta table {self._shown!r} cannot be read at version {self.version}, the latest is {latest}: "
                f"{str(error).splitlines()[0]}; correct source.version"
            ) from error
        return table
