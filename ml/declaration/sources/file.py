"""A source that is a file or a folder of files, on this machine or anywhere else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field, field_serializer

from ml.base.sql import DataError
from ml.declaration.part import without_secrets
from ml.declaration.sources.options import FileOptions, Format, allowed_endings, format_of

if TYPE_CHECKING:
    from ml.declaration.sources.formats.places import Place
    from ml.declaration.sources.rows import Rows


class FileSource(FileOptions):
    """A file, or all files of a folder, whose names of the kind year=2024 are columns."""

    keys = ("path",)

    path: str = Field(
        description="A file of CSV, JSON lines, Parquet or Excel, or a folder of such: a path as it is written, or any "
        "URL that fsspec reads (s3://, http://, …)."
    )

    @field_serializer("path", when_used="json")
    def _without_secrets(self, path: str) -> str:
        """Coordinates, tags and models carry the declaration; a secret belongs into none of them."""
        return without_secrets(path)

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """Read the file by its format. Raises DataError for one that does not exist, or ends otherwise."""
        from ml.declaration.sources.formats.places import places_at

        try:
            with rows_of(places_at(self.path), self) as rows:
                yield rows
        except FileNotFoundError as error:
            hint = "; for several files write glob: instead of path:" if "*" in self.path else ""
            raise DataError(
                f"the file {without_secrets(self.path)!r} does not exist: correct source.path{hint}"
            ) from error


@contextmanager
def rows_of(places: Sequence[Place], options: FileOptions) -> Iterator[Rows]:
    """Yield the rows of files, all of one format."""
    from ml.declaration.sources.formats.csv import csv_rows
    from ml.declaration.sources.formats.excel import excel_rows
    from ml.declaration.sources.formats.jsonl import jsonl_rows
    from ml.declaration.sources.formats.parquet import parquet_rows

    form = options.format or _told(places)
    if wrong := options.unfit(form):
        raise DataError(f"source: {wrong}")
    readers = {"csv": csv_rows, "jsonl": jsonl_rows, "parquet": parquet_rows, "excel": excel_rows}
    with readers[form](places, options) as rows:
        yield rows


def _told(places: Sequence[Place]) -> Format:
    """Return the format that the endings of files tell. Raises DataError where they tell none, or several."""
    told = {place.shown: format_of(place.path) for place in places}
    if unknown := [path for path, form in told.items() if form is None]:
        raise DataError(
            f"the file {unknown[0]!r} does not tell by its ending what it is; allowed endings: {allowed_endings()}. "
            "Or say it in source.format: csv, jsonl, parquet or excel"
        )
    if len(set(told.values())) > 1:
        raise DataError(f"the files are of several formats: {told}; read those of one with glob, or say source.format")
    return next(form for form in told.values() if form)
