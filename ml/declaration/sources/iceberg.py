"""A source that is a table of Apache Iceberg, at one of its snapshots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_serializer, model_validator

from ml.base.sql import DataError
from ml.declaration.part import without_secrets
from ml.declaration.sources.extras import required
from ml.declaration.sources.options import StoredSource

if TYPE_CHECKING:
    from ml.declaration.sources.rows import Rows

_SECRET = re.compile(r"secret|token|password|credential|access-key", re.IGNORECASE)


class IcebergSource(StoredSource):
    """An Iceberg table; the snapshot that was read is a coordinate of what is made of it."""

    keys = ("iceberg",)
    unsaid = ("catalog", "version", *StoredSource.unsaid)

    iceberg: str = Field(
        description="The name of a table in a `catalog`, such as shop.orders, or the path or URL of a table's "
        "metadata file (.metadata.json); needs the extra `iceberg`."
    )
    catalog: dict[str, str] | None = Field(
        None, description="The properties of PyIceberg's catalog: {type: rest, uri: https://…, warehouse: …}."
    )
    version: int | None = Field(None, description="The id of the snapshot that is read; the current one if absent.")

    @model_validator(mode="after")
    def _in_a_catalog(self) -> Self:
        if self._is_file and self.catalog:
            raise ValueError("a metadata file is in no catalog: leave catalog out, or name the table as in the catalog")
        if not self._is_file and not self.catalog:
            raise ValueError(
                f"{self.iceberg!r} is no metadata file (.metadata.json), so that it needs a catalog: "
                "{type: …, uri: …}"
            )
        return self

    @field_serializer("iceberg", when_used="json")
    def _without_secrets(self, iceberg: str) -> str:
        """Coordinates, tags and models carry the declaration; a secret belongs into none of them."""
        return without_secrets(iceberg)

    @field_serializer("catalog", when_used="json")
    def _catalog_without_secrets(self, catalog: dict[str, str] | None) -> dict[str, str] | None:
        if catalog is None:
            return None
        return {name: "***" if _SECRET.search(name) else without_secrets(text) for name, text in catalog.items()}

    @property
    def version_read(self) -> str | None:
        return None if self.version is None else str(self.version)

    def pinned(self) -> Self:
        """Return the source at its current snapshot, if it has any. Raises DataError where there is no such table."""
        if self.version is not None:
            return self
        snapshot = self._opened().current_snapshot()
        return self if snapshot is None else self.model_copy(update={"version": snapshot.snapshot_id})

    @property
    def unordered(self) -> str | None:
        return "the rows of an Iceberg table have no order that lasts: declare a key of its columns"

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """Read the table. Raises DataError where there is no such table, snapshot or column."""
        from ml.declaration.sources.rows import Rows

        table, where = self._opened(), f"the Iceberg table {self._shown!r}"
        if self.version is not None and table.snapshot_by_id(self.version) is None:
            known = [snapshot.snapshot_id for snapshot in table.snapshots()]
            raise DataError(f"{where} has no snapshot {self.version}. It has {known}; correct source.version")
        scan = table.scan(snapshot_id=self.version)
        schema = scan.to_arrow_batch_reader().schema
        columns = self.chosen(list(schema.names), where)
        import pyarrow as pa

        yield Rows(
            pa.schema([schema.field(name).remove_metadata() for name in columns]),
            lambda names: _ordered(scan.select(*names).to_arrow_batch_reader(), list(names)),
            again=False,
        )

    @property
    def _is_file(self) -> bool:
        return self.iceberg.endswith(".metadata.json")

    @property
    def _shown(self) -> str:
        return without_secrets(self.iceberg)

    def _opened(self) -> Any:
        where = f"the Iceberg table {self._shown!r}"
        required("pyiceberg", "iceberg", where)
        from pyiceberg.catalog import load_catalog
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
        from pyiceberg.table import StaticTable

        try:
            if self._is_file:
                return StaticTable.from_metadata(self.iceberg)
            return load_catalog("sextant", **self.catalog or {}).load_table(self.iceberg)
        except (NoSuchTableError, NoSuchNamespaceError, FileNotFoundError) as error:
            raise DataError(f"there is no table like {where.removeprefix('the ')}; correct source.iceberg") from error


def _ordered(reader: Any, names: list[str]) -> Any:
    """Return the batches with their columns in the order that is asked for."""
    import pyarrow as pa

    schema = pa.schema([reader.schema.field(name).remove_metadata() for name in names])
    batches = (pa.RecordBatch.from_arrays([batch.column(name) for name in names], schema=schema) for batch in reader)
    return pa.RecordBatchReader.from_batches(schema, batches)
