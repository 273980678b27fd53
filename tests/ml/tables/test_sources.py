"""Source tables: the three kinds of source, and bad input."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest
from sqlalchemy import create_engine

from ml.declaration.sources.file import FileSource
from ml.declaration.sources.query import QuerySource
from ml.declaration.sources.rows import Rows, table_rows
from ml.declaration.tables import Table
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
        ({"path": "orders.xlsx"}, ["neither CSV nor Parquet", ".parquet"]),
        ({"path": "empty.csv"}, ["source.path 'empty.csv'", "Empty CSV file"]),
        ({"path": "damaged.parquet"}, ["source.path 'damaged.parquet'", "cannot be read"]),
    ],
)
def test_a_source_that_cannot_be_read_is_named_with_the_reason(
    source: dict[str, str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")

    with pytest.raises(DataError) as refused:
        load_table("shop", "orders", Table.model_validate({"source": source, "key": "id"}))

    message = str(refused.value)
    assert all(word in message for word in ["use case 'shop', table 'orders'", *words]), message


class MixedSource(FileSource):
    @contextmanager
    def rows(self) -> Iterator[Rows]:
        yield table_rows("x", pd.DataFrame({"id": [1, 2], "size": ["large", 3]}))


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
