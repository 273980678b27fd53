"""Excel: the cells of one sheet, as what the sheet says that they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml.base.sql import DataError
from ml.declaration.sources.extras import required
from ml.declaration.sources.formats.places import Place
from ml.declaration.sources.formats.several import several_rows
from ml.declaration.sources.rows import Rows, values_rows

if TYPE_CHECKING:
    from ml.declaration.sources.options import FileOptions


@contextmanager
def excel_rows(places: Sequence[Place], options: FileOptions) -> Iterator[Rows]:
    """Yield the rows of a sheet; a formula is the value that was stored with it, and an empty row is none.

    Raises DataError where there is no such sheet, a header is not there, or a cell holds an error such as #N/A that is
    not declared missing.
    """
    if len(places) == 1 and not places[0].partition:
        yield _sheet(places[0], options)
        return
    sheets = {place.path: _sheet(place, options) for place in places}
    for place in places:
        for name, why in sheets[place.path].refused.items():
            raise DataError(f"{place.shown!r}, column {name!r}: {why}")

    def batches(place: Place, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from sheets[place.path].scan(columns).combine_chunks().to_batches()

    with several_rows(places, [sheets[place.path].schema for place in places], batches, typed=True) as rows:
        yield rows


def _sheet(place: Place, options: FileOptions) -> Rows:
    openpyxl = required("openpyxl", "excel", f"the file {place.shown!r}")
    with place.open(packed=False) as opened:
        try:
            book = openpyxl.load_workbook(opened, read_only=True, data_only=True)
        except Exception as error:  # of a damaged file it raises whatever it stumbles on
            raise DataError(f"the file {place.shown!r} is no Excel file (.xlsx): {error}; correct it") from error
        try:
            cells = list(_chosen(place, book, options).iter_rows(min_row=1 + (options.skip or 0), values_only=True))
        finally:
            book.close()
    return _rows(place, [row for row in cells if any(value is not None for value in row)], options)


def _chosen(place: Place, book: Any, options: FileOptions) -> Any:
    names, sheet = list(book.sheetnames), 1 if options.sheet is None else options.sheet
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        sheet = names[sheet - 1]
    if sheet not in names:
        raise DataError(f"{place.shown!r} has no sheet {sheet!r}. It has {names}; correct source.sheet")
    return book[sheet]


def _rows(place: Place, cells: list[tuple[Any, ...]], options: FileOptions) -> Rows:
    if not cells:
        raise DataError(f"the sheet of {place.shown!r} is empty; correct source.sheet or skip")
    width = max(map(len, cells))
    if options.header is False:
        names = options.columns or [f"column{position}" for position in range(1, width + 1)]
        if len(names) != width:
            raise DataError(
                f"{place.shown!r} has {width} columns, and source.columns names {len(names)}; name each, in the order "
                "of the sheet"
            )
        wanted = names
    else:
        head, *cells = cells
        names = [f"Unnamed: {at}" if name is None else str(name) for at, name in enumerate((*head, *[None] * width))]
        names = names[: max(len(head), width)]
        wanted = [name for name in options.columns or names if name not in place.partition]
    if missing := [name for name in wanted if name not in names]:
        raise DataError(f"{place.shown!r} has no columns {missing}. It has {names}; correct source.columns")
    marks = {name: set(options.spelling(name).texts) for name in wanted}
    values = [
        [_value(row[at] if at < len(row) else None, marks[name]) for row in cells]
        for name, at in ((name, names.index(name)) for name in wanted)
    ]
    return values_rows(wanted, values)


def _value(value: Any, marks: set[str]) -> Any:
    return None if isinstance(value, str) and (value in marks or not value) else value
