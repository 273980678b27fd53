"""The reading of a source table: its rows as they are, checked against the declaration, with times in UTC."""

from collections.abc import Iterable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.sql import DataError
from ml.declaration.part import without_secrets
from ml.declaration.sources.kind import SourceKind
from ml.declaration.tables import Table
from ml.tables.audit import duplicates
from ml.tables.computed import with_computed
from ml.tables.findings import AuditError, Finding


def load_table(use_case: str, name: str, table: Table, times: Iterable[str] = ()) -> pa.Table:
    """Return one source table, checked against its declaration, with its computed columns, as Arrow.

    Columns in `times` hold times, beside those that the declaration of the table says. Times with an offset become
    UTC; what this machine takes for its own time zone does not matter.

    Raises AuditError if a declared column is missing, the key is not unique or has nulls, or a time does not parse: of
    such a table nothing can be made. Raises DataError if the source cannot be read.
    """
    where = f"use case {use_case!r}, table {name!r}"
    frame = _read_or_name(where, table.source)
    _check_columns(where, table, list(frame.columns))
    frame = _parse_times(where, table, frame, set(times) & set(frame.columns))
    _check_key(where, table, frame)
    try:
        arrow = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except pa.ArrowException as error:
        finding = Finding("types", "", ("; ".join(map(str, error.args)),), "give each column values of one type")
        raise AuditError(where, [finding]) from error
    arrow = _retyped(where, table, _normalized(arrow))
    return with_computed(where, table, arrow) if table.derived else arrow


def _read_or_name(where: str, source: SourceKind) -> pd.DataFrame:
    """Return the rows of a source; whatever stops the reading, the error names the table and its source."""
    try:
        return source.read()
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    except Exception as error:  # a callable may raise anything, and so may the driver of a file system or a database
        shown = without_secrets(source.named)
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0].replace(source.named, shown)
        raise DataError(
            f"{where}: source.{source.key} {shown!r} cannot be read: {reason}; correct it or its source"
        ) from error


def _check_columns(where: str, table: Table, columns: list[str]) -> None:
    if missing := sorted(table.named - set(columns) - set(table.derived)):
        fault = f"the columns {missing} are declared but the source has none such. It has {sorted(map(str, columns))}"
        raise AuditError(where, [Finding("schema", "", (fault,), "correct the declaration or the source")])


def _parse_times(where: str, table: Table, frame: pd.DataFrame, others: set[str]) -> pd.DataFrame:
    times = table.times | others | {name for name, kind in table.logical_types.items() if kind == "time"}
    parsed = {}
    for column in sorted(times):
        values = _as_times(frame[column]) if _is_text(frame[column]) else frame[column]
        if not pd.api.types.is_datetime64_any_dtype(values):
            fault = f"column {column!r}: must hold times, but holds {values.dtype}"
            raise AuditError(where, [Finding("types", "", (fault,), "store ISO 8601 times in it")])
        unparsed = frame[column][values.isna() & frame[column].notna()]
        if len(unparsed):
            fault = (
                f"column {column!r}: {len(unparsed)} of {len(frame)} values do not parse as a time, "
                f"first {unparsed.iloc[0]!r}"
            )
            remedy = "write them as ISO 8601, such as 2013-01-31T18:30:00"
            raise AuditError(where, [Finding("types", "", (fault,), remedy)])
        if column == table.time and values.isna().any():
            fault = f"column {column!r}: {int(values.isna().sum())} rows have no time"
            raise AuditError(where, [Finding("missing_shares", "", (fault,), "fill or remove them")])
        parsed[column] = values
    frame = frame.assign(**parsed)
    if isinstance(table.known_at, str) and table.time and table.known_at in parsed:
        early = frame[frame[table.known_at] < frame[table.time]]
        if len(early):
            raise DataError(
                f"{where}: {len(early)} of {len(frame)} rows are known ({table.known_at}) before they happen "
                f"({table.time}), first {table.keys} = {early[table.keys].iloc[0].tolist()}; what is planned ahead has "
                "its outcome in columns of its own: known_at: {time: [columns]}; else correct the rows"
            )
    return frame


def _as_times(texts: pd.Series) -> pd.Series:
    """Parse texts (or dates) as times, those with an offset in UTC; what does not parse is missing."""
    return pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True).dt.tz_localize(None)


def _is_text(values: pd.Series) -> bool:
    return bool(values.dtype == object or pd.api.types.is_string_dtype(values))


def _check_key(where: str, table: Table, frame: pd.DataFrame) -> None:
    keys = frame[table.keys]
    if nulls := int(keys.isna().any(axis=1).sum()):
        fault = f"key {table.keys}: {nulls} rows have no key"
        raise AuditError(where, [Finding("missing_shares", "", (fault,), "remove them or declare another key")])
    shared = duplicates(keys).to_numpy()
    if shared.any():
        first = keys[shared].iloc[0].to_dict()
        fault = f"key {table.keys}: {int(shared.sum())} rows share their key with another, first {first}"
        remedy = "remove the duplicates or declare a key that is unique"
        raise AuditError(where, [Finding("uniqueness", "", (fault,), remedy)])


def _normalized(table: pa.Table) -> pa.Table:
    """Return the table with missing numbers as nulls, which SQL's `is null` sees, and all dates as times in UTC."""
    for index, field in enumerate(table.schema):
        kind, column = field.type, table.column(index)
        if pa.types.is_floating(kind):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
        elif pa.types.is_date(kind):
            column = column.cast(pa.timestamp("us"))
        elif pa.types.is_timestamp(kind) and kind.tz:
            column = column.cast(pa.timestamp(kind.unit))
        else:
            continue
        table = table.set_column(index, field.name, column)
    return table


def _retyped(where: str, table: Table, arrow: pa.Table) -> pa.Table:
    """Return the table with each column whose logical type is declared as that type."""
    kinds = {"category": pa.string(), "number": pa.float64(), "boolean": pa.bool_()}
    for name, logical in table.logical_types.items():
        if logical in kinds and name not in table.derived:
            try:
                column = arrow[name].cast(kinds[logical])
            except pa.ArrowException as error:
                reason = str(error).splitlines()[0]
                fault = f"column {name!r}: {arrow[name].type} cannot be read as {logical}: {reason}"
                finding = Finding("types", "", (fault,), "correct logical_types or the source")
                raise AuditError(where, [finding]) from error
            arrow = arrow.set_column(arrow.schema.get_field_index(name), name, column)
    return arrow
