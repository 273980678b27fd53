"""The statistics of a table say what its columns hold, whatever they hold, and the same each time."""

from datetime import date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.tables import statistics as module
from ml.tables.statistics import statistics


def lines(table: pa.Table) -> dict[str, dict[str, str]]:
    """The lines of the Markdown table by column."""
    header, _, *rest = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in statistics(table).splitlines()
    ]
    return {row[0].strip("`"): dict(zip(header, row, strict=True)) for row in rest}


def test_numbers_have_missing_and_distinct_values_limits_mean_and_deviation() -> None:
    described = lines(pa.table({"x": [1.0, 2.0, None, 4.5, 2.0], "n": [3, 1, 2, 3, 1]}))

    assert described == {
        "x": {"column": "`x`", "type": "double", "missing": "1 (20.0%)", "distinct": "3", "min": "1", "max": "4.5",
              "mean": "2.375", "std": "1.49304", "most frequent": ""},
        "n": {"column": "`n`", "type": "int64", "missing": "0", "distinct": "3", "min": "1", "max": "3",
              "mean": "2", "std": "1", "most frequent": ""},
    }  # fmt: skip


def test_times_have_limits() -> None:
    at = [datetime(2024, 1, 1), None, datetime(2024, 3, 1, 12, 30, 0, 500000)]
    described = lines(pa.table({"at": pa.array(at, pa.timestamp("ns")), "day": [date(2024, 1, 1), None, None]}))

    assert (described["at"]["min"], described["at"]["max"]) == ("2024-01-01 00:00:00", "2024-03-01 12:30:00.5")
    assert (described["day"]["min"], described["day"]["distinct"], described["day"]["mean"]) == ("2024-01-01", "1", "")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_texts_have_their_most_frequent_value(kind: pa.DataType) -> None:
    described = lines(
        pa.table({"t": pa.array(["b", "a", None, "b"], kind), "tie": pa.array(["b", "a", "a", "b"], kind)})
    )

    assert described["t"]["distinct"] == "2"
    assert described["t"]["most frequent"] == "`b` 50.0%"
    assert described["tie"]["most frequent"] == "`a` 50.0%"


def test_a_text_that_names_each_row_shows_none_of_its_values() -> None:
    shown = statistics(pa.table({"email": ["ann@example.org", "bob@example.org"]}))

    assert "example.org" not in shown


def test_booleans_have_the_more_frequent_one() -> None:
    assert lines(pa.table({"b": [True, True, False, None]}))["b"]["most frequent"] == "`True` 50.0%"


def test_a_text_can_neither_break_the_table_nor_become_markup() -> None:
    text = "![x](http://example.org)|`a`\n" + "z" * 100
    shown = statistics(pa.table({"a|b": [text, text]})).splitlines()

    assert len(shown) == 3
    assert "`a\\|b`" in shown[2]
    assert "`![x](http://example.org)\\|'a' zzzzzzzzzzz…` 100.0%" in shown[2]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([[1], None], pa.list_(pa.int64())), ([None, None], pa.null()), ([1, None], pa.duration("s"))],
)
def test_what_cannot_be_counted_has_a_type_and_what_is_missing(values: list[object], kind: pa.DataType) -> None:
    described = lines(pa.table({"x": pa.array(values, kind)}))["x"]

    assert (described["type"], described["distinct"], described["min"]) == (str(kind), "", "")
    assert described["missing"].startswith(str(values.count(None)))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([10**12], pa.timestamp("s")),  # in the year 33658
        pa.array([10**6], pa.date32()),
        pa.array(np.array([1.5], "float16")),
        pa.array([float("inf")]),
        pa.array([2**64 - 1], pa.uint64()),
        pa.array([], pa.string()),
        pa.array([], pa.float64()),
    ],
    ids=lambda values: str(values.type),
)
def test_unusual_values_stop_nothing(values: pa.Array) -> None:
    assert lines(pa.table({"x": values}))["x"]["type"] == str(values.type)


def test_many_rows_have_an_estimate_of_their_distinct_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT", 9_999)
    rows = 10_000
    table = pa.table({"n": range(rows), "N": [1] * rows, "t": ["often", "seldom", "often", "once"] * (rows // 4)})

    described = lines(table)

    assert float(described["n"]["distinct"].strip("~").replace(",", "")) == pytest.approx(rows, rel=0.1)
    assert described["N"]["distinct"] == "~1"
    assert described["t"]["most frequent"] == "`often` 50.0%"


def test_chunks_make_no_difference() -> None:
    random = np.random.default_rng(0)
    table = pa.Table.from_pandas(pd.DataFrame({"x": random.normal(size=999), "t": random.choice(["a", "b"], 999)}))

    assert statistics(pa.concat_tables([table.slice(0, 7), table.slice(7)])) == statistics(table) == statistics(table)
