"""Source tables: the three kinds of source, and bad input."""

import pandas as pd
import pytest
from sqlalchemy import create_engine

from ml.sources import DataError, load_table
from ml.spec import Source, Table


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
            Source(path=str(tmp_path / "orders.csv")),
            Source(path=f"file://{tmp_path}/orders.parquet"),
            Source(query="select * from orders", url=url),
        )
    ]

    assert tables[0].to_pylist() == tables[1].to_pylist() == tables[2].to_pylist()
    assert tables[0]["amount"].null_count == 1


def test_a_computed_column_is_a_sql_expression(orders: pd.DataFrame, tmp_path) -> None:
    orders.to_csv(tmp_path / "orders.csv", index=False)
    table = Table(source=Source(path=str(tmp_path / "orders.csv")), key="id", computed={"large": "amount > 2"})

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
    table = Table(source=Source(path=str(tmp_path / "orders.csv")), **declared)

    with pytest.raises(DataError) as refused:
        load_table("shop", "orders", table)

    assert all(word in str(refused.value) for word in words), refused.value


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DataError, match=r"'shop', table 'orders': the file '/nowhere/x\.csv' does not exist"):
        load_table("shop", "orders", Table(source=Source(path="/nowhere/x.csv"), key="id"))
