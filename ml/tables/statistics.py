"""Statistics of the columns of a table, as one Markdown table."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ml.base.sql import connection, parquet_sql
from ml.base.table_file import TableFile
from ml.base.text import markdown_table, shortened
from ml.base.times import time_text

EXACT = 1_000_000  # rows up to which distinct values are counted exactly, which takes memory for each of them
SHOWN = 41  # characters of a text


def statistics(table: pa.Table | TableFile) -> str:
    """Return a line for each column: its type, missing and distinct values, range and most frequent text.

    The standard deviation is that of a sample. Beyond EXACT rows distinct values are DuckDB's estimate (HyperLogLog, a
    few percent off), marked ~. Of texts and booleans only the most frequent value is shown, the first in order among
    equals, and none if no value occurs twice: names and keys stay unsaid. What Arrow cannot count or order is blank.
    """
    if table.num_rows > EXACT:
        figures, about = _estimated(table), "~"
    else:
        figures, about = [_exact(table.select([name]).column(name)) for name in table.column_names], ""
    lines = [
        {"column": _quoted(field.name), "type": str(field.type), **_line(column, table.num_rows, about)}
        for field, column in zip(table.schema, figures, strict=True)
    ]
    return markdown_table(lines)


def _kinds(kind: pa.DataType) -> tuple[bool, bool, bool]:
    """Return whether a type is one of texts or booleans, one of numbers, and one whose values have an order."""
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return text, number, number or pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def _exact(column: pa.ChunkedArray) -> dict[str, pa.Scalar]:
    """Return the figures of a column, as far as its type has them."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    text, number, ordered = _kinds(column.type)
    figures = {"missing": pa.scalar(column.null_count)}
    if text:
        values, frequencies = pc.value_counts(column.drop_null()).flatten()
        times = pc.max(frequencies)
        top = pc.min(values.filter(pc.equal(frequencies, times)))
        figures |= {"distinct": pa.scalar(len(values)), "top": top, "times": times}
    if ordered:
        figures |= {"distinct": pc.count_distinct(column), "min": pc.min(column), "max": pc.max(column)}
    if number:
        figures |= {"mean": pc.mean(column), "std": pc.stddev(column, ddof=1)}
    return figures


def _estimated(table: pa.Table | TableFile) -> list[dict[str, pa.Scalar]]:
    """Return the figures of the columns of a table of many rows, which is read in parts."""
    numbers: list[dict[str, str]] = []
    texts: list[dict[str, str]] = []
    for place, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        text, number, ordered = _kinds(kind)
        queries = {"missing": "count(*) - count({x})"}
        if text or ordered:
            queries["distinct"] = "approx_count_distinct({x})"
        if ordered:
            queries |= {"min": "min({x})", "max": "max({x})"}
        if number:
            queries |= {"mean": "avg({x})", "std": "if(isfinite(sum({x})), stddev_samp({x}), null)"}
        numbers.append({name: sql.format(x=f"column{place}") for name, sql in queries.items()})
        texts.append({"top": f"approx_top_k(column{place}, 1)[1]"} if text else {})
    figures = _values(table, numbers)
    tops = _values(table, texts, threads=1)  # with more, it would depend on which part came first
    counts = [
        {"times": f"count_if(column{place} = {_literal(column['top'])})"} if column else {}
        for place, column in enumerate(tops)
    ]
    return [a | b | c for a, b, c in zip(figures, tops, _values(table, counts), strict=True)]


def _values(
    table: pa.Table | TableFile, aggregates: Sequence[Mapping[str, str]], threads: int | None = None
) -> list[dict[str, pa.Scalar]]:
    """Return the values of some aggregates of each column, which is called by `column` and its place."""
    queries = [sql for column in aggregates for sql in column.values()]
    if not queries:
        return [{} for _ in aggregates]
    names = [f"column{place}" for place in range(len(aggregates))]
    with connection(threads) as opened:
        if isinstance(table, pa.Table):
            opened.register("source", table.rename_columns(names))
        source = "source" if isinstance(table, pa.Table) else parquet_sql(table.path)
        row = opened.sql(f"select {', '.join(queries)} from {source} as source({', '.join(names)})").to_arrow_table()
    values = iter([column[0] for column in row.columns])
    return [{name: next(values) for name in column} for column in aggregates]


def _literal(value: pa.Scalar) -> str:
    """Return a text or a boolean as SQL."""
    if not value.is_valid:
        return "null"
    text = str(value.as_py()).replace("'", "''")
    return f"'{text}'" if isinstance(value.as_py(), str) else text


def _line(figures: Mapping[str, pa.Scalar], rows: int, about: str) -> dict[str, str]:
    """Return the figures of a column as texts, blank where there are none; `about` marks what is an estimate."""
    times = (figures["times"].as_py() if "times" in figures else 0) or 0
    return {
        "missing": _share(figures["missing"].as_py(), rows),
        "distinct": f"{about}{figures['distinct'].as_py():,}" if "distinct" in figures else "",
        **{name: _value(figures[name]) if name in figures else "" for name in ("min", "max", "mean", "std")},
        "most frequent": f"{_quoted(str(figures['top'].as_py()))} {times / rows:.1%}" if times > 1 else "",
    }


def _share(count: int, rows: int) -> str:
    return f"{count:,} ({count / rows:.1%})" if count else "0"


def _value(value: pa.Scalar) -> str:
    if not value.is_valid:
        return ""
    if pa.types.is_floating(value.type):
        return f"{value.as_py():.6g}"
    return time_text(value) if pa.types.is_timestamp(value.type) else str(value.cast(pa.string()))


def _quoted(text: str) -> str:
    """Return the beginning of a text as code, in which Markdown sees no markup, on one line."""
    code = " ".join(shortened(text, SHOWN).split()).replace("`", "'")
    return f"`{code}`"
