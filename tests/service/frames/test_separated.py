from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow.csv import write_csv

from service.frames import separated
from service.frames.columns import ColumnsError
from service.frames.separated import CsvRows
from service.plan.document import Plan

RECORD: dict[str, Any] = {"at": "time", "name": "text", "number": "number", "flag": "flag"}
PLAN = Plan("parcels", RECORD, [], [])


def rows_of(text: str) -> CsvRows:
    return CsvRows(memoryview(text.encode()), PLAN, lambda rows: None)


def values(name: str, *fields: str) -> list[Any]:
    rows = rows_of("\n".join([f"{name},at", *(f"{field}," for field in fields)]))
    return [row[name] for row in rows.records(range(len(rows)))]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("number", "1", 1),
        ("number", "-007", -7),
        ("number", " 1.50 ", 1.5),
        ("number", "1e3", 1000.0),
        ("number", ".5", 0.5),
        ("number", "12345678901234567890", 12345678901234567890),
        ("number", "", None),
        ("number", '""', None),
        ("number", "NaN", None),
        ("number", "NA", None),
        ("number", "far", "far"),
        ("number", "0x10", "0x10"),
        ("number", "inf", float("inf")),
        ("number", "\u0661", "\u0661"),
        ("number", "\u0131nf", "\u0131nf"),
        ("flag", "true", True),
        ("flag", "False", False),
        ("flag", "1", True),
        ("flag", "0", False),
        ("flag", "yes", "yes"),
        ("flag", "", None),
        ("name", "NA", "NA"),
        ("name", "007", "007"),
        ("name", "", None),
        ("name", '""', ""),
        ("name", '"a ""b"", c\nd"', 'a "b", c\nd'),
        ("name", " ä ", " ä "),
        ("name", "null", "null"),
    ],
)
def test_a_field_is_read_by_the_type_of_its_column(name: str, field: str, value: Any) -> None:
    assert values(name, field) == [value]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(pa.ArrowInvalid, match="Expected 2 columns, got 3: 1,5"):
        values("number", "1,5")


@given(st.lists(st.none() | st.floats(allow_nan=False) | st.integers(-(2**70), 2**70), min_size=1))
def test_columns_and_records_agree(numbers: list[Any]) -> None:
    rows = rows_of("\n".join(["number,name", *(f"{'' if number is None else number}," for number in numbers)]))

    listed = [row["number"] for row in rows.records(range(len(rows)))]
    column = rows.columns(0, len(rows))["number"]

    assert listed == numbers
    sound = np.array([number is None or abs(number) != float("inf") for number in numbers])
    expected = np.array([np.nan if number is None else number for number in numbers], np.float64)
    np.testing.assert_array_equal(column.values[sound], expected[sound])
    doubtful = np.zeros(len(numbers), bool) if column.doubtful is None else column.doubtful
    np.testing.assert_array_equal(doubtful, ~sound)


def test_a_quote_that_is_never_closed_is_refused() -> None:
    with pytest.raises(ValueError, match="a quote is never closed"):
        rows_of('name,number\n"an inch,1\nb,2\n')


@pytest.mark.parametrize(
    ("text", "line"),
    [('name,number\na 5" pipe,1\na 4" pipe,2\n', 2), ('name,number\nb,0\n"a,1\nb,2"c,3\n', 4)],
)
def test_quotes_that_are_none_of_csv_are_refused_before_they_join_rows(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"line {line} has a quote within a text"):
        rows_of(text)


def test_a_stray_quote_is_found_wherever_the_search_for_it_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separated, "LOOKED_AT_BYTES", 3)
    assert len(rows_of('name,number\n"a ""b""",1\n"""",2\n"",3\n')) == 3
    for lead in ("", "a", "ab"):
        with pytest.raises(ValueError, match="a quote within a text"):
            rows_of(f'name,number\n{lead}a 5" pipe,1\na 4" pipe,2\n')


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_empty_line_of_one_column_is_a_row(end: str) -> None:
    column, table = [1, None, 3, None], pa.table({"number": pa.array([1, None, 3, None])})
    written = BytesIO()
    write_csv(table, written)

    for text in (written.getvalue().decode(), end.join(["number", "1", "", "3", "", ""])):
        rows = rows_of(text)
        assert [row["number"] for row in rows.records(range(len(rows)))] == column
    assert len(rows_of(end.join(["number,name", "1,a", "", "2,b", ""]))) == 2


def test_a_row_may_be_longer_than_what_pyarrow_reads_at_a_time_by_itself() -> None:
    text = "x" * 3_000_000

    assert rows_of(f"name,number\na,1\n{text},2\n").records([1]) == [{"name": text, "number": 2}]


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    assert rows_of("\ufeffname,number\na,1\n").records(range(1)) == [{"name": "a", "number": 1}]


def test_names_are_those_of_a_record() -> None:
    with pytest.raises(ColumnsError, match=r"unknown columns \['wings'\]"):
        rows_of("name,wings\na,1\n")
    with pytest.raises(ColumnsError, match="none of a record's columns"):
        rows_of("1.5,2.5\n1,2\n")


def test_rows_are_told_of_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = list[int]()
    monkeypatch.setattr(separated, "BLOCK_BYTES", 2**20)

    CsvRows(memoryview(b"number\n" + b"123456\n" * 300_000), PLAN, counted.append)

    assert len(counted) > 1
    assert sum(counted) == 300_000
