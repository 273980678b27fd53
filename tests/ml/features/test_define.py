"""Numbers that name a row of another table are no quantities."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.features.define import define_features
from ml.features.definitions import FeatureDefinitions
from ml.features.matrix import feature_matrix
from ml.tables.sources import load_table


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    """Sales of customers in stores, whose number is of a table with a time; agents visit customers."""
    random = np.random.default_rng(0)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(60), unit="D")
    frames = {
        "sales": {
            "id": range(60), "at": at, "cust": random.integers(0, 6, 60), "store": random.integers(0, 3, 60),
            "amount": random.random(60).round(2), "item": random.integers(0, 3, 60),
            "price": random.random(60).round(2),
        },
        "customers": {"cust": range(6), "age": range(20, 26), "region": [1, 1, 2, 2, 3, 3]},
        "visits": {
            "visit": range(40), "at": at[:40], "cust": random.integers(0, 6, 40), "agent": random.integers(0, 2, 40),
            "minutes": random.integers(1, 60, 40),
        },
        "agents": {"agent": range(2), "skill": [0.1, 0.9]},
        "stores": {"store": range(3), "at": ["2023-01-01"] * 3, "size": [1, 2, 3], "region": [3, 2, 1]},
    }  # fmt: skip
    for name, columns in frames.items():
        pd.DataFrame(columns).to_csv(tmp_path / f"{name}.csv", index=False)
    tables: dict[str, Any] = {name: {"source": {"path": str(tmp_path / f"{name}.csv")}} for name in frames}
    tables["sales"] |= {"key": "id", "time": "at"}
    tables["customers"] |= {"key": "cust"}
    tables["visits"] |= {"key": "visit", "time": "at"}
    tables["agents"] |= {"key": "agent"}
    tables["stores"] |= {"key": ["store", "at"], "time": "at"}
    return {
        "description": "Much?",
        "tables": tables,
        "relationships": ["sales.cust -> customers.cust", "sales.store -> stores.store"],
        "examples": {
            "table": "sales", "cutoff": "at", "target": "amount > 0.5",
            "split": {"train_until": "2024-02-01", "validate_until": "2024-02-15"},
        },
        "features": {
            "history": {
                "table": "sales", "group_by": ["item"], "windows": ["9d"], "aggregations": ["mean", "count"]
            }
        },
        "models": {"logistic": {}},
    }  # fmt: skip


def made(declared: dict[str, Any]) -> tuple[FeatureDefinitions, pd.DataFrame]:
    spec = UseCaseSpec.model_validate(declared)
    tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    definitions, examples = define_features("shop", spec, tables), tables["sales"].to_pandas()
    return definitions, feature_matrix(
        spec, definitions, tables, examples.assign(cutoff=examples["at"])[["id", "cutoff"]]
    )


@pytest.mark.parametrize("name", ["customers.age", "HOUR(at)"])
def test_a_column_with_the_name_of_a_feature_of_another_is_refused(shop: dict[str, Any], name: str) -> None:
    place = Path(shop["tables"]["sales"]["source"]["path"])
    pd.read_csv(place).rename(columns={"price": name}).to_csv(place, index=False)
    shop["features"]["calendar"] = {"at": ["hour"]}

    with pytest.raises(DataError, match=rf"\['{re.escape(name)}'\] would each be the name of two features"):
        made(shop)


@pytest.mark.parametrize("name", ["cutoff", "Target", "split"])
@pytest.mark.parametrize("by", ["history", "relationships"])
def test_rows_are_not_found_by_a_column_that_every_example_has(shop: dict[str, Any], name: str, by: str) -> None:
    if by == "history":
        shop["features"]["history"]["group_by"] = [name]
    else:
        shop["relationships"] = [f"sales.{name} -> customers.cust"]

    with pytest.raises(ValidationError, match=f"by which rows are found, '{name}' of 'sales' has the name of a column"):
        UseCaseSpec.model_validate(shop)


@pytest.mark.parametrize("long", ["100001d", "99999999999999h"])
def test_a_duration_that_no_time_can_hold_is_refused(shop: dict[str, Any], long: str) -> None:
    history, sales = shop["features"]["history"], shop["tables"]["sales"]
    for part, change in (
        (history, {"windows": [long]}),
        (sales, {"known_at": long}),
        (sales, {"known_at": {long: ["x"]}}),
    ):
        before = dict(part)
        part.update(change)
        with pytest.raises(ValidationError, match=f"'{long}' is longer than 100000d, which is the longest duration"):
            UseCaseSpec.model_validate(shop)
        part.clear()
        part.update(before)
    shop["examples"]["cutoff"] = f"at - {long}"
    with pytest.raises(ValidationError, match="is longer than 100000d"):
        UseCaseSpec.model_validate(shop)


def test_a_number_that_names_a_row_of_another_table_is_no_feature_but_finds_it(shop: dict[str, Any]) -> None:
    definitions, matrix = made(shop)

    names = {feature.name for feature in definitions.features}
    assert not names & {"cust", "store", "customers.cust", "stores.store", "item.MEAN(sales_at.cust, Last 9 Days)"}
    assert "item.COUNT(sales_at, Last 9 Days)" in names
    assert {"item", "customers.age", "stores.size", "customers.region"} <= names  # a number of which nobody says more
    assert {"cust", "store", "item"} <= definitions.record.keys()
    assert matrix["customers.age"].notna().all()


def test_no_way_to_make_features_takes_it_for_a_quantity(shop: dict[str, Any]) -> None:
    shop["relationships"] += ["visits.cust -> customers.cust", "visits.agent -> agents.agent"]
    shop["features"]["synthesis"] = {"depth": 3, "aggregations": ["mean", "max"], "transforms": ["absolute"]}

    definitions, _ = made(shop)

    names = {feature.name for feature in definitions.features}
    assert {"customers.MEAN(visits.minutes)", "customers.MEAN(visits.agents.skill)"} <= names
    assert not [name for name in names if name.endswith(("cust", "agent", "store", "cust)", "agent)"))]


def test_where_known_at_names_it_its_history_has_no_mean(shop: dict[str, Any]) -> None:
    shop["tables"]["visits"]["known_at"] = {"1d": ["minutes", "agent"]}
    shop["relationships"] += ["visits.cust -> customers.cust", "visits.agent -> agents.agent"]
    shop["features"]["synthesis"] = {"aggregations": ["mean"]}
    shop["features"]["history"] |= {"table": "visits", "group_by": ["cust"]}

    definitions, _ = made(shop)

    names = {feature.name for feature in definitions.features if feature.kind == "window"}
    assert names == {f"cust.{name}, Last 9 Days)" for name in ("COUNT(visits_at+1d", "MEAN(visits_at+1d.minutes")}


def test_logical_types_say_that_it_is_one(shop: dict[str, Any]) -> None:
    shop["tables"]["sales"]["logical_types"] = {"cust": "number", "store": "category"}
    shop["tables"]["stores"]["logical_types"] = {"store": "category"}

    definitions, matrix = made(shop)

    kinds = {feature.name: feature.type for feature in definitions.features}
    assert (kinds["cust"], kinds["store"]) == ("numeric", "categorical")
    assert "item.MEAN(sales_at.cust, Last 9 Days)" in kinds
    assert matrix["stores.size"].notna().all()


def test_one_that_is_a_word_stays_a_category(shop: dict[str, Any]) -> None:
    for table in ("sales", "customers"):
        shop["tables"][table]["logical_types"] = {"cust": "category"}

    definitions, matrix = made(shop)

    assert {feature.name: feature.type for feature in definitions.features}["cust"] == "categorical"
    assert matrix["customers.age"].notna().all()


def test_a_second_time_of_a_row_that_is_looked_up_has_no_calendar(shop: dict[str, Any], tmp_path: Path) -> None:
    customers = pd.read_csv(tmp_path / "customers.csv").assign(born=pd.Timestamp("1990-01-01"))
    customers.to_csv(tmp_path / "customers.csv", index=False)
    shop["tables"]["customers"]["logical_types"] = {"born": "time"}
    shop["features"]["calendar"] = {"at": ["hour"]}

    _, matrix = made(shop)

    assert "HOUR(at)" in matrix
    assert not [name for name in matrix if "born" in name]
