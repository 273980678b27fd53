"""The audit of a source table: columns, types, uniqueness, missing shares and ranges, judged by pandera."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from ml.base.text import shortened
from ml.base.times import time_text, within_python
from ml.declaration.audit import ColumnAudit
from ml.declaration.tables import ROW_NUMBER, Table
from ml.tables.findings import Finding, worst_first
from ml.tables.numbers import NUMBERS_AMONG_TEXTS, numbers_among_texts
from ml.tables.types import is_text

if TYPE_CHECKING:
    from pandera.pandas import Check, DataFrameSchema

_PLACE = (
    " (the place of the row, if the source has no such column: it names the same row only while rows are appended, in "
    "files that come last by their path)"
)
SHOWN = 41  # characters of a value
REMEDIES = {
    "types": "correct the source, or say in logical_types what the column holds",
    "uniqueness": "remove the duplicates, or declare a key that is unique",
    "missing_shares": "fill the gaps at the source, or allow more of them in audit.columns",
    "ranges": "correct the source, or the limits in audit.columns",
}


def audit_table(table: pa.Table, declared: Table) -> list[Finding]:
    """Check a loaded table against its declaration: a finding for each of its checks, in their order."""
    columns = {name: audit for name, audit in declared.audit.columns.items() if name in table.column_names}
    among_texts, names = numbers_among_texts(table, declared), table.column_names
    table = table.select(list(columns))
    frame = _frame(table)
    failed = _failed(_schema(columns), frame)
    wrong_type = {name for name, check in failed if check == "types"}
    limited = {name: audit for name, audit in columns.items() if name not in wrong_type}
    failed |= _failed(_ranges(limited), _frame(_within_python(table)))
    looked_at = _looked_at(declared, columns)
    judged = [check for check in table_checks(declared) if check in looked_at]
    findings = [_finding(check, looked_at[check], failed, frame, columns) for check in judged]
    return [_columns(declared, names), *findings, among_texts]


def _within_python(table: pa.Table) -> pa.Table:
    """Return a table whose times Python has too, as pandera wants those that are out of a range."""
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field, within_python(table.column(place)))
    return table


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def table_checks(declared: Table) -> list[str]:
    """Return the names of a table's checks; that of the ranges only where some are declared."""
    ranges = ["ranges"] if declared.audit.limited else []
    return ["schema", "types", "uniqueness", "missing_shares", *ranges, NUMBERS_AMONG_TEXTS]


def _columns(declared: Table, names: list[str]) -> Finding:
    """Check that the columns are those that are expected."""
    from pandera.pandas import Column, DataFrameSchema

    ignored = set(declared.ignore) - set(names)  # what could be no column was left out
    expected = (declared.named - ignored) | set(declared.derived) | set(declared.audit.columns)
    optional = {name for name, audit in declared.audit.columns.items() if not audit.required}
    schema = DataFrameSchema(
        {name: Column(required=name not in optional) for name in sorted(expected)},
        strict=declared.audit.unexpected == "refuse",
    )
    failed = _cases(schema, pd.DataFrame({name: pd.Series(dtype="object") for name in names}))
    words = {"column_in_dataframe": "is missing", "column_in_schema": "is not expected"}
    faults = [(0.0, f"the column {case.failure_case} {words[str(case.check)]}") for case in failed.itertuples()]
    return Finding(
        "schema",
        f"{len(names)} columns, of which {len(expected & set(names))} are declared; others are "
        f"{'not allowed' if declared.audit.unexpected == 'refuse' else 'allowed'}",
        worst_first(faults),
        "correct the source, or audit.columns",
    )


def _schema(columns: Mapping[str, ColumnAudit]) -> "DataFrameSchema":
    """Return the schema of the types, uniqueness and missing shares that are declared."""
    from pandera.pandas import Check, Column, DataFrameSchema

    def checks(audit: ColumnAudit) -> list["Check"]:
        declared = []
        if audit.kind:
            declared.append(Check(lambda values: _are(values, str(audit.kind)), name="types"))
        if audit.unique:
            declared.append(Check(lambda values: ~values.duplicated(keep=False), name="uniqueness"))
        if audit.missing_at_most is not None and audit.missing_at_most < 1:
            declared.append(Check(lambda values: _complete(values, audit), name="missing_shares", ignore_na=False))
        return declared

    return DataFrameSchema({name: Column(checks=checks(audit), nullable=True) for name, audit in columns.items()})


def _ranges(columns: Mapping[str, ColumnAudit]) -> "DataFrameSchema":
    """Return the schema of the limits of single values that are declared."""
    from pandera.pandas import Check, Column, DataFrameSchema

    def checks(audit: ColumnAudit) -> list["Check"]:
        least, greatest = audit.between or (None, None)
        among = audit.one_of or []
        return [
            *([Check(lambda values: values >= least, name="ranges")] if least is not None else []),
            *([Check(lambda values: values <= greatest, name="ranges")] if greatest is not None else []),
            *([Check(lambda values: values.astype("object").isin(among), name="ranges")] if among else []),
        ]

    return DataFrameSchema({name: Column(checks=checks(audit), nullable=True) for name, audit in columns.items()})


def _are(values: pd.Series, kind: str) -> pd.Series:
    """Return which values are of a type; those of a text that could be read as one are not, unless all could be."""
    storage = pa.Array.from_pandas(values[:0]).type
    if kind == "integer" and pa.types.is_floating(storage):
        return values.eq(values.round())
    right = {
        "number": pa.types.is_integer(storage) or pa.types.is_floating(storage) or pa.types.is_decimal(storage),
        "integer": pa.types.is_integer(storage),
        "boolean": pa.types.is_boolean(storage),
        "time": pa.types.is_timestamp(storage),
        "text": is_text(storage),
    }[kind]
    if right or kind in ("text", "boolean"):
        return pd.Series(right, index=values.index)
    texts = values.astype("object")
    parsed = pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True) if kind == "time" else None
    readable = (pd.to_numeric(texts, errors="coerce") if parsed is None else parsed).notna()
    return pd.Series(False, index=values.index) if readable.all() else readable


def _complete(values: pd.Series, audit: ColumnAudit) -> pd.Series:
    """Return which values are there, or that none is amiss where few enough are missing."""
    missing = values.isna()
    allowed = missing.mean() <= (audit.missing_at_most or 0.0)
    return pd.Series(True, index=values.index) if allowed else ~missing


def _cases(schema: "DataFrameSchema", frame: pd.DataFrame) -> pd.DataFrame:
    """Return pandera's failure cases: `column`, `check`, `failure_case` and, where it is about a row, its `index`."""
    from pandera.errors import SchemaErrors

    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases: pd.DataFrame = error.failure_cases
        return cases
    return pd.DataFrame({"column": [], "check": [], "failure_case": [], "index": []})


def _failed(schema: "DataFrameSchema", frame: pd.DataFrame) -> dict[tuple[str, str], list[int]]:
    """Return the rows that fail, by column and check."""
    cases = _cases(schema, frame)
    return {
        (str(column), str(check)): sorted({int(row) for row in rows["index"]})
        for (column, check), rows in cases.groupby(["column", "check"])
    }


def _finding(
    check: str,
    looked_at: str,
    failed: Mapping[tuple[str, str], list[int]],
    frame: pd.DataFrame,
    columns: Mapping[str, ColumnAudit],
) -> Finding:
    """Return the finding of one check of all columns, the column with the most wrong rows first."""
    wrong = {column: rows for (column, of), rows in failed.items() if of == check}
    faults = [(len(rows), _fault(check, frame[name], rows, columns[name])) for name, rows in wrong.items()]
    order = sorted(wrong, key=lambda name: (-len(wrong[name]), name))
    table = tuple({"column": name, **_counted(frame[name], wrong[name])} for name in order)
    return Finding(check, looked_at, worst_first(faults), REMEDIES[check], table)


def _counted(values: pd.Series, rows: list[int]) -> dict[str, str]:
    return {"rows": f"{len(rows):,}", "of": f"{len(values):,}", "first": _value(values, rows)}


def _fault(check: str, values: pd.Series, rows: list[int], audit: ColumnAudit) -> str:
    count, first = f"{len(rows):,} of {len(values):,}", _value(values, rows)
    where = f"column {values.name!r}"
    if check == "types":
        return f"{where}: {count} values are no {audit.kind} (it holds {_held(values)}), first {first}"
    if check == "uniqueness":
        return f"{where}: {count} rows share their value with another, first {first}"
    if check == "missing_shares":
        share = len(rows) / len(values)
        return f"{where}: {count} values are missing ({share:.2%}, allowed: {audit.missing_at_most:.2%})"
    return f"{where}: {count} values are not {_limits(audit)}, first {first}"


def _limits(audit: ColumnAudit) -> str:
    least, greatest = audit.between or (None, None)
    among = [f"among {', '.join(map(str, audit.one_of))}"] if audit.one_of else []
    between = [f"between {least} and {greatest}"] if least is not None and greatest is not None else []
    one_sided = [f"at least {least}"] if greatest is None else [f"at most {greatest}"] if least is None else []
    return " and ".join([*between, *(one_sided if audit.between else []), *among])


def _held(values: pd.Series) -> str:
    return str(values.dtype).removesuffix("[pyarrow]")


def _value(values: pd.Series, rows: Iterable[int]) -> str:
    """Return the value of the first of some rows."""
    first = next(iter(rows), None)
    return "" if first is None else shortened(repr(_plain(pa.array(values[first : first + 1])[0])), SHOWN)


def _plain(value: pa.Scalar) -> Any:
    """Return a value as Python has it, a time as its text."""
    return time_text(value) if pa.types.is_timestamp(value.type) and value.is_valid else value.as_py()


def _looked_at(declared: Table, columns: Mapping[str, ColumnAudit]) -> dict[str, str]:
    """Return the sentence of each check about what it looked at, for where it has passed."""
    kinds = {name: audit.kind for name, audit in columns.items() if audit.kind}
    unique = [name for name, audit in columns.items() if audit.unique]
    limited = [name for name in declared.audit.limited if name in columns]
    gaps = [name for name, audit in columns.items() if audit.missing_at_most is not None]
    times = sorted(declared.times)
    sampled = f"of a sample of {declared.sample} " if declared.sample else ""
    place = _PLACE if declared.keys == [ROW_NUMBER] else ""
    return {
        "types": f"{len(times)} columns hold times, and {len(kinds)} what audit.columns says",
        "uniqueness": f"no two rows {sampled}share the key {declared.keys}{place}{_also(unique, 'nor a value of')}",
        "missing_shares": f"every row has the key {declared.keys}{_also(gaps, 'and enough have')}",
        "ranges": f"all values lie within the limits of {', '.join(limited)}",
    }


def _also(columns: list[str], words: str) -> str:
    return f", {words} {', '.join(columns)}" if columns else ""
