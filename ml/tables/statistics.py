"""Statistics of the columns of a table, as one Markdown table."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ml.base.sql import run_sql
from ml.base.text import markdown_table, shortened

EXACT = 1_000_000  # rows up to which distinct values are counted exactly, which takes memory for each of them
SHOWN = 41  # characters of a text


def statistics(table: pa.Table) -> str:
    """Return a line for each column: its type, missing and distinct values, range and most frequent text.

    The standard deviation is that of a sample. Beyond EXACT rows distinct values are DuckDB's estimate (HyperLogLog, a
    few percent off), marked ~. Of texts and booleans only the most frequent value is shown, the first in order among
    equals, and none if no value occurs twice: names and keys stay unsaid. What Arrow cannot count or order is blank.
    """
    lines = [
        {"column": _quoted(name), "type": str(column.type), **_line(column)}
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return markdown_table(lines)


def _line(column: pa.ChunkedArray) -> dict[str, str]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    kind = column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    ordered = number or pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    distinct, top = _counted(column, text) if text or ordered else (None, None)
    return {
        "missing": _share(column.null_count, len(column)),
        "distinct": "" if distinct is None else f"{'~' if len(column) > EXACT else ''}{distinct:,}",
        "min": _value(pc.min(column)) if ordered else "",
        "max": _value(pc.max(column)) if ordered else "",
        "mean": _value(pc.mean(column)) if number else "",
        "std": _value(pc.stddev(column, ddof=1)) if number else "",
        "most frequent": "" if top is None else _frequent(column, top),
    }


def _counted(column: pa.ChunkedArray, text: bool) -> tuple[int, Any]:
    """Return the count of distinct values and, of texts, the most frequent one."""
    if len(column) > EXACT:
        top = "approx_top_k(x, 1)[1]" if text else "null"
        query = f"select approx_count_distinct(x) as distinct_values, {top} as top from t"
        counts = run_sql("statistics", query, t=pa.table({"x": column})).to_pylist()[0]
        return counts["distinct_values"], counts["top"]
    if not text:
        return pc.count_distinct(column).as_py(), None
    values, frequencies = pc.value_counts(column.drop_null()).flatten()
    return len(values), pc.min(values.filter(pc.equal(frequencies, pc.max(frequencies)))).as_py()


def _frequent(column: pa.ChunkedArray, value: str | bool) -> str:
    count = pc.sum(pc.equal(column, value)).as_py()
    return f"{_quoted(str(value))} {count / len(column):.1%}" if count > 1 else ""


def _share(count: int, rows: int) -> str:
    return f"{count:,} ({count / rows:.1%})" if count else "0"


def _value(value: pa.Scalar) -> str:
    if not value.is_valid:
        return ""
    if pa.types.is_floating(value.type):
        return f"{value.as_py():.6g}"
    whole, _, part = str(value.cast(pa.string())).partition(".")  # Python has no times after the year 9999
    return f"{whole}.{part.rstrip('0')}".rstrip(".")


def _quoted(text: str) -> str:
    """Return the beginning of a text as code, in which Markdown sees no markup, on one line."""
    code = " ".join(shortened(text, SHOWN).split()).replace("`", "'")
    return f"`{code}`"
