"""Source tables: the three kinds of source, and bad input."""

import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine

from ml.declaration.sources.file import FileSource
from ml.declaration.sources.python import PythonSource
from ml.declaration.sources.query import QuerySource
from ml.declaration.sources.rows import Rows, table_rows, values_rows
from ml.declaration.tables import Table
from ml.tables.findings import AuditError
from ml.tables.sources import DataError, load_table


@pytest.fixture
def orders() -> pd.DataFrame:
    return pd.DataFrame({"id": [1, 2, 3], "at": ["2024-01-01", "2024-01-02T10:00", None], "amount": [1.5, None, 3.0]})


def test_csv_parquet_and_sql_give_the_same_table(orders: pd.DataFrame, tmp_path) -> None:
    orders.to_csv(tmp_path / "orders.csv", index=False)
    orders.to_parquet(tmp_path / "orders.parquet")
    url = f"sqlite:///{tmp_path}/orders.db"
    orders.to_sql("orders", create_engine(url), index=False)

    tables = [
        load_table("shop", "orders", Table(source=source, key="id"))
        for source in (
            FileSource(path=str(tmp_path / "orders.csv")),
            FileSource(path=f"file://{tmp_path}/orders.parquet"),
            QuerySource(query="select * from orders", url=url),
        )
    ]

    assert tables[0].to_pylist() == tables[1].to_pylist() == tables[2].to_pylist()
    assert tables[0]["amount"].null_count == 1


def test_a_computed_column_is_a_sql_expression(orders: pd.DataFrame, tmp_path) -> None:
    orders.to_csv(tmp_path / "orders.csv", index=False)
    table = Table(source=FileSource(path=str(tmp_path / "orders.csv")), key="id", computed={"large": "amount > 2"})

    assert load_table("shop", "orders", table)["large"].to_pylist() == [False, None, True]


@pytest.mark.parametrize(
    ("change", "declared", "words"),
    [
        ({}, {"key": "order"}, ["shop", "orders", "'order'", "correct"]),
        ({"id": [1, 1, 2]}, {"key": "id"}, ["shop", "orders", "'id'", "2 rows share", "remove the duplicates"]),
        ({"id": [1, None, 2]}, {"key": "id"}, ["1 rows have no key"]),
        (
            {"at": ["2024-01-01", "soon", "later"]},
            {"key": "id", "time": "at"},
            ["'at'", "2 of 3", "'soon'", "ISO 8601"],
        ),
        ({}, {"key": "id", "time": "at"}, ["'at'", "1 rows have no time"]),
        ({}, {"key": "id", "time": "amount"}, ["'amount'", "must hold times"]),
        ({}, {"key": "id", "computed": {"x": "price * 2"}}, ["shop", "orders", "price", "correct the expression"]),
    ],
)
def test_bad_data_is_refused_with_its_place_and_remedy(change, declared, words, orders, tmp_path) -> None:
    orders.assign(**change).to_csv(tmp_path / "orders.csv", index=False)
    table = Table(source=FileSource(path=str(tmp_path / "orders.csv")), **declared)

    with pytest.raises(DataError) as refused:
        load_table("shop", "orders", table)

    assert all(word in str(refused.value) for word in words), refused.value


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DataError, match=r"'shop', table 'orders': the file '/nowhere/x\.csv' does not exist"):
        load_table("shop", "orders", Table(source=FileSource(path="/nowhere/x.csv"), key="id"))


@pytest.fixture
def website(tmp_path: Path) -> Iterator[str]:
    """The URL of a server of tmp_path."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_table_comes_from_http(orders: pd.DataFrame, website: str, tmp_path: Path) -> None:
    orders.to_csv(tmp_path / "orders.csv.gz", index=False)
    orders.to_parquet(tmp_path / "orders.parquet")

    tables = [
        load_table("shop", "orders", Table(source=FileSource(path=f"{website}/{name}"), key="id"))
        for name in ("orders.csv.gz", "orders.parquet")
    ]

    assert tables[0].to_pylist() == tables[1].to_pylist()
    assert tables[0]["id"].to_pylist() == [1, 2, 3]


def test_a_table_comes_from_s3(orders: pd.DataFrame, s3: str) -> None:
    orders.to_csv(f"{s3}/orders.csv", index=False)
    orders.to_parquet(f"{s3}/orders.parquet")

    tables = [
        load_table("shop", "orders", Table(source=FileSource(path=f"{s3}/{name}"), key="id"))
        for name in ("orders.csv", "orders.parquet")
    ]

    assert tables[0].to_pylist() == tables[1].to_pylist()
    with pytest.raises(DataError, match=r"'shop', table 'orders': the file 's3://.*/none\.csv' does not exist"):
        load_table("shop", "orders", Table(source=FileSource(path=f"{s3}/none.csv"), key="id"))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"query": "select * from absent", "url": "sqlite://"}, ["source.query", "no such table: absent"]),
        ({"query": "select 1", "url": "nosql://host/db"}, ["source.query", "Can't load plugin"]),
        ({"python": "tests.nowhere:rows"}, ["tests.nowhere:rows", "cannot be imported", "package.module:function"]),
        ({"python": "math:sqrt"}, ["source.python 'math:sqrt'", "TypeError"]),
        ({"python": "builtins:list"}, ["returned list", "must return a pandas DataFrame"]),
        ({"path": "orders.dat"}, ["does not tell by its ending", ".parquet", "source.format"]),
        ({"path": "empty.csv"}, ["empty.csv' cannot be read", "Empty CSV file"]),
        ({"path": "damaged.parquet"}, ["damaged.parquet' cannot be read"]),
    ],
)
def test_a_source_that_cannot_be_read_is_named_with_the_reason(
    source: dict[str, str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "orders.dat").touch()
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")

    with pytest.raises(DataError) as refused:
        load_table("shop", "orders", Table.model_validate({"source": source, "key": "id"}))

    message = str(refused.value)
    assert all(word in message for word in ["use case 'shop', table 'orders'", *words]), message


class MixedSource(FileSource):
    @contextmanager
    def rows(self) -> Iterator[Rows]:
        yield table_rows("x", pd.DataFrame({"id": [1, 2], "size": ["large", 3]}))


@pytest.mark.parametrize("key", ["shared", "n", "rows", "id"])
@pytest.mark.parametrize("value", ["0", "7", "a"])
def test_keys_that_are_not_unique_are_counted_whatever_they_are_called(key: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(f"{key},x\n{value},1\n{value},2\n{value},3\nz,4\n")

    with pytest.raises(DataError, match=rf"key \['{key}'\]: 3 rows share their key with another, first .*'{value}'"):
        load_table("shop", "orders", Table(source=FileSource(path=str(tmp_path / "rows.csv")), key=key))


def test_a_column_of_several_types_is_named_with_a_value_of_each() -> None:
    rows = values_rows(["id", "x"], [[1, 2, "Total", None], [1.5, float("nan"), 2.5, 3.5]])

    assert rows.schema.names == ["x"]
    assert rows.refused == {"id": "holds values of several types: 2 int such as 1, 1 str such as 'Total'"}


def test_a_column_of_mixed_types_is_named() -> None:
    with pytest.raises(DataError, match=r"table 'orders'.*column 'size'.*values of one type"):
        load_table("shop", "orders", Table(source=MixedSource(path="x.csv"), key="id"))


def test_times_with_a_zone_or_an_offset_are_utc_and_dates_are_times(tmp_path: Path) -> None:
    utc = pd.to_datetime(["2024-03-01T12:00", "2024-07-01T12:00"])
    frame = pd.DataFrame({"id": [1, 2], "at": utc.tz_localize("UTC").tz_convert("Asia/Tokyo"), "on": utc.date})
    frame.to_parquet(tmp_path / "rows.parquet")
    texts = ["2024-03-01T21:00+09:00", "2024-07-01T08:00-04:00"]
    pd.DataFrame({"id": [1, 2], "at": texts, "on": ["2024-03-01", "2024-07-01"]}).to_csv(tmp_path / "rows.csv")

    for name in ("rows.parquet", "rows.csv"):
        table = Table(source=FileSource(path=str(tmp_path / name)), key="id", time="at")
        loaded = load_table("shop", "orders", table, times=["on"])

        assert loaded["at"].type.tz is None
        assert loaded["at"].to_pylist() == list(utc.to_pydatetime())
        assert loaded["on"].to_pylist() == list(utc.normalize().to_pydatetime())


def test_a_secret_in_the_place_of_a_source_is_in_no_error() -> None:
    table = Table(source=FileSource(path="https://bob:hunter2@127.0.0.1:9/rows.csv"), key="id")

    with pytest.raises(DataError, match=r"https://\*\*\*@127") as refused:
        load_table("shop", "orders", table)

    assert "hunter2" not in str(refused.value)


def of_csv(folder: Path, content: bytes, **declared: Any) -> pa.Table:
    (folder / "rows.csv").write_bytes(content)
    source = {"path": str(folder / "rows.csv")}
    return load_table("shop", "orders", Table.model_validate({"source": source, "key": "id", **declared}))


@pytest.mark.parametrize("content", [b"id,x\n1,2,\n3,4,\n", b"id,x\n1,2\n3,4,5\n", b"id,x\n1,2\n3\n"])
def test_a_csv_row_with_more_or_fewer_cells_than_the_header_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'orders': the file .* cannot be read: .*Expected 2 columns, got \d"):
        of_csv(tmp_path, content)


def test_a_quote_that_never_ends_does_not_swallow_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'orders'.* a quote begins a text that never ends; it holds 'b'"):
        of_csv(tmp_path, b'id,x\n1,a\n2,"b\n3,c\n4,d\n')
    assert of_csv(tmp_path, b'id,x\n1,"a\n"\n2,"b\nc"\n')["x"].to_pylist() == ["a\n", "b\nc"]
    assert of_csv(tmp_path, b'id,x\n1,5" pipe\n2,6" pipe\n')["x"].to_pylist() == ['5" pipe', '6" pipe']


@pytest.mark.parametrize(
    "content",
    [
        b'id,x\n1,"5 in\n2,6" in\n3,c\n', b'id,x\n1,"a"b\n', b'id,x\n1,"say \\"hi\\""\n', b'id,x\r1,"a\r2,b"c\r',
        b'id,x\n1,"a" \n2,b\n',
    ],
)  # fmt: skip
def test_a_text_that_goes_on_behind_its_quotes_does_not_swallow_rows(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'orders'.* a text in quotes goes on behind them: "):
        of_csv(tmp_path, content)


def test_a_row_may_be_long(tmp_path: Path) -> None:
    text = "a,b\n" * 600_000

    assert of_csv(tmp_path, f'id,x\n1,"{text}"\n2,b\n'.encode())["x"].to_pylist() == [text, "b"]


def test_a_file_may_end_without_a_line_end(tmp_path: Path) -> None:
    assert of_csv(tmp_path, b"id,x").num_rows == 0
    assert of_csv(tmp_path, b'id,x\n1,"a"')["x"].to_pylist() == ["a"]


def packed(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_an_archive_holds_one_table(tmp_path: Path) -> None:
    def of_zip(files: dict[str, bytes]) -> pa.Table:
        (tmp_path / "rows.csv.zip").write_bytes(packed(files))
        table = {"source": {"path": str(tmp_path / "rows.csv.zip")}, "key": "id"}
        return load_table("shop", "orders", Table.model_validate(table))

    junk = {"__MACOSX/._a.csv": b"junk", "data/": b"", "data/.DS_Store": b"junk"}
    assert of_zip({**junk, "data/a.csv": b"id\n1\n"}).to_pylist() == [{"id": 1}]
    for files in ({"a.csv": b"id\n1\n", "b.csv": b"id\n2\n"}, junk):
        with pytest.raises(DataError, match=r"'orders': the archive .*rows\.csv\.zip' holds [02] files, .*glob"):
            of_zip(files)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,x\n1,é\n".encode("utf-16"), "is in UTF-16; say encoding: utf-16 in source"),
        (gzip.compress(b"id\n1\n", mtime=0), r"let its name end in \.gz"),
        (packed({"a": b"id\n1\n"}), r"let its name end in \.zip, or say format: excel"),
    ],
)
def test_a_file_that_is_no_text_is_named_as_what_it_is(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"'orders': the file .*{words}"):
        of_csv(tmp_path, content)
    assert of_csv(tmp_path, b"id,PK\n1,2\n").to_pylist() == [{"id": 1, "PK": 2}]
    assert of_csv(tmp_path, b"PK,id\n1,2\n").to_pylist() == [{"PK": 1, "id": 2}]


def test_csv_files_of_other_programs_are_read(tmp_path: Path) -> None:
    assert of_csv(tmp_path, "\ufeffid,name\r\n1,Zoë\r\n".encode()).to_pylist() == [{"id": 1, "name": "Zoë"}]
    assert of_csv(tmp_path, b",id\n0,7\n").to_pylist() == [{"Unnamed: 0": 0, "id": 7}]
    with pytest.raises(DataError, match=r"no UTF-8; say in source\.encoding"):
        of_csv(tmp_path, "id,name\n1,Zoë\n".encode("latin-1"))


@pytest.mark.parametrize("header", ["id,size,Size", "id,size,size", "Ä,id,ä"])
def test_names_that_sql_takes_for_one_are_refused_unless_no_one_needs_them(header: str, tmp_path: Path) -> None:
    content = f"{header}\n1,2,3\n".encode()
    same = [name for name in header.split(",") if name != "id"]

    words = r"'shop', table 'orders': the (columns .* differ by case only|source has 2 columns)"
    with pytest.raises(DataError, match=words):
        of_csv(tmp_path, content)
    assert "id" in of_csv(tmp_path, content, ignore=[same[0]]).column_names


@pytest.mark.parametrize("names", [["id", "size", "Size", "size_1"], ["id", "Size_1", "size", "Size"]])
@pytest.mark.parametrize("ignored", ["size", "Size"])
def test_a_name_that_sql_would_give_another_column_is_no_ones(names: list[str], ignored: str, tmp_path: Path) -> None:
    pq.write_table(pa.table([pa.array([name]) for name in names], names), tmp_path / "rows.parquet")
    table = {"source": {"path": str(tmp_path / "rows.parquet")}, "key": "id", "ignore": [ignored]}

    (row,) = load_table("shop", "orders", Table.model_validate(table)).to_pylist()

    assert row == {name: name for name in names if name != ignored}


def test_a_column_without_a_name_is_refused_unless_it_is_ignored(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "": [2]}), tmp_path / "rows.parquet")
    table = {"source": {"path": str(tmp_path / "rows.parquet")}, "key": "id"}

    with pytest.raises(AuditError, match=r"'shop', table 'orders': column 2 of 2 has no name"):
        load_table("shop", "orders", Table.model_validate(table))
    assert load_table("shop", "o", Table.model_validate({**table, "ignore": [""]})).to_pylist() == [{"id": 1}]


def test_a_computed_column_that_fails_at_some_row_is_named_with_its_remedy(tmp_path: Path) -> None:
    computed = {"size": "cast(x as int)", "more": "size + 1"}

    words = r"'shop', table 'orders', column 'size': 'cast\(x as int\)' fails: .*'b' to INT32; .*try_cast"
    with pytest.raises(DataError, match=words):
        of_csv(tmp_path, b"id,x\n1,5\n2,b\n", computed=computed)
    computed["size"] = "try_cast(x as int)"
    assert of_csv(tmp_path, b"id,x\n1,5\n2,b\n", computed=computed)["more"].to_pylist() == [6, None]


def test_a_computed_column_cannot_take_the_name_of_another(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'Size' is computed, and the source has a column 'size' too"):
        of_csv(tmp_path, b"id,size\n1,2\n", computed={"Size": "id + 1"})


@pytest.mark.parametrize(
    "name", ['say "hi"', "it's", "a.b", "a b", "select", "%s", ":x", "\\", "{{x}}", "тест", "_row"]
)
def test_a_column_may_have_any_name(name: str, tmp_path: Path) -> None:
    pd.DataFrame({"id": [1], name: [2]}).to_parquet(tmp_path / "rows.parquet")
    pd.DataFrame({"id": [1], name: [2]}).to_csv(tmp_path / "rows.csv", index=False)

    for file in ("rows.parquet", "rows.csv"):
        table = Table.model_validate({"source": {"path": str(tmp_path / file)}, "key": [name, "id"]})
        assert load_table("shop", "orders", table).to_pylist() == [{"id": 1, name: 2}]


@pytest.mark.parametrize("folder", ["with ' quote", "with [brackets]", "a=1", "with ? and *"])
def test_a_path_is_a_path_and_no_pattern(folder: str, tmp_path: Path) -> None:
    place = tmp_path / folder
    place.mkdir()
    (tmp_path / "with b").mkdir()
    pd.DataFrame({"id": [1]}).to_parquet(place / "rows.parquet")
    pd.DataFrame({"id": [2]}).to_parquet(tmp_path / "with b" / "rows.parquet")
    table = Table(source=FileSource(path=str(place / "rows.parquet")), key="id")

    assert load_table("shop", "orders", table).to_pylist() == [{"id": 1}]


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "rows.parquet"
    for number, part in enumerate([[1, 2], [3]]):
        (folder / f"day={number}").mkdir(parents=True)
        pd.DataFrame({"id": part}).to_parquet(folder / f"day={number}" / "part.parquet")
    table = Table(source=FileSource(path=str(folder)), key="id")

    assert load_table("shop", "orders", table).to_pylist() == [
        {"id": 1, "day": 0}, {"id": 2, "day": 0}, {"id": 3, "day": 1}
    ]  # fmt: skip


def folder(place: Path, files: dict[str, pa.Table], **declared: Any) -> list[dict[str, Any]]:
    """The rows of a folder of Parquet files, by id."""
    for name, table in files.items():
        (place / "rows.parquet" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, place / "rows.parquet" / name)
    table = {"source": {"path": str(place / "rows.parquet")}, "key": "id", **declared}
    rows: list[dict[str, Any]] = load_table("shop", "orders", Table.model_validate(table)).sort_by("id").to_pylist()
    return rows


def test_what_folders_are_named_by_keeps_its_zeros_and_may_be_numbers(tmp_path: Path) -> None:
    def of_codes(*codes: str, **declared: Any) -> list[Any]:
        place = tmp_path / codes[0]
        files = {f"code={code}/part.parquet": pa.table({"id": [row]}) for row, code in enumerate(codes)}
        return [row["code"] for row in folder(place, files, **declared)]

    assert of_codes("007", "010") == ["007", "010"]
    assert of_codes("7", "10") == [7, 10]
    assert of_codes("1.5", "__HIVE_DEFAULT_PARTITION__") == [1.5, None]
    assert of_codes("8", "11", logical_types={"code": "category"}) == ["8", "11"]
    assert of_codes("2024-01-02", time="code") == [datetime(2024, 1, 2)]


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/orders.db"
    pd.DataFrame({"id": [1, 2], "x": [2.5, None], "who": ["a:b", "50%"]}).to_sql("t", create_engine(url), index=False)
    return url


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select id, who from t where who = 'a:b'", [{"id": 1, "who": "a:b"}]),
        ("select id, who from t where who like '%:b'", [{"id": 1, "who": "a:b"}]),
        ("select id, ':who' as label from t where id = 1", [{"id": 1, "label": ":who"}]),
        ("select id, '%(id)s %s' as label from t where id = 2 -- 100%", [{"id": 2, "label": "%(id)s %s"}]),
        ("select id, x from t where id > 5", []),
    ],
)
def test_a_query_runs_as_it_is_written(query: str, rows: list[dict[str, Any]], database: str) -> None:
    table = Table(source=QuerySource(query=query, url=database), key="id")

    assert load_table("shop", "orders", table).to_pylist() == rows


@pytest.mark.parametrize(
    "query", ["select a.*, b.x from t a, t b", "select a.*, b.id from t a join t b on a.id = b.id"]
)
def test_a_query_with_a_column_twice_is_refused_with_table_and_column(query: str, database: str) -> None:
    with pytest.raises(DataError, match=r"use case 'shop', table 'orders': the source has 2 columns '(x|id)'"):
        load_table("shop", "orders", Table(source=QuerySource(query=query, url=database), key="id"))


def test_values_of_a_database_are_typed_by_all_of_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mixed.db"
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql("create table t (id integer, x, y)")
        connection.exec_driver_sql(f"insert into t values (1, null, 1), (2, {2**60 + 1}, 'a')")
    query = "select id, x from t"

    assert load_table("shop", "t", Table(source=QuerySource(query=query, url=url), key="id"))["x"].to_pylist() == [
        None, 2**60 + 1
    ]  # fmt: skip
    mixed = Table(source=QuerySource(query="select * from t", url=url), key="id")
    with pytest.raises(DataError, match=r"table 't': column 'y': .*values of one type"):
        load_table("shop", "t", mixed)
    assert load_table("shop", "t", mixed.model_copy(update={"ignore": ["y"]})).column_names == ["id", "x"]


FRAME = {
    "id": [1, 2],
    "kind": pd.Categorical(["a", None]),
    "size": pd.arrays.SparseArray([0.0, 1.5]),
    "whole": pd.array([1, None], "Int64"),
    "flag": [True, None],
    "at": pd.to_datetime(["2024-01-01T00:00:00Z", None]).tz_convert("Asia/Tokyo"),
    7: ["x", "y"],
}


def frame() -> pd.DataFrame:
    return pd.DataFrame(FRAME, index=[5, 5])


def arrow() -> pa.RecordBatchReader:
    return pa.table({"id": [1, 2]}).to_reader()


def test_a_function_may_return_a_frame_of_any_types_or_a_table_of_arrow() -> None:
    table = load_table("shop", "orders", Table(source=PythonSource(python=f"{__name__}:frame"), key="id"))

    assert table.to_pylist() == [
        {"id": 1, "kind": "a", "size": 0.0, "whole": 1, "flag": True, "at": datetime(2024, 1, 1), "7": "x"},
        {"id": 2, "kind": None, "size": 1.5, "whole": None, "flag": None, "at": None, "7": "y"},
    ]
    assert load_table("shop", "o", Table(source=PythonSource(python=f"{__name__}:arrow"), key="id")).num_rows == 2


CHOSEN: dict[str, Any] = {}


def chosen() -> Any:
    return CHOSEN["table"]


FRAMES = {
    "named": (pd.DataFrame({"x": [1]}, index=pd.Index([5], name="id")), {"id": 5, "x": 1}),
    "levels": (
        pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([(5, "a", 0)], names=["id", "b", None])),
        {"id": 5, "b": "a", "x": 1},
    ),
    "twice": (pd.DataFrame({"id": [1], "x": [2]}, index=pd.Index([5], name="id")), {"id": 1, "x": 2}),
    "halves": (pd.DataFrame({"id": [1], "x": np.array([1.5], "float16")}), {"id": 1, "x": 1.5}),
    "infinite": (pd.DataFrame({"id": [1, 2], "x": [Decimal("inf"), Decimal(1)]}), {"id": 1, "x": float("inf")}),
    "wide": (pd.DataFrame({"id": [1, 2], "x": [Decimal("1e40"), Decimal("1e-9")]}), {"id": 1, "x": 1e40}),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_is_read_with_what_its_index_is_named_by_and_numbers_of_any_width(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, row = FRAMES[kind]
    monkeypatch.setitem(CHOSEN, "table", frame)

    table = load_table("shop", "orders", Table(source=PythonSource(python=f"{__name__}:chosen"), key="id"))

    assert table.to_pylist()[0] == row


def test_whole_numbers_of_a_database_beyond_64_bits_are_refused_with_both_ways_out() -> None:
    rows = values_rows(["x"], [[2**63, None, 5]])

    assert (rows.refused, rows.scan(["x"])["x"].to_pylist()) == ({}, [Decimal(2**63), None, Decimal(5)])


ODD = {
    "decimal256": pa.nulls(1, pa.decimal256(50, 2)),
    "month_day_nano_interval": pa.nulls(1, pa.month_day_nano_interval()),
    "pandas.period": pa.array(pd.Series(pd.Categorical(pd.period_range("2024-01", periods=1, freq="M")))),
    "pandas.interval": pa.array(pd.Series(pd.cut([1.0], [0, 2]))),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_duckdb_knows_no_type_for_is_named_too(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"source": {"python": f"{__name__}:chosen"}, "key": "id"}
    monkeypatch.setitem(CHOSEN, "table", pa.table({"id": [1], "odd": ODD[odd]}))

    with pytest.raises(
        AuditError, match=rf"'shop', table 'orders': column 'odd' holds {odd}.*, which cannot be a column"
    ):
        load_table("shop", "orders", Table.model_validate(table))
    assert load_table("shop", "o", Table.model_validate({**table, "ignore": ["odd"]})).to_pylist() == [{"id": 1}]


def test_the_row_numbers_that_pandas_writes_into_a_parquet_file_are_no_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "x": [1.0, 2.0, 3.0]})
    frame[frame["x"] > 1].to_parquet(tmp_path / "rows.parquet")
    frame.set_index("id").to_parquet(tmp_path / "named.parquet")

    for name, count in (("rows", 2), ("named", 3)):
        table = Table(source=FileSource(path=str(tmp_path / f"{name}.parquet")), key="id")
        loaded = load_table("shop", "orders", table)
        assert (sorted(loaded.column_names), loaded.num_rows) == (["id", "x"], count)


@pytest.mark.parametrize(
    "values", [[date(2024, 1, 1), datetime(2024, 1, 1, 5)], [datetime(2024, 1, 1, 5), date(2024, 1, 1)]]
)
def test_a_time_among_dates_keeps_its_hour(values: list[Any]) -> None:
    rows = [table_rows("f", pd.DataFrame({"x": pd.Series(values, dtype=object)})), values_rows(["x"], [values])]

    for table in (row.scan(["x"]) for row in rows):
        assert sorted(table["x"].to_pylist()) == [datetime(2024, 1, 1), datetime(2024, 1, 1, 5)]
