"""Rows find each other by value alone: whatever type a key came as, what a column is called, when a row was known."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import make_examples
from ml.features.define import define_features
from ml.features.matrix import feature_matrix
from ml.tables.sources import load_table

N = 120
HUGE = 2**60 + 1
IDS = np.arange(N)
HOURS = pd.Timestamp("2024-01-01") + pd.to_timedelta(IDS, unit="h")
LATE = (IDS * 7) % 5 < 2
SPLIT = {"train_until": "2024-01-03", "validate_until": "2024-01-04"}


def made(folder: Path, tables: Mapping[str, tuple[pa.Table, dict[str, Any]]], **declared: Any) -> pd.DataFrame:
    """The feature matrix of some tables, the first of which has the examples; features alone, by their names."""
    for name, (rows, _) in tables.items():
        pq.write_table(rows, folder / f"{name}.parquet")
    spec = UseCaseSpec.model_validate(
        {
            "description": "Late?",
            "models": {"logistic": {}},
            "tables": {
                name: {"source": {"path": str(folder / f"{name}.parquet")}, **about}
                for name, (_, about) in tables.items()
            },
            **declared,
        }
    )
    loaded = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    definitions = define_features("shop", spec, loaded)
    examples = make_examples("shop", spec, loaded).to_pandas()
    return feature_matrix(spec, definitions, loaded, examples).set_index(spec.key).sort_index()


EXAMPLES = {"table": "orders", "cutoff": "at", "target": "late", "split": SPLIT}
KEY = {"key": "id", "time": "at"}


def orders(**columns: Any) -> tuple[pa.Table, dict[str, Any]]:
    return pa.table({"id": IDS, "at": pa.array(HOURS), "late": LATE, **columns}), KEY


KEYS = {
    "int64": pa.array(IDS % 10),
    "int32": pa.array(IDS % 10, pa.int32()),
    "uint8": pa.array(IDS % 10, pa.uint8()),
    "double": pa.array(IDS % 10, pa.float64()),
    "with gaps": pa.array([None if row % 7 == 0 else row % 10 for row in range(N)]),
    "doubles with gaps": pa.array([None if row % 7 == 0 else float(row % 10) for row in range(N)]),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("of", [pa.int64(), pa.int16(), pa.float64()], ids=str)
@pytest.mark.parametrize("timed", [False, True])
def test_keys_of_any_type_of_number_join(kind: str, of: pa.DataType, timed: bool, tmp_path: Path) -> None:
    customers = {"cust": pa.array(range(10), of), "age": [number * 1.5 for number in range(10)]}
    about: dict[str, Any] = {"key": "cust"}
    if timed:
        customers["seen"] = pa.array([dt.datetime(2023, 1, 1)] * 10)
        about = {"key": ["cust", "seen"], "time": "seen"}

    values = made(
        tmp_path,
        {"orders": orders(cust=KEYS[kind]), "customers": (pa.table(customers), about)},
        relationships=["orders.cust -> customers.cust"],
        examples=EXAMPLES,
    )

    keys = KEYS[kind].to_pylist()
    assert values["customers.age"].tolist() == pytest.approx(
        [np.nan if key is None else key * 1.5 for key in keys], nan_ok=True
    )


def test_large_ids_of_which_some_are_missing_stay_apart_in_lookups_and_groups(tmp_path: Path) -> None:
    cust = [None if row % 9 == 0 else HUGE + row % 4 for row in range(N)]
    customers = pa.table({"cust": [HUGE + number for number in range(4)], "segment": list("abcd")})

    values = made(
        tmp_path,
        {"orders": orders(cust=pa.array(cust)), "customers": (customers, {"key": "cust"})},
        relationships=["orders.cust -> customers.cust"],
        examples=EXAMPLES,
        features={"history": {"table": "orders", "group_by": ["cust"], "windows": ["1d"], "aggregations": ["count"]}},
    )

    segments = [None if key is None else "abcd"[key - HUGE] for key in cust]
    past = [0 if key is None else sum(cust[j] == key for j in range(max(0, i - 24), i)) for i, key in enumerate(cust)]
    assert values["customers.segment"].tolist() == segments
    assert values["cust.COUNT(orders_at, Last 1 Days)"].tolist() == past


@pytest.mark.parametrize("year", [2262, 2263, 9999])
@pytest.mark.parametrize("known_at", [None, "seen"])
def test_a_row_that_is_known_far_in_the_future_is_not_seen_before(
    year: int, known_at: str | None, tmp_path: Path
) -> None:
    known = [dt.datetime(year, 12, 31)] * 5 + [dt.datetime(1500, 1, 1)] * 5
    customers = pa.table({
        "cust": range(10), "seen": pa.array(known), "made": [dt.datetime(1400, 1, 1)] * 10, "limit": np.arange(10) * 1.0
    })  # fmt: skip
    time = {"time": "seen"} if known_at is None else {"time": "made", "known_at": known_at}

    values = made(
        tmp_path,
        {"orders": orders(cust=IDS % 10), "customers": (customers, {"key": ["cust", time["time"]], **time})},
        relationships=["orders.cust -> customers.cust"],
        examples=EXAMPLES,
    )

    assert values["customers.limit"].tolist() == pytest.approx(
        [np.nan if key < 5 else key for key in IDS % 10], nan_ok=True
    )


def test_a_category_of_numbers_is_one_wherever_it_is_used(tmp_path: Path) -> None:
    zips, about = IDS % 3 + 10000, {"logical_types": {"zip": "category"}}
    rows, key = orders(zip=zips)

    values = made(
        tmp_path,
        {
            "orders": (rows, {**key, **about}),
            "areas": (
                pa.table({"zip": [10000.0, 10001.0, 10002.0], "income": [1.0, 2.0, 3.0]}),
                {"key": "zip", **about},
            ),
        },
        relationships=["orders.zip -> areas.zip"],
        examples=EXAMPLES,
        features={"history": {"table": "orders", "group_by": ["zip"], "windows": ["1d"], "aggregations": ["count"]}},
    )

    assert values["areas.income"].tolist() == [float(number % 3 + 1) for number in range(N)]
    assert values["zip.COUNT(orders_at, Last 1 Days)"].tolist() == [min(row // 3, 8) for row in range(N)]


def test_a_key_that_is_a_category_in_one_table_only_is_refused_with_the_remedy(tmp_path: Path) -> None:
    rows, key = orders(zip=IDS % 3)

    with pytest.raises(
        DataError, match=r"orders\.zip -> areas\.zip joins string to int64, .*both tables' logical_types"
    ):
        made(
            tmp_path,
            {
                "orders": (rows, {**key, "logical_types": {"zip": "category"}}),
                "areas": (pa.table({"zip": range(3), "income": [1.0, 2.0, 3.0]}), {"key": "zip"}),
            },
            relationships=["orders.zip -> areas.zip"],
            examples=EXAMPLES,
        )


NAMES = {
    "key": "id", "number": "x", "group": "g", "value": "v", "event": "event_id", "link": "cust", "looked_up": "age",
}  # fmt: skip


def named(folder: Path, **other: str) -> np.ndarray:
    """The numbers of a matrix with lookup, history and synthesis whose columns have other names, sorted in each row."""
    name = {**NAMES, **other}
    rows = {
        name["key"]: IDS,
        "at": pa.array(HOURS),
        name["group"]: IDS % 3,
        name["link"]: IDS % 5,
        name["number"]: IDS / 8,
    }
    events = {
        name["event"]: IDS[:30],
        "at": pa.array(HOURS[:30]),
        name["group"]: IDS[:30] % 3,
        name["value"]: IDS[:30] / 4,
    }
    items = {"item": IDS[:40], "at": pa.array(HOURS[:40]), name["link"]: IDS[:40] % 5, name["value"]: IDS[:40] / 2}
    link, customers = name["link"], {name["link"]: IDS[:5], name["looked_up"]: IDS[:5] * 1.5}
    values = made(
        folder,
        {
            "orders": (pa.table({**rows, "late": LATE}), {"key": name["key"], "time": "at"}),
            "events": (pa.table(events), {"key": name["event"], "time": "at"}),
            "items": (pa.table(items), {"key": "item", "time": "at"}),
            "customers": (pa.table(customers), {"key": name["link"]}),
        },
        relationships=[f"orders.{link} -> customers.{link}", f"items.{link} -> customers.{link}"],
        examples=EXAMPLES,
        features={
            "history": {
                "table": "events", "group_by": [name["group"]], "windows": ["1d"],
                "aggregations": ["sum", "count", "max"],
            },
            "synthesis": {"aggregations": ["sum", "count"], "transforms": []},
        },
    )  # fmt: skip
    numbers = values.drop(columns=["cutoff", "target", "split"]).to_numpy("float64")
    return np.sort(numbers, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("role", NAMES)
def test_what_a_column_is_called_decides_no_value(role: str, tmp_path: Path) -> None:
    usual = named(tmp_path)
    words = ["row", "instance", "cutoff", "target", "split", "_row", "_key", "_cutoff", "k", "t", "cut", "v0", "source",
             "place", "key", "rows", "orders_row", "customers_row", "__labels", "NULL"]  # fmt: skip
    if role != "link":  # a relationship is written with dots and arrows
        words += ['a"b', "a.b", "it's", "%s", "a b"]

    refused = {}
    for word in words:
        try:
            values = named(tmp_path, **{role: word})
        except (DataError, ValidationError) as error:
            refused[word] = str(error)
        else:
            np.testing.assert_array_equal(values, usual, err_msg=word)

    assert refused.keys() <= {"row", "instance", "cutoff", "target", "split", "_row"}
    assert all(repr(word) in error for word, error in refused.items())
