"""A source that is a file, on this machine or anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_serializer

from ml.base.sql import DataError
from ml.declaration.part import without_secrets
from ml.declaration.sources.kind import SourceKind

if TYPE_CHECKING:
    import pandas as pd


class FileSource(SourceKind):
    """A CSV or Parquet file."""

    keys = ("path",)

    path: str = Field(description="A CSV or Parquet file: a path, or any URL that fsspec reads (s3://, http://, …).")

    @field_serializer("path", when_used="json")
    def _without_secrets(self, path: str) -> str:
        """Coordinates, tags and models carry the declaration; a secret belongs into none of them."""
        return without_secrets(path)

    def read(self) -> pd.DataFrame:
        """Read the file by its ending. Raises DataError for one that does not exist, or ends otherwise."""
        import pandas as pd

        suffix = self.path.split("?")[0].lower()
        try:
            if suffix.endswith((".parquet", ".pq")):
                return pd.read_parquet(self.path)
            if suffix.endswith((".csv", ".csv.gz", ".csv.zip")):
                return pd.read_csv(self.path)
        except FileNotFoundError as error:
            raise DataError(f"the file {without_secrets(self.path)!r} does not exist: correct source.path") from error
        raise DataError(
            f"the file {without_secrets(self.path)!r} is neither CSV nor Parquet; allowed endings: .csv, .csv.gz, "
            ".csv.zip, .parquet"
        )
