"""Every column of a source arrives as what it is, or is refused by its name: no value is guessed, rounded or merged."""

import datetime as dt
import re
import uuid
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.declaration.tables import Table
from ml.tables.findings import AuditError
from ml.tables.sources import load_table

HUGE = 2**60 + 1  # a double holds no odd number of this size


def loaded(path: Path, **declared: Any) -> pa.Table:
    return load_table("shop", "orders", Table.model_validate({"source": {"path": str(path)}, "key": "id", **declared}))


def from_parquet(folder: Path, values: pa.Array, **declared: Any) -> pa.ChunkedArray:
    """The column x of a Parquet file with these values."""
    pq.write_table(pa.table({"id": range(len(values)), "x": values}), folder / "t.parquet")
    return loaded(folder / "t.parquet", **declared)["x"]


def from_csv(folder: Path, cells: list[str], **declared: Any) -> pa.ChunkedArray:
    """The column x of a CSV file with these cells."""
    lines = ["id,x", *(f"{number},{cell}" for number, cell in enumerate(cells))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return loaded(folder / "t.csv", **declared)["x"]


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()], ids=str
)
def test_whole_numbers_of_any_width_stay_whole_beside_missing_ones(kind: pa.DataType, tmp_path: Path) -> None:
    column = from_parquet(tmp_path, pa.array([1, None, 7], kind))

    assert (column.type, column.to_pylist()) == (pa.int64(), [1, None, 7])


def test_large_whole_numbers_keep_every_digit(tmp_path: Path) -> None:
    values = [HUGE, None, HUGE + 1, -HUGE]

    assert from_parquet(tmp_path, pa.array(values)).to_pylist() == values
    assert from_csv(tmp_path, [str(HUGE), "", str(HUGE + 1), str(-HUGE)]).to_pylist() == values
    pd.DataFrame({"id": range(4), "x": pd.array(values, "Int64")}).to_parquet(tmp_path / "p.parquet", index=False)
    assert loaded(tmp_path / "p.parquet")["x"].to_pylist() == values


def test_whole_numbers_beyond_64_bits_are_refused_with_both_ways_out(tmp_path: Path) -> None:
    values = [pa.array([1, 2**63], pa.uint64()), pa.array([Decimal(1), Decimal(2**63)], pa.decimal128(30, 0))]
    reads = [partial(from_csv, tmp_path, ["1", str(2**63)]), *(partial(from_parquet, tmp_path, v) for v in values)]
    words = r"column 'x': 1 of 2 values are no whole numbers of 64 bits, first .*9223372036854775808.*category.*number"
    for read in reads:
        with pytest.raises(AuditError, match=words):
            read()
        assert read(logical_types={"x": "category"}).to_pylist() == ["1", str(2**63)]
        assert read(logical_types={"x": "number"}).to_pylist() == [1.0, 2.0**63]
        with pytest.raises(KeyError):  # it was left out
            read(ignore=["x"])


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["00501", "10001"], ["00501", "10001"]),
        (["0", "10", "-3"], [0, 10, -3]),
        (["NA", "None", "null", "nan", "N/A", "-"], ["NA", "None", "null", "nan", "N/A", "-"]),
        (["1.5", "nan", "", "-inf", "1e3", ".5", "2."], [1.5, None, None, float("-inf"), 1000.0, 0.5, 2.0]),
        (["1", "2.5"], [1.0, 2.5]),
        (["0x1F", "10"], ["0x1F", "10"]),
        (["1_000", "10"], ["1_000", "10"]),
        (["+49", "49"], ["+49", "49"]),
        (["True", "false", "", "TRUE"], [True, False, None, True]),
        (["t", "f"], ["t", "f"]),
        (["yes", "no"], ["yes", "no"]),
        (["", ""], [None, None]),
        (['""', '"a, b"', '"say ""hi"""'], [None, "a, b", 'say "hi"']),
        (["2024-01-01", "2024-01-02"], ["2024-01-01", "2024-01-02"]),
        (["٣", "4"], ["٣", "4"]),
        ([" 7", "8 "], [7, 8]),
        (["10", "1e5"], ["10", "1e5"]),  # a hash may look so; a program that writes doubles does not
        (["123e4567", "77e1"], ["123e4567", "77e1"]),
        (["1e+5", "10"], [1e5, 10.0]),
        (["1E5", "0.5"], [1e5, 0.5]),
        (["1e999", "0.5"], ["1e999", "0.5"]),
        (["-inf", "0.5"], [float("-inf"), 0.5]),
        (["01.10", "01.20"], ["01.10", "01.20"]),
        (["-0.5", "0.25"], [-0.5, 0.25]),
        (["True", "true", "1"], ["True", "true", "1"]),
        (["1,000".join('""'), "5"], ["1,000", "5"]),
    ],
    ids=lambda value: str(value[:2]) if isinstance(value, list) else None,
)
def test_only_what_all_values_of_a_csv_column_are_becomes_its_type(
    cells: list[str], values: list[Any], tmp_path: Path
) -> None:
    assert from_csv(tmp_path, cells).to_pylist() == values


def test_a_whole_number_beside_doubles_that_none_of_them_holds_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    cells = ["0.5", "9007199254740993", "9223372036854776000"]  # of which a double writes the last so

    with pytest.raises(AuditError, match=r"column 'x': 1 of 3 values are whole numbers .*first '9007199254740993'; .*"):
        from_csv(tmp_path, cells)
    assert from_csv(tmp_path, cells, logical_types={"x": "category"}).to_pylist() == cells
    assert from_csv(tmp_path, cells, logical_types={"x": "number"}).to_pylist() == [float(cell) for cell in cells]
    with pytest.raises(AuditError, match="1 of 3 values are whole numbers"):
        from_csv(tmp_path, ["9007199254740993", "nan", ""])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1).filter(any))
def test_whole_numbers_come_back_from_a_csv_file(values: list[int | None], tmp_path: Path) -> None:
    assert from_csv(tmp_path, ["" if value is None else str(value) for value in values]).to_pylist() == values


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(allow_nan=False).filter(lambda value: value != int(value) if abs(value) < 1e15 else True))
)
def test_doubles_come_back_from_a_csv_file_to_the_last_bit(values: list[float], tmp_path: Path) -> None:
    assert from_csv(tmp_path, [repr(value) for value in [*values, 0.5]]).to_pylist() == [*values, 0.5]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.text(st.characters(blacklist_categories=["Cs", "Cc"])), min_size=1))
def test_texts_come_back_from_a_csv_file_where_they_are_declared_so(values: list[str], tmp_path: Path) -> None:
    cells = ['"' + value.replace('"', '""') + '"' for value in values]

    assert from_csv(tmp_path, cells, logical_types={"x": "category"}).to_pylist() == [value or None for value in values]


def test_a_long_csv_column_is_typed_by_all_of_it(tmp_path: Path) -> None:
    numbers = [str(number) for number in range(200_000)]

    assert from_csv(tmp_path, [*numbers, "12b"]).to_pylist()[-2:] == ["199999", "12b"]
    assert from_csv(tmp_path, [*numbers, "0.5"]).to_pylist()[-2:] == [199999.0, 0.5]


@pytest.mark.parametrize("values", [[float("nan"), 0.5, 1.5], [0.5, float("nan")], [float("nan"), float("inf")]])
@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()], ids=str)
def test_what_is_no_number_is_missing_whatever_the_statistics_of_a_file_say(
    values: list[float], kind: pa.DataType, tmp_path: Path
) -> None:
    expected = [None if value != value else value for value in values]
    computed = {"large": "x > 1", "gone": "x is null"}

    assert from_parquet(tmp_path, pa.array(values, kind)).to_pylist() == expected
    rows = loaded(tmp_path / "t.parquet", computed=computed).select(["large", "gone"]).to_pylist()
    assert [row["gone"] for row in rows] == [value is None or value > 2 for value in expected]
    assert [row["large"] for row in rows] == [None if row["gone"] else expected[at] > 1 for at, row in enumerate(rows)]
    assert from_parquet(tmp_path, pa.array(values, kind), logical_types={"x": "category"})[0].as_py() != "nan"
    pq.write_table(pa.table({"id": pa.array(values, kind)}), tmp_path / "t.parquet")
    with pytest.raises(AuditError, match="1 rows have no key"):
        loaded(tmp_path / "t.parquet")


def test_decimals_are_numbers_and_those_without_a_fraction_whole_ones(tmp_path: Path) -> None:
    assert from_parquet(tmp_path, pa.array([Decimal("1.10"), None])).to_pylist() == [1.1, None]
    whole = from_parquet(tmp_path, pa.array([Decimal(HUGE), None], pa.decimal128(38, 0)))
    assert (whole.type, whole.to_pylist()) == (pa.int64(), [HUGE, None])


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([1, None, -7]), ["1", None, "-7"]),
        (pa.array([1.0, None, 2.5]), ["1", None, "2.5"]),
        (pa.array([True, None, False]), ["true", None, "false"]),
        (pa.array([Decimal("1.50"), None, Decimal(2)]), ["1.5", None, "2"]),
        (pa.array(["007", "", None]), ["007", "", None]),
        (pa.array([7, None, 8]).dictionary_encode(), ["7", None, "8"]),
    ],
    ids=["whole", "doubles", "booleans", "decimals", "texts", "a dictionary of numbers"],
)
def test_a_declared_category_is_a_text_and_a_whole_number_reads_the_same_of_any_type(
    values: pa.Array, texts: list[str | None], tmp_path: Path
) -> None:
    assert from_parquet(tmp_path, values, logical_types={"x": "category"}).to_pylist() == texts


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.float64(), pa.float32(), pa.decimal128(20, 0)], ids=str)
def test_numbers_are_true_and_false_only_where_they_are_one_and_zero(kind: pa.DataType, tmp_path: Path) -> None:
    numbers = pa.array([1, 0, None, 2], pa.int64()).cast(kind)

    assert from_parquet(tmp_path, numbers[:3], logical_types={"x": "boolean"}).to_pylist() == [True, False, None]
    with pytest.raises(AuditError, match=r"column 'x': 1 of 4 values are neither true nor false, first .*2"):
        from_parquet(tmp_path, numbers, logical_types={"x": "boolean"})


@pytest.mark.parametrize("text", ["1e999", "-1E400", "9" * 400])
def test_a_number_beyond_the_largest_is_none_and_no_infinity(text: str, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"column 'x': 1 of 2 values are no numbers"):
        from_csv(tmp_path, ["1", text], logical_types={"x": "number"})


def test_texts_that_are_declared_as_something_are_read_so_or_counted(tmp_path: Path) -> None:
    assert from_csv(tmp_path, ["007", "1e3", ""], logical_types={"x": "number"}).to_pylist() == [7.0, 1000.0, None]
    assert from_csv(tmp_path, ["1", "FALSE", ""], logical_types={"x": "boolean"}).to_pylist() == [True, False, None]
    with pytest.raises(AuditError, match=r"'orders': column 'x': 2 of 3 values are no numbers, first 'NA'"):
        from_csv(tmp_path, ["NA", "1", "0x1F"], logical_types={"x": "number"})
    with pytest.raises(AuditError, match=r"column 'x': 1 of 2 values are neither true nor false, first 'yes'"):
        from_csv(tmp_path, ["yes", "true"], logical_types={"x": "boolean"})


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_of_any_unit_are_microseconds_in_utc(unit: str, zone: str | None, tmp_path: Path) -> None:
    column = from_parquet(tmp_path, pa.array([86_400, None], pa.timestamp("s")).cast(pa.timestamp(unit, zone)))

    assert (column.type, column.to_pylist()) == (pa.timestamp("us"), [dt.datetime(1970, 1, 2), None])


@pytest.mark.parametrize("year", [1, 1500, 1676, 2263, 9999])
def test_times_outside_of_the_range_of_nanoseconds_are_what_they_are(year: int, tmp_path: Path) -> None:
    moment = dt.datetime(year, 12, 31, 23, 59, 59, 999999)

    assert from_parquet(tmp_path, pa.array([moment, None])).to_pylist() == [moment, None]
    read = from_csv(tmp_path, [f"{year:04}-12-31T23:59:59.999999", ""], logical_types={"x": "time"})
    assert read.to_pylist() == [moment, None]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-03-01T12:00:00+02:00", dt.datetime(2024, 3, 1, 10)),
        ("2024-03-01T12:00:00Z", dt.datetime(2024, 3, 1, 12)),
        ("2024-03-01 12:00", dt.datetime(2024, 3, 1, 12)),
        ("2024-03-01", dt.datetime(2024, 3, 1)),
        ("20240301", dt.datetime(2024, 3, 1)),
        ("20240301T120000", dt.datetime(2024, 3, 1, 12)),
        ("2024-03-01T12", dt.datetime(2024, 3, 1, 12)),
        ("20240301T120000Z", dt.datetime(2024, 3, 1, 12)),
        ("20240301T120000+0200", dt.datetime(2024, 3, 1, 10)),
        ("2024-03-01 12:00:00.5 UTC", dt.datetime(2024, 3, 1, 12, 0, 0, 500000)),
        ("2024-03-01T12:00:00-05", dt.datetime(2024, 3, 1, 17)),
        ("2024-03-01T24:00:00", dt.datetime(2024, 3, 2)),
        ("2024/3/1", dt.datetime(2024, 3, 1)),
        ("0001-01-01", dt.datetime(1, 1, 1)),
    ],
)
def test_times_are_read_as_iso_8601_has_them(text: str, moment: dt.datetime, tmp_path: Path) -> None:
    assert from_csv(tmp_path, [text], logical_types={"x": "time"}).to_pylist() == [moment]


NO_TIMES = [
    "01/02/2024", "soon", "infinity", "2024", "1709294400", "2024-13-01", "24-03-01", "epoch", "now", "today",
    "2024-03-01 12:00 IST", "2024-10-27 02:30 Europe/Berlin", "2024-03-01T12:00+25:00", "2024-03-01 05:00 PM",
    "0044-03-15 .BC.", "NaT", "12:00", "2016-12-31T23:59:60Z", "2024-02-30", "2024-03",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_iso_8601_time_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(
        AuditError, match=rf"column 'x': must hold times, but 1 of 2 values .*, first '{re.escape(text)}'"
    ):
        from_csv(tmp_path, ["2024-01-01", text], logical_types={"x": "time"})


ODD = {
    "timedelta": pa.array([dt.timedelta(seconds=1)]),
    "time of day": pa.array([dt.time(1)]),
    "bytes": pa.array([b"x"]),
    "fixed bytes": pa.array([b"xy"], pa.binary(2)),
    "list": pa.array([["a"]]),
    "struct": pa.array([{"a": 1}]),
    "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    "period": pa.array(pd.Series(pd.period_range("2024-01", periods=1, freq="M"))),
    "interval": pa.array(pd.Series(pd.interval_range(0, 1))),
    "wide decimal": pa.array([Decimal(1)], pa.decimal256(50, 0)),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_cannot_be_a_column_is_named_with_its_type_and_ignored_if_declared_so(kind: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "odd": ODD[kind], "size": [1.5]}), tmp_path / "t.parquet")

    words = r"'shop', table 'orders': column 'odd' holds .*, which cannot be a column; .*ignore"
    with pytest.raises(AuditError, match=words):
        loaded(tmp_path / "t.parquet")
    assert loaded(tmp_path / "t.parquet", ignore=["odd"]).to_pylist() == [{"id": 1, "size": 1.5}]


def test_half_floats_uuids_and_empty_columns_are_plain_columns(tmp_path: Path) -> None:
    name = uuid.UUID(int=7)
    table = pa.table({
        "id": [1],
        "half": pa.array(np.array([1.5], "float16")),
        "name": pa.array([name.bytes], pa.uuid()),
        "nothing": pa.nulls(1),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")

    assert loaded(tmp_path / "t.parquet").to_pylist() == [{"id": 1, "half": 1.5, "name": str(name), "nothing": None}]


@pytest.mark.parametrize("kind", [pa.decimal32(6, 2), pa.decimal64(15, 2), pa.decimal128(38, 2)], ids=str)
def test_decimals_of_any_width_are_numbers(kind: pa.DataType, tmp_path: Path) -> None:
    assert from_parquet(tmp_path, pa.array([Decimal("1.25"), None], kind)).to_pylist() == [1.25, None]


def test_an_ignored_column_that_is_plain_can_still_be_computed_with(tmp_path: Path) -> None:
    table = {"ignore": ["x"], "computed": {"double": "2 * x"}}

    pq.write_table(pa.table({"id": [1], "x": [3]}), tmp_path / "t.parquet")

    assert loaded(tmp_path / "t.parquet", **table)["double"].to_pylist() == [6]


@pytest.mark.parametrize(
    ("sql", "kind", "value"),
    [
        ("x * 1.19", pa.float64(), 3.57),
        ("case when x > 1 then 1.5 else 2.25 end", pa.float64(), 1.5),
        ("x::utinyint", pa.int64(), 3),
        ("x::float", pa.float64(), 3.0),
        ("x::hugeint", pa.int64(), 3),
        ("date '2024-01-02'", pa.timestamp("us"), dt.datetime(2024, 1, 2)),
        ("timestamptz '2024-01-02 00:00:00+02'", pa.timestamp("us"), dt.datetime(2024, 1, 1, 22)),
        ("x > 2", pa.bool_(), True),
        ("'a' || x", pa.string(), "a3"),
    ],
)
def test_a_computed_column_has_the_same_types_as_any(sql: str, kind: pa.DataType, value: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "x": [3]}), tmp_path / "t.parquet")

    column = loaded(tmp_path / "t.parquet", computed={"net": sql})["net"]

    assert column.type == kind
    assert column.to_pylist() == [value]


def test_a_computed_column_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "x": [3]}), tmp_path / "t.parquet")

    with pytest.raises(AuditError, match=r"column 'parts' holds list"):
        loaded(tmp_path / "t.parquet", computed={"parts": "[x, x]"})
