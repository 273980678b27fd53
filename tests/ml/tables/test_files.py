"""Files as they come: how they are written is said in the declaration, and no value is guessed."""

import datetime as dt
import gzip
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.declaration.tables import Table
from ml.tables.audit import audit_table
from ml.tables.sources import DataError, load_table


def read(
    path: Path, content: bytes | str | None = None, key: Any = "id", table: Any = None, **options: Any
) -> pa.Table:
    """Return the table of a file that is written first."""
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    declared = {"source": {"path": str(path), **options}, "key": key, **(table or {})}
    return load_table("shop", "orders", Table.model_validate(declared))


def types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


def test_a_file_of_another_country(tmp_path: Path) -> None:
    content = 'id;größe;note\n1;"1.234,5";a\n2;-7,25;"b;c"\n3;;d\n'.encode("cp1252")

    table = read(tmp_path / "a.csv", content, separator=";", decimal=",", thousands=".", encoding="cp1252")

    assert table.to_pydict() == {"id": [1, 2, 3], "größe": [1234.5, -7.25, None], "note": ["a", "b;c", "d"]}


@pytest.mark.parametrize(
    ("cells", "options", "expected"),
    [
        (["1.234", "5"], {"decimal": ",", "thousands": "."}, [1234, 5]),
        (["1.234", "5"], {"decimal": ","}, ["1.234", "5"]),
        (["1.23,4", "5"], {"decimal": ",", "thousands": "."}, ["1.23,4", "5"]),
        (["12.34", "5"], {"decimal": ",", "thousands": "."}, ["12.34", "5"]),
        (["1 234", "1234567"], {"thousands": " "}, [1234, 1234567]),
        (["1\xa0234,5", "2"], {"thousands": "\xa0", "decimal": ","}, [1234.5, 2.0]),
        (["1'234.5", "2"], {"thousands": "'"}, [1234.5, 2.0]),
        (["007", "5"], {"decimal": ","}, ["007", "5"]),
        (["0.123", "5"], {"decimal": ",", "thousands": "."}, ["0.123", "5"]),
        (["1e3", "-2,5E-1", ",5"], {"decimal": ","}, [1000.0, -0.25, 0.5]),
        (["nan", "inf", "1,5"], {"decimal": ","}, [None, float("inf"), 1.5]),
        (["true", "FALSE"], {"decimal": ","}, [True, False]),
    ],
)
def test_numbers_are_read_as_they_are_spelled_or_not_at_all(
    cells: list[str], options: dict[str, str], expected: list[Any], tmp_path: Path
) -> None:
    content = "id;x\n" + "".join(f"{at};{cell}\n" for at, cell in enumerate(cells))

    assert read(tmp_path / "a.csv", content, separator=";", **options)["x"].to_pylist() == expected


def test_a_declared_number_that_is_spelled_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'x': 1 of 2 values are no numbers, first '1\.5'"):
        read(
            tmp_path / "a.csv",
            "id;x\n1;1.5\n2;2,5\n",
            separator=";",
            decimal=",",
            table={"logical_types": {"x": "number"}},
        )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "latin-1", "cp1252", "utf-32", "mac_roman"])
def test_an_encoding(encoding: str, tmp_path: Path) -> None:
    content = "id,name\n1,Zoë\n2,Ängström\n" + "".join(f"{at},é{at}\n" for at in range(3, 200_000))

    table = read(tmp_path / "a.csv", content.encode(encoding), encoding=encoding)

    assert table.num_rows == 199_999
    assert table["name"].to_pylist()[:3] == ["Zoë", "Ängström", "é3"]
    assert table["name"][-1].as_py() == "é199999"


def test_bytes_that_are_not_of_the_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv' cannot be read: 'charmap' codec can't decode byte 0x81.*'cp1252'"):
        read(tmp_path / "a.csv", b"id,x\n1,\x81\n", encoding="cp1252")
    with pytest.raises(DataError, match=r"no UTF-8; say in source\.encoding what it is, such as cp1252"):
        read(tmp_path / "a.csv", b"id,x\n1,\xe9\n")
    with pytest.raises(DataError, match=r"no UTF-8; say in source\.encoding"):
        read(tmp_path / "a.csv", b"id,\xe9\n1,2\n")
    with pytest.raises(DataError, match=r"truncated|unexpected end"):
        read(tmp_path / "a.csv", "id,x\n1,2\n".encode("utf-16")[:-1], encoding="utf-16")


def test_a_file_without_a_header_has_the_names_that_are_declared_or_places(tmp_path: Path) -> None:
    path, content = tmp_path / "a.data", "1,2.5,?\n2,?,x\n"

    named = read(path, content, format="csv", header=False, columns=["id", "size", "kind"], missing=["?"])
    placed = read(path, content, key="column1", format="csv", header=False)

    assert named.to_pydict() == {"id": [1, 2], "size": [2.5, None], "kind": [None, "x"]}
    assert placed.column_names == ["column1", "column2", "column3"]
    with pytest.raises(DataError, match=r"has 3 columns, and source\.columns names 2"):
        read(path, format="csv", header=False, columns=["id", "size"])


def test_lines_before_the_header_are_left_out(tmp_path: Path) -> None:
    content = "# made by \"us\n#\n\nid|x\n1|'a|b'\n"

    table = read(tmp_path / "a.csv", content, separator="|", quote="'", skip=3)

    assert table.to_pydict() == {"id": [1], "x": ["a|b"]}
    with pytest.raises(DataError, match=r"a\.csv' cannot be read: Could not skip initial 9 rows"):
        read(tmp_path / "a.csv", separator="|", skip=9)


def test_quotes_may_be_none(tmp_path: Path) -> None:
    content = 'id\tx\n1\t5" pipe\n2\t"open\n'

    assert read(tmp_path / "a.tsv", content, quote=False)["x"].to_pylist() == ['5" pipe', '"open']


def test_a_header_of_two_lines_is_left_out_and_named(tmp_path: Path) -> None:
    content = "size,size\ncm,kg\n1,2.5\n"

    table = read(tmp_path / "a.csv", content, key="cm", skip=2, header=False, columns=["cm", "kg"])

    assert types(table) == {"cm": "int64", "kg": "double"}


def test_only_some_columns_are_read(tmp_path: Path) -> None:
    csv, parquet = tmp_path / "a.csv", tmp_path / "a.parquet"
    csv.write_text("id,x,X,y\n1,2,3,4\n")
    pq.write_table(pa.table({"id": [1], "x": [2], "y": [[4]]}), parquet)

    assert read(csv, columns=["y", "id"]).to_pydict() == {"y": [4], "id": [1]}
    assert read(parquet, columns=["x", "id"]).to_pydict() == {"x": [2], "id": [1]}
    for path in (csv, parquet):
        with pytest.raises(DataError, match=r"has no columns \['z'\]\. It has .*'id'.*; correct source\.columns"):
            read(path, columns=["id", "z"])


def test_a_mark_is_missing_where_it_is_declared_and_a_value_elsewhere(tmp_path: Path) -> None:
    content = "id,total,code,grade,flag\n1, ,-999,?,true\n2,-999,A1,b,-999\n3,-999.0,?,?,false\n4,1.5,x, ,\n"

    everywhere = read(tmp_path / "a.csv", content, missing=["?", " ", -999])
    by_column = read(tmp_path / "a.csv", content, missing={"total": [" ", -999], "flag": ["-999"]})

    assert everywhere["total"].to_pylist() == [None, None, None, 1.5]
    assert everywhere["code"].to_pylist() == ["-999", "A1", None, "x"]  # a number is a mark among numbers alone
    assert everywhere["grade"].to_pylist() == [None, "b", None, None]
    assert everywhere["flag"].to_pylist() == ["true", "-999", "false", None]
    assert by_column["total"].to_pylist() == [None, None, None, 1.5]
    assert by_column["grade"].to_pylist() == ["?", "b", "?", " "]
    assert by_column["flag"].to_pylist() == [True, None, False, None]


def test_a_mark_does_not_decide_the_type_of_the_rest(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "id,x,y\n1,-9.5,-9.5\n2,7,-9.5\n", missing=[-9.5])

    assert types(table) == {"id": "int64", "x": "int64", "y": "double"}
    assert table.to_pydict() == {"id": [1, 2], "x": [None, 7], "y": [None, None]}


def test_a_mark_of_many_digits_is_no_other_number(tmp_path: Path) -> None:
    content = f"id,x\n1,{2**53 + 1}\n2,{2**53}\n3,{-(2**63)}\n"

    table = read(tmp_path / "a.csv", content, missing={"x": [2**53 + 1, -(2**63)]})

    assert table["x"].to_pylist() == [None, 2**53, None]


def test_marks_hold_in_columns_that_have_types(tmp_path: Path) -> None:
    rows = {"id": [1, 2], "x": [-999, 5], "f": [-999.0, 2.5], "t": ["?", "-999"], "u": pa.array([7, 8], pa.uint64())}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")

    table = read(tmp_path / "a.parquet", missing=["?", -999, 7])

    assert table.to_pydict() == {"id": [1, 2], "x": [None, 5], "f": [None, 2.5], "t": [None, "-999"], "u": [None, 8]}


def test_a_key_that_is_marked_as_missing_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"key \['id'\]: 1 rows have no key"):
        read(tmp_path / "a.csv", "id,x\n-1,2\n2,3\n", missing=[-1])


def test_a_column_that_options_name_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the columns \['born', 'z'\] are declared but the source has none such"):
        read(tmp_path / "a.csv", "id,x\n1,2\n", missing={"z": ["?"]}, dates={"born": "%Y"})


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)


def test_dates_are_read_as_they_are_written(tmp_path: Path) -> None:
    content = "id,day,text\n1,31/12/2023,31/12/2023\n2,1/1/24,x\n3,,\n"

    with pytest.raises(
        DataError, match=r"'day': must hold times, but 1 of 3 .* first '1/1/24'; write them as '%d/%m/%Y'"
    ):
        read(tmp_path / "a.csv", content, dates={"day": "%d/%m/%Y"})
    table = read(tmp_path / "a.csv", content.replace("1/1/24", "1/1/2024"), dates="%d/%m/%Y")

    assert table["day"].to_pylist() == [at(2023, 12, 31), at(2024, 1, 1), None]
    assert table["text"].to_pylist() == ["31/12/2023", "x", None]


@pytest.mark.parametrize("cell", ["31/02/2024", "1/1/0000", "2024-01-01", "1/1/24 10:00"])
def test_a_day_that_is_not_or_is_written_otherwise_is_refused(cell: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'day': must hold times, but 1 of 1 values do not parse"):
        read(tmp_path / "a.csv", f"id,day\n1,{cell}\n", dates="%d/%m/%Y", table={"time": "day"})


def test_dates_with_an_offset_become_utc(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "id,at\n1,1.2.2024 10:00 +0200\n", dates="%d.%m.%Y %H:%M %z")

    assert table["at"].to_pylist() == [at(2024, 2, 1, 8)]


def test_dates_that_no_column_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"source\.dates is '%d/%m/%Y', and no column is a time by it"):
        read(tmp_path / "a.csv", "id,day\n1,2024-01-01\n", dates="%d/%m/%Y")
    with pytest.raises(DataError, match=r"source\.unit is 's', and no column is a time by it"):
        read(tmp_path / "a.csv", "id,day\n1,5\n", unit="s")


@pytest.mark.parametrize(
    ("unit", "cell", "expected"),
    [
        ("s", "1356998400", at(2013, 1, 1)),
        ("s", "-1", at(1969, 12, 31, 23, 59, 59)),
        ("s", "1356998400.5", at(2013, 1, 1, 0, 0, 0, 500_000)),
        ("ms", "1356998400123", at(2013, 1, 1, 0, 0, 0, 123_000)),
        ("us", "1356998400123456", at(2013, 1, 1, 0, 0, 0, 123_456)),
        ("ns", "1356998400123456789", at(2013, 1, 1, 0, 0, 0, 123_456)),
        ("ns", "-1", at(1969, 12, 31, 23, 59, 59, 999_999)),
    ],
)
def test_numbers_of_times_count_a_unit_since_1970(unit: str, cell: str, expected: dt.datetime, tmp_path: Path) -> None:
    number: Any = float(cell) if "." in cell else int(cell)
    pq.write_table(pa.table({"id": [1], "at": [number]}), tmp_path / "a.parquet")

    assert read(tmp_path / "a.csv", f"id,at\n1,{cell}\n", unit={"at": unit})["at"].to_pylist() == [expected]
    assert read(tmp_path / "a.parquet", unit={"at": unit})["at"].to_pylist() == [expected]
    assert read(tmp_path / "a.parquet", unit=unit, table={"time": "at"})["at"].to_pylist() == [expected]


@pytest.mark.parametrize("cell", ["9223372036854775807", "soon", "1e30"])
def test_a_number_that_is_no_time_is_refused(cell: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'at': must hold times, but 1 of 2 .*source\.unit"):
        read(tmp_path / "a.csv", f"id,at\n1,{cell}\n2,0\n", unit={"at": "s"})


def test_a_mark_is_no_time(tmp_path: Path) -> None:
    table = read(
        tmp_path / "a.csv",
        "id,at,on\n1,-1,0000\n2,0,2024\n",
        unit={"at": "s"},
        dates={"on": "%Y"},
        missing=[-1, "0000"],
    )

    assert table["at"].to_pylist() == [None, at(1970, 1, 1)]
    assert table["on"].to_pylist() == [None, at(2024, 1, 1)]


def test_two_columns_of_times_may_be_written_in_two_ways(tmp_path: Path) -> None:
    content = "id,a,b,c\n1,2.1.2024,5,2024-01-03\n"

    table = read(
        tmp_path / "a.csv", content, dates={"a": "%d.%m.%Y"}, unit={"b": "s"}, table={"logical_types": {"c": "time"}}
    )

    assert [table[name][0].as_py() for name in "abc"] == [at(2024, 1, 2), at(1970, 1, 1, 0, 0, 5), at(2024, 1, 3)]


def test_json_lines(tmp_path: Path) -> None:
    content = '{"id": 1, "x": 2, "b": true, "t": "00501"}\n\n{"id": 2, "x": 2.5, "t": null, "on": "?"}\n'

    for path, written in (
        (tmp_path / "a.jsonl", content.encode()),
        (tmp_path / "a.ndjson.gz", gzip.compress(content.encode())),
    ):
        assert read(path, written, missing=["?"]).to_pydict() == {
            "id": [1, 2],
            "x": [2.0, 2.5],
            "b": [True, None],
            "t": ["00501", None],
            "on": [None, None],
        }
    assert read(tmp_path / "a.jsonl", content.encode("utf-16"), encoding="utf-16", columns=["id", "t"]).num_columns == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": 1}\n[1]\n', r"line 2: is a list; each line must be an object"),
        ('{"id": 1}\n{"id": 2\n', r"line 2: Input data was truncated"),
        ('{"id": 1, "x": NaN}\n', r"line 1: JSON is malformed"),
        ('{"id": 1, "x": 1}\n{"id": 2, "x": "a"}\n', r"column 'x': holds a number and a text; give each column"),
        ('{"id": 1, "x": {"a": 1}}\n', r"column 'x': holds an object; give each .* list under ignore"),
        ('{"id": 1, "x": 12345678901234567890123}\n', r"column 'x': holds whole numbers of more than 64 bits"),
        ('{"id": 1, "": 1}\n', r"column '': has no name"),
        ("", r"a\.jsonl' holds no object"),
    ],
)
def test_json_lines_that_cannot_be_a_table_are_named(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.jsonl", content)


def test_what_is_ignored_need_not_be_a_column(tmp_path: Path) -> None:
    content = '{"id": 1, "x": {"a": 1}, "y": 1}\n{"id": 2, "x": 5, "y": "a"}\n'

    assert read(tmp_path / "a.jsonl", content, table={"ignore": ["x", "y"]}).to_pydict() == {"id": [1, 2]}


def test_an_option_of_a_column_that_does_nothing_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "at": pa.array([5], pa.timestamp("us"))}), tmp_path / "a.parquet")

    with pytest.raises(DataError, match=r"source\.unit names \['at'\], whose values are times by themselves"):
        read(tmp_path / "a.parquet", unit={"at": "s"})


def test_a_format_may_be_said(tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", "id;x\n1;2\n", format="csv", separator=";").to_pydict() == {"id": [1], "x": [2]}
    with pytest.raises(DataError, match=r"a\.txt' does not tell by its ending what it is; allowed endings: \.csv"):
        read(tmp_path / "a.txt")


def test_rows_without_a_key_are_named_by_their_places(tmp_path: Path) -> None:
    content = "x,y\n5,a\n5,a\n7,b\n"

    table = read(tmp_path / "a.csv", content, key="row_number")
    longer = read(tmp_path / "a.csv", content + "1,c\n", key="row_number")

    assert table.to_pydict() == {"row_number": [1, 2, 3], "x": [5, 5, 7], "y": ["a", "a", "b"]}
    assert longer.slice(0, 3).equals(table)


def test_places_are_those_of_the_file_however_many_threads_read_it(tmp_path: Path) -> None:
    count = 400_000
    pq.write_table(pa.table({"x": list(range(count))}), tmp_path / "a.parquet", row_group_size=10_000)
    (tmp_path / "a.csv").write_text("x\n" + "\n".join(map(str, range(count))) + "\n")

    for name in ("a.parquet", "a.csv"):
        table = read(tmp_path / name, key="row_number")
        assert table["row_number"].to_pylist() == list(range(1, count + 1))
        assert table["x"].to_pylist() == list(range(count))


def test_a_column_that_is_called_row_number_is_one(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "row_number,x\n9,1\n4,2\n", key="row_number")

    assert table["row_number"].to_pylist() == [9, 4]
    with pytest.raises(DataError, match=r"'row_number' is computed, and the source has a column 'Row_Number' too"):
        read(tmp_path / "a.csv", "Row_Number,x\n9,1\n4,2\n", key="row_number")


def test_the_audit_says_that_the_key_is_a_place(tmp_path: Path) -> None:
    declared = Table.model_validate({"source": {"path": str(tmp_path / "a.csv")}, "key": "row_number"})

    findings = {
        finding.check: finding
        for finding in audit_table(read(tmp_path / "a.csv", "x\n1\n1\n", key="row_number"), declared)
    }

    assert "the place of the row" in findings["uniqueness"].looked_at
    assert "while rows are appended" in findings["uniqueness"].looked_at


def test_the_rows_of_a_query_have_places_only_in_an_order(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.executescript("create table t (x int); insert into t values (3), (1), (2);")

    def of(query: str) -> pa.Table:
        return load_table(
            "shop", "t", Table.model_validate({"source": {"query": query, "url": url}, "key": "row_number"})
        )

    assert of("select x from t order by x").to_pydict() == {"row_number": [1, 2, 3], "x": [1, 2, 3]}
    with pytest.raises(DataError, match=r"key: row_number .* no order: add an `order by`"):
        of("select x from t")


def test_a_sample_is_the_same_rows_each_time_and_some_of_them_in_a_larger_one(tmp_path: Path) -> None:
    rows = "".join(f"{at},{at % 7},{at / 2}\n" for at in range(20_000))
    path = tmp_path / "a.csv"
    path.write_text("id,x,half\n" + rows)
    pq.write_table(pa.table({"id": [float(at) for at in range(20_000)]}), tmp_path / "a.parquet")

    def ids(share: str, file: Path = path, key: Any = "id") -> list[int]:
        return read(file, key=key, table={"sample": share})["id"].to_pylist()

    tenth = ids("10%")
    assert 1_800 < len(tenth) < 2_200
    assert tenth == ids("10%")
    assert set(tenth) < set(ids("25%"))
    assert [int(at) for at in ids("10%", tmp_path / "a.parquet")] == tenth  # 17.0 is 17
    path.write_text("id,x,half\n" + rows + "20000,1,1\n")
    assert [at for at in ids("10%") if at < 20_000] == tenth
    assert ids("10%", key=["id", "x"]) != tenth
    assert 40 < len(ids("0.5%")) < 200


def test_a_sample_of_places_has_the_places_in_the_whole_file(tmp_path: Path) -> None:
    content = "x\n" + "".join(f"{at}\n" for at in range(1, 1_001))

    table = read(tmp_path / "a.csv", content, key="row_number", table={"sample": "10%"})

    assert table["row_number"].equals(table["x"])
    assert 60 < table.num_rows < 140


def test_rows_of_a_sample_without_a_key_are_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 rows have no key"):
        read(tmp_path / "a.csv", "id,x\n1,2\n,3\n", table={"sample": "1%"})


@pytest.mark.parametrize("sample", ["10", "0%", "100%", "-1%", "ten", "1e1%"])
def test_a_share_that_is_none_is_refused(sample: str) -> None:
    with pytest.raises(ValueError, match="is no share of the rows: write more than 0% and less than 100%"):
        Table.model_validate({"source": {"path": "a.csv"}, "key": "id", "sample": sample})


def test_a_sample_that_is_not_asked_for_is_not_recorded() -> None:
    plain = Table.model_validate({"source": {"path": "a.csv"}, "key": "id"})

    assert "sample" not in plain.model_dump(mode="json")
    assert plain.model_copy(update={"sample": "5%"}).model_dump(mode="json")["sample"] == "5%"


def test_a_time_may_be_computed(tmp_path: Path) -> None:
    content = "id,day,hr\n1,1/2/24,5\n2,1/3/24,0\n"
    declared = {"time": "at", "computed": {"at": "day + to_hours(hr)"}, "known_at": {"30m": ["hr"]}}

    table = read(tmp_path / "a.csv", content, dates={"day": "%m/%d/%y"}, table=declared)

    assert table["at"].to_pylist() == [at(2024, 1, 2, 5), at(2024, 1, 3)]
    assert table["at+30m"].to_pylist() == [at(2024, 1, 2, 5, 30), at(2024, 1, 3, 0, 30)]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("hr + 1", r"'at', which is computed \(hr \+ 1\), holds int64 and no times"),
        ("'2024-01-01'", r"'at', which is computed .*, holds string and no times: .* strptime"),
        ("case when hr > 0 then day end", r"column 'at': 1 rows have no time"),
    ],
)
def test_a_computed_time_that_is_none_is_refused(expression: str, message: str, tmp_path: Path) -> None:
    content = "id,day,hr\n1,2024-01-02,5\n2,2024-01-03,0\n"
    declared = {"time": "at", "computed": {"at": expression}, "logical_types": {"day": "time"}}

    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.csv", content, table=declared)


def test_options_and_logical_types_that_contradict_each_other_are_refused() -> None:
    source = {"path": "a.csv", "dates": {"day": "%Y"}}

    with pytest.raises(ValueError, match=r"\['day'\] are times by source\.dates or source\.unit, and something else"):
        Table.model_validate({"source": source, "key": "id", "logical_types": {"day": "category"}})
    with pytest.raises(ValueError, match=r"\['seen'\] are computed, but known_at must name columns of the source"):
        Table.model_validate({"source": source, "key": "id", "known_at": "seen", "computed": {"seen": "day"}})
