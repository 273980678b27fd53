"""Tables of drafts are read as a run reads them, and have names that a run takes."""

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pyarrow import csv

from ml.base.sql import DataError
from ml.declaration.tables import Table
from ml.draft.notes import plain
from ml.draft.table import draft_table
from ml.tables.sources import load_table


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Kündigung Liste 2024 (neu).csv", "kundigung_liste_2024_neu"),
        ("2024-01.csv", "t_2024_01"),
        ("顧客.csv", "rows"),
        ("orders.csv", "orders_2"),
    ],
)
def test_a_table_is_named_as_its_file_in_letters_that_an_asset_may_have(file: str, name: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("a,b\n1,2\n2,3\n")

    with draft_table(str(tmp_path / file), ["orders"]) as table:
        assert table.name == name


def test_a_name_that_two_columns_have_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,a,a,b\n1,2,3,4\n2,3,4,5\n")

    with pytest.raises(DataError, match=r"x.csv' has the columns \['a'\] more than once; rename"), \
            draft_table(str(tmp_path / "x.csv")):  # fmt: skip
        pass


@pytest.mark.parametrize("kind", [pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("s"), pa.date32(), pa.date64()])
def test_times_of_every_type_have_values(kind: pa.DataType, tmp_path: Path) -> None:
    days = pa.array([datetime(2024, 1, 1) + timedelta(day) for day in range(40)]).cast(kind)
    pq.write_table(pa.table({"id": range(40), "at": days}), tmp_path / "x.parquet")

    with draft_table(str(tmp_path / "x.parquet")) as table:
        assert [time.name for time in table.times] == ["at"]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.uint64(), pa.decimal128(20, 2)])
def test_numbers_of_every_type_have_values(kind: pa.DataType, tmp_path: Path) -> None:
    numbers = pa.array([float(number % 20) for number in range(40)], pa.float64()).cast(kind)
    pq.write_table(pa.table({"id": range(40), "x": numbers}), tmp_path / "x.parquet")

    with draft_table(str(tmp_path / "x.parquet")) as table:
        assert table.facts["x"].distinct == 20
        assert not table.refused


@pytest.mark.parametrize(
    ("numbers", "counts"),
    [
        ([*range(1, 41)], True),
        ([*range(37), 800, 801, 802], True),  # rows were left out
        ([*range(39), None], True),
        ([number * 10 for number in range(40)], False),
        ([number % 39 for number in range(40)], False),
        ([number * number for number in range(40)], False),
    ],
)
def test_numbers_that_rise_by_one_count_the_rows(numbers: list[int | None], counts: bool, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [f"c{row}" for row in range(40)], "n": numbers}), tmp_path / "x.parquet")

    with draft_table(str(tmp_path / "x.parquet")) as table:
        assert table.facts["n"].counts_rows is counts


@pytest.mark.parametrize("largest", [2**63 - 1, 2**63 + 5])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_whole_numbers_beyond_64_bits_keep_every_digit(largest: int, ending: str, tmp_path: Path) -> None:
    rows = pa.table({"id": range(40), "u": pa.array([largest - row % 7 for row in range(40)], pa.uint64())})
    file = tmp_path / f"rows.{ending}"
    pq.write_table(rows, file) if ending == "parquet" else csv.write_csv(rows, file)

    with draft_table(str(file)) as table:
        entries = plain(table.entries(None, None, {}))

    loaded = load_table("case", "rows", Table.model_validate(entries))
    assert list(map(int, loaded["u"].to_pylist())) == rows["u"].to_pylist()


def test_numbers_with_another_point_than_the_others_are_asked_about(tmp_path: Path) -> None:
    lines = [f"{row};{row},5;{row}.5;{row}" for row in range(40)]
    (tmp_path / "rows.csv").write_text("\n".join(["id;comma;point;whole", *lines]))

    with draft_table(str(tmp_path / "rows.csv")) as table:
        question = table.entries(None, None, {})["question about numbers"]

    assert "are the texts of point numbers?" in question.text
    assert yaml.safe_load("\n".join(question.lines)) == {"computed": {"point_number": 'try_cast("point" as double)'}}


@pytest.mark.parametrize(
    ("texts", "asked"),
    [
        (["12.5%", "3%"], True),
        (["€ 1,234.50", "€ 7"], True),
        (["$7", "-$8"], True),
        (["A1", "B2"], False),
        (["12,50 €", "12.50 €"], False),
        (["7 kg"], False),
    ],
)
def test_amounts_with_a_sign_are_asked_about(texts: list[str], asked: bool, tmp_path: Path) -> None:
    columns = {"id": range(40), "x": [texts[row % len(texts)] for row in range(40)]}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")

    with draft_table(str(tmp_path / "rows.parquet")) as table:
        question = table.entries(None, None, {}).get("question about amounts")

    assert (question is not None) is asked
    if question is not None:
        assert set(yaml.safe_load("\n".join(question.lines))["computed"]) == {"x_number"}
