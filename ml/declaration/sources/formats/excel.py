"""Excel: the cells of one sheet, as what the sheet says that they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
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

    Raises DataError where there is no such sheet, it is empty, or no formula of it was ever calculated.
    """
    if len(places) == 1 and not places[0].partition:
        yield _sheet(places[0], options)
        return
    sheets = {place.path: _sheet(place, options) for place in places}
    refused = {name: why for sheet in sheets.values() for name, why in sheet.refused.items()}
    schemas = [_with_refused(sheet) for sheet in sheets.values()]

    def batches(place: Place, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from sheets[place.path].scan(columns).combine_chunks().to_batches()

    with several_rows(places, schemas, batches, options.selected, typed=True, refused=refused) as rows:
        yield rows


def _with_refused(sheet: Rows) -> pa.Schema:
    return pa.schema([*sheet.schema, *((name, pa.null()) for name in sheet.refused)])


def _sheet(place: Place, options: FileOptions) -> Rows:
    cells = [[cell.value for cell in row] for row in _cells(place, options, calculated=True)]
    formulas = (
        (row, column)
        for row, written in enumerate(_cells(place, options, calculated=False))
        for column, cell in enumerate(written)
        if cell.data_type == "f"
    )
    if (first := next(formulas, None)) and all(_at(cells, *place_of) is None for place_of in chain([first], formulas)):
        raise DataError(
            f"the formulas of {place.shown!r} have no values, for it was written by a program that does not calculate; "
            "open it in a spreadsheet and save it, or write values"
        )
    return _rows(place, [row for row in cells if any(value is not None for value in row)], options)


def _at(cells: list[list[Any]], row: int, column: int) -> Any:
    return cells[row][column] if row < len(cells) and column < len(cells[row]) else None


def sheets_of(place: Place, rows: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the values of the first `rows` of each sheet of a file, in the order of the sheets."""
    with _opened(place, calculated=True) as book:
        return {sheet.title: list(sheet.iter_rows(max_row=rows, values_only=True)) for sheet in book.worksheets}


def _cells(place: Place, options: FileOptions, *, calculated: bool) -> Iterator[Sequence[Any]]:
    """Yield the rows of the sheet as cells, whose formulas are their values if `calculated`."""
    with _opened(place, calculated) as book:
        yield from _chosen(place, book, options).iter_rows(min_row=1 + (options.skip or 0))


@contextmanager
def _opened(place: Place, calculated: bool) -> Iterator[Any]:
    openpyxl = required("openpyxl", "excel", f"the file {place.shown!r}")
    with place.open(packed=False) as opened:
        try:
            book = openpyxl.load_workbook(opened, read_only=True, data_only=calculated)
        except Exception as error:  # of a damaged file it raises whatever it stumbles on
            raise DataError(f"the file {place.shown!r} is no Excel file (.xlsx): {error}; correct it") from error
        try:
            yield book
        finally:
            book.close()


def _chosen(place: Place, book: Any, options: FileOptions) -> Any:
    names, sheet = list(book.sheetnames), 1 if options.sheet is None else options.sheet
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        sheet = names[sheet - 1]
    if sheet not in names:
        raise DataError(f"{place.shown!r} has no sheet {sheet!r}. It has {names}; correct source.sheet")
    return book[sheet]


def _rows(place: Place, cells: list[list[Any]], options: FileOptions) -> Rows:
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
        wanted = options.chosen(names, repr(place.shown), place.partition)
    marks = {name: set(options.spelling(name).texts) for name in wanted}
    values = [
        [_value(row[at] if at < len(row) else None, marks[name]) for row in cells]
        for name, at in ((name, names.index(name)) for name in wanted)
    ]
    return values_rows(wanted, values)


def _value(value: Any, marks: set[str]) -> Any:
    return None if isinstance(value, str) and (value in marks or not value) else value
