"""Several files as one table, folders whose names are columns, Excel sheets, and object stores."""

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.declaration.sources.files import FilesSource
from ml.declaration.tables import Table
from ml.tables.sources import DataError, load_table


def read(source: dict[str, Any], key: Any = "id", **table: Any) -> pa.Table:
    return load_table("shop", "orders", Table.model_validate({"source": source, "key": key, **table}))


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def parquet(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_files_that_match_a_pattern_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    write(tmp_path / "2024-02.csv", "id;x\n3;c\n")
    write(tmp_path / "2024-01.csv", "x;id\na;1\nb;2\n")
    write(tmp_path / "2023-12.csv", "broken")
    (tmp_path / "2024-03.csv").mkdir()

    table = read({"glob": f"{tmp_path}/2024-*.csv", "separator": ";"}, key="row_number")

    assert table.to_pydict() == {"row_number": [1, 2, 3], "x": ["a", "b", "c"], "id": [1, 2, 3]}


def test_the_type_of_a_column_is_that_of_its_values_in_all_files(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "id,x,y\n1,1,1\n")
    write(tmp_path / "2.csv", "id,x,y\n2,2.5,00501\n")
    parquet(tmp_path / "1.parquet", id=[1], x=[1])
    parquet(tmp_path / "2.parquet", id=[2], x=[2.5])

    assert read({"glob": f"{tmp_path}/*.csv"}).to_pydict() == {"id": [1, 2], "x": [1.0, 2.5], "y": ["1", "00501"]}
    assert read({"glob": f"{tmp_path}/*.parquet"}).to_pydict() == {"id": [1, 2], "x": [1.0, 2.5]}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"id": [2]}, r"2\.parquet' has not the columns of .*1\.parquet': it lacks \['x'\] and has \[\] beside"),
        ({"id": [2], "x": [1], "z": [1]}, r"lacks \[\] and has \['z'\] beside; .* source\.columns"),
        (
            {"id": [2], "x": ["a"]},
            r"column 'x' is string in .*2\.parquet' and int64 in .*1\.parquet'; give it one type",
        ),
        ({"id": [2], "x": [[1]]}, r"column 'x' is list<.*> in .*2\.parquet' and int64"),
    ],
)
def test_files_of_several_schemas_are_refused(second: dict[str, Any], message: str, tmp_path: Path) -> None:
    parquet(tmp_path / "1.parquet", id=[1], x=[1])
    parquet(tmp_path / "2.parquet", **second)

    with pytest.raises(DataError, match=message):
        read({"glob": f"{tmp_path}/*.parquet"})
    with pytest.raises(DataError, match=message):
        read({"path": str(tmp_path)})
    assert read({"glob": f"{tmp_path}/*.parquet", "columns": ["id"]}).to_pydict() == {"id": [1, 2]}


def test_csv_files_of_several_headers_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "id,x\n1,1\n")
    write(tmp_path / "2.csv", "id,X\n2,1\n")

    with pytest.raises(DataError, match=r"2\.csv' has not the columns .* lacks \['x'\] and has \['X'\] beside"):
        read({"glob": f"{tmp_path}/*.csv"})


def test_a_mistake_in_one_of_several_files_names_it(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "id,x\n1,1\n")
    write(tmp_path / "2.csv", "id,x\n2,1,9\n")

    with pytest.raises(DataError, match=r"^use case 'shop', table 'orders': the file '.*2\.csv' .*Expected 2"):
        read({"glob": f"{tmp_path}/*.csv"})
    write(tmp_path / "2.csv", "")
    with pytest.raises(DataError, match=r"2\.csv' cannot be read: Empty CSV file"):
        read({"glob": f"{tmp_path}/*.csv"})
    write(tmp_path / "2.csv", "id,x\n")
    assert read({"glob": f"{tmp_path}/*.csv"}).num_rows == 1


def test_a_pattern_without_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file matches '.*/\*\.csv'; correct source\.glob"):
        read({"glob": f"{tmp_path}/*.csv"})
    with pytest.raises(
        DataError, match=r"a\*\.csv' does not exist: correct source\.path; for several files write glob"
    ):
        read({"path": f"{tmp_path}/a*.csv"})


def test_a_path_is_no_pattern_and_a_pattern_may_have_brackets(tmp_path: Path) -> None:
    write(tmp_path / "a[1].csv", "id\n1\n")
    write(tmp_path / "a1.csv", "id\n2\n")

    assert read({"path": f"{tmp_path}/a[1].csv"})["id"].to_pylist() == [1]
    assert read({"glob": f"{tmp_path}/a[1].csv"})["id"].to_pylist() == [2]
    assert read({"glob": f"{tmp_path}/a[[]1].csv"})["id"].to_pylist() == [1]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("how", ["path", "glob"])
def test_the_names_of_folders_are_columns_whose_values_tell_their_types(how: str, ending: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    folders = [("2023", "01", "a b"), ("2024", "12", "%C3%A9"), ("2024", "02", "__HIVE_DEFAULT_PARTITION__")]
    for at, (year, month, place) in enumerate(folders):
        folder = data / f"year={year}" / f"month={month}" / f"place={place}"
        if ending == "csv":
            write(folder / "part.csv", f"id\n{at}\n")
        else:
            parquet(folder / "part.parquet", id=[at])
    write(data / "_SUCCESS", "")
    write(data / ".hidden.csv", "x")

    table = read({"path": str(data)} if how == "path" else {"glob": f"{data}/**/*.{ending}"})

    assert table.to_pydict() == {
        "id": [0, 2, 1],
        "year": [2023, 2024, 2024],
        "month": ["01", "02", "12"],
        "place": ["a b", None, "é"],
    }
    picked = read({"path": str(data), "columns": ["id", "month"]}, logical_types={"month": "number"})
    assert picked.to_pydict() == {"id": [0, 2, 1], "month": [1.0, 2.0, 12.0]}


def test_folders_that_are_not_laid_out_alike_are_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "year=2023" / "a.parquet", id=[1])
    parquet(tmp_path / "b.parquet", id=[2])

    with pytest.raises(DataError, match=r"lies in folders that name .*; lay all files out alike"):
        read({"path": str(tmp_path)})


def test_a_name_of_a_folder_that_is_a_column_too_is_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "x=1" / "a.parquet", id=[1], x=[2])

    with pytest.raises(DataError, match=r"\['x'\] are columns of the files and names of their folders"):
        read({"path": str(tmp_path)})


def test_a_name_of_two_folders_is_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "x=1" / "x=2" / "a.parquet", id=[1])

    with pytest.raises(DataError, match=r"a\.parquet' lies in two folders of one name"):
        read({"path": str(tmp_path)})


def test_a_folder_of_several_formats_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    parquet(tmp_path / "mixed" / "a.parquet", id=[1])
    write(tmp_path / "mixed" / "b.csv", "id\n1\n")

    with pytest.raises(DataError, match=r"empty' holds no file; correct source\.path"):
        read({"path": str(tmp_path / "empty")})
    with pytest.raises(DataError, match=r"the files are of several formats"):
        read({"path": str(tmp_path / "mixed")})
    with pytest.raises(DataError, match=r"separator: not for parquet"):
        read({"path": str(parquet(tmp_path / "whole" / "a.parquet", id=[1]).parent), "separator": ";"})


def workbook(path: Path, **sheets: list[list[Any]]) -> str:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return str(path)


NAMES = ["id", "day", "x", "paid", "note"]


def test_a_sheet_of_an_excel_file(tmp_path: Path) -> None:
    day = dt.datetime(2024, 1, 2)
    path = workbook(
        tmp_path / "a.xlsx",
        First=[["nothing"]],
        Orders=[
            ["made by us"],
            ["id", "day", "x", "paid", "note"],
            [1, day, 1, True, "a"],
            [None] * 5,
            [2, None, 2.5, False, "?"],
        ],
    )

    named = read({"path": path, "sheet": "Orders", "skip": 1, "missing": ["?"]})

    assert named.to_pydict() == {
        "id": [1, 2],
        "day": [day, None],
        "x": [1.0, 2.5],
        "paid": [True, False],
        "note": ["a", None],
    }
    assert named.equals(read({"path": path, "sheet": 2, "skip": 1, "missing": ["?"]}))
    bare = read({"path": path, "sheet": 2, "skip": 2, "header": False, "columns": NAMES})
    assert bare.num_rows == 2
    for sheet in ("orders", 3, 0):
        with pytest.raises(DataError, match=rf"has no sheet {sheet!r}\. It has \['First', 'Orders'\]"):
            read({"path": path, "sheet": sheet})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "sheet of .* is empty"),
        ([["id", "x"], [1, "a"], [2, 3]], r"column 'x': .*; give each column values of one type"),
        ([["id", "id"], [1, 2]], "the source has 2 columns 'id'"),
        ([["id", "x"], [1, dt.time(3)]], r"column 'x' holds time64\[us\], which cannot be a column"),
    ],
)
def test_a_sheet_that_cannot_be_a_table_is_named(rows: list[list[Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read({"path": workbook(tmp_path / "a.xlsx", Orders=rows)})


def test_formulas_that_were_never_calculated_are_not_missing_values(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", Orders=[["id", "x"], [1, "=1+1"], [2, None]])

    with pytest.raises(DataError, match=r"the formulas of .*a\.xlsx' have no values, .* save it, or write values"):
        read({"path": path})


def test_several_workbooks_are_one_table(tmp_path: Path) -> None:
    workbook(tmp_path / "2.xlsx", Orders=[["x", "id"], [2.5, 2]])
    workbook(tmp_path / "1.xlsx", Orders=[["id", "x"], [1, 1]])

    assert read({"glob": f"{tmp_path}/*.xlsx", "sheet": "Orders"}).to_pydict() == {"id": [1, 2], "x": [1.0, 2.5]}


def test_a_file_that_is_no_excel_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.xlsx' is no Excel file"):
        read({"path": str(write(tmp_path / "a.xlsx", "id\n1\n"))})


def test_a_library_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)

    with pytest.raises(DataError, match=r"a\.xlsx' needs the package openpyxl, .* pip install 'sextant\[excel\]'"):
        read({"path": str(write(tmp_path / "a.xlsx", ""))})


def test_files_of_an_object_store(s3: str) -> None:
    import s3fs

    fs = s3fs.S3FileSystem()
    for year, rows in ((2023, "id;x\n1;1,5\n"), (2024, "id;x\n2;?\n")):
        fs.pipe(f"{s3}/data/year={year}/a.csv", rows.encode())
        with fs.open(f"{s3}/parquet/{year}.parquet", "wb") as file:
            pq.write_table(pa.table({"id": [year]}), file)

    written = {"separator": ";", "decimal": ",", "missing": ["?"]}
    for source in ({"path": f"{s3}/data"}, {"glob": f"{s3}/data/*/*.csv"}):
        assert read({**source, **written}).to_pydict() == {"id": [1, 2], "x": [1.5, None], "year": [2023, 2024]}
    assert read({"glob": f"{s3}/parquet/202?.parquet"})["id"].to_pylist() == [2023, 2024]
    with pytest.raises(DataError, match=r"no file matches 's3://.*'"):
        read({"glob": f"{s3}/none/*.csv"})


def test_a_file_that_vanishes_while_files_are_read_is_named(tmp_path: Path) -> None:
    for name in ("1.csv", "2.csv"):
        write(tmp_path / name, "id\n1\n")

    def vanish() -> None:
        with FilesSource(glob=f"{tmp_path}/*.csv").rows() as rows:
            (tmp_path / "2.csv").unlink()
            rows.scan(["id"]).read_all()

    with pytest.raises(DataError, match=r"a file of '.*/\*\.csv' is gone: .*2\.csv.*; read again"):
        vanish()
