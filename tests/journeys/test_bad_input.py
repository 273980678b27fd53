"""Bad input stops before any training, with one error that says where and what to do, and loses nothing."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from resources.storage import Storage, find


@pytest.fixture
def orders() -> pd.DataFrame:
    """Return ninety days of orders, every third one late."""
    days = pd.date_range("2024-01-01", periods=90, freq="D").strftime("%Y-%m-%dT%H:%M:%S")
    return pd.DataFrame(
        {"order": range(90), "at": days, "amount": [float(n % 7) for n in range(90)], "late": [0, 0, 1] * 30}
    )


@pytest.fixture
def shop(orders: pd.DataFrame, tmp_path: Path, home: Path) -> dict[str, Any]:
    """Return a declaration over a CSV file."""
    orders.to_csv(tmp_path / "orders.csv", index=False)
    return {
        "description": "Will an order be late?",
        "tables": {"orders": {"source": {"path": str(tmp_path / "orders.csv")}, "key": "order", "time": "at"}},
        "examples": {
            "table": "orders",
            "cutoff": "at",
            "target": "late = 1",
            "split": {"train_until": "2024-02-01", "validate_until": "2024-03-01"},
        },
        "models": {"logistic": {"trials": 1}},
    }


def until_leaderboard(declared: dict[str, Any], instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    case = Case("shop", UseCase.model_validate(declared))
    selection = dg.AssetSelection.assets(case.key("leaderboard")).upstream()
    return dg.materialize(
        all_assets(case), resources=resources(), instance=instance, selection=selection, raise_on_error=False
    )


def rewritten(change: Any) -> Any:
    """Return a change of the CSV file."""

    def apply(declared: dict[str, Any], orders: pd.DataFrame) -> None:
        change(orders).to_csv(declared["tables"]["orders"]["source"]["path"], index=False)

    return apply


def gone(declared: dict[str, Any], orders: pd.DataFrame) -> None:
    Path(declared["tables"]["orders"]["source"]["path"]).unlink()


def never_positive(declared: dict[str, Any], orders: pd.DataFrame) -> None:
    declared["examples"]["target"] = "late = 2"


def nothing_to_test(declared: dict[str, Any], orders: pd.DataFrame) -> None:
    declared["examples"]["split"]["validate_until"] = "2025-01-01"


BAD = {
    "missing file": (gone, ["orders.csv' does not exist", "correct source.path"]),
    "missing column": (
        rewritten(lambda orders: orders.drop(columns="at")),
        ["columns ['at'] are declared", "correct the declaration or the source"],
    ),
    "one class": (never_positive, ["the target (late = 2) has one class", "correct examples.target"]),
    "empty split": (nothing_to_test, ["the test split is empty", "correct examples.split"]),
    "duplicate key": (
        rewritten(lambda orders: pd.concat([orders, orders.head(1)])),
        ["key ['order']: 2 rows share their key", "remove the duplicates"],
    ),
    "time that does not parse": (
        rewritten(lambda orders: orders.replace("2024-01-05T00:00:00", "the fifth")),
        [
            "column 'at': must hold times, but 1 of 90 values do not parse as a time, first 'the fifth'",
            "write them as ISO 8601",
        ],
    ),
    "no time for the cutoff": (
        rewritten(lambda orders: orders.replace("2024-01-05T00:00:00", None)),
        ["column 'at': 1 rows have no time", "fill or remove them"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_it_stops_before_training_and_keeps_the_previous_results(
    name: str, shop: dict[str, Any], orders: pd.DataFrame
) -> None:
    instance, (spoil, words) = dg.DagsterInstance.get(), BAD[name]
    assert until_leaderboard(shop, instance).success
    before = {key: find(instance, key) for key in instance.get_asset_keys()}
    results = {key: stored.path for key, stored in before.items() if key.path[1] != "raw"}
    spoil(shop, orders)

    stopped = until_leaderboard(shop, instance)

    failures = [event for event in stopped.all_events if event.is_step_failure]
    assert [failure.step_key for failure in failures] in (["shop__raw__orders"], ["shop__examples"])
    error = str(failures[0].step_failure_data.error)
    for word in ["use case 'shop', table 'orders'", *words]:
        assert word in error
    assert {key: find(instance, key).path for key in results} == results
    for stored in before.values():
        Storage().load(stored)
