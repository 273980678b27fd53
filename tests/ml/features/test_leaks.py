"""The test for leaks finds one where there is one, and none where there is none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.declaration.use_case import UseCaseSpec
from ml.features.define import define_features
from ml.features.definitions import FeatureDefinitions
from ml.features.leaks import leaking, no_leak
from ml.tables.sources import load_table


@pytest.fixture
def spec(tmp_path: Path) -> UseCaseSpec:
    random = np.random.default_rng(0)
    asked_at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(300), unit="h")
    orders = pd.DataFrame({"id": range(300), "shop": random.choice(["a", "b"], 300), "asked": asked_at})
    orders = orders.assign(
        paid=asked_at + pd.to_timedelta(random.integers(1, 50, 300), unit="h"), days=random.random(300)
    )
    orders.to_csv(tmp_path / "orders.csv", index=False)
    days = pd.date_range("2024-01-01", periods=20)
    pd.DataFrame({"shop": "a", "at": days, "rain": random.random(20)}).to_csv(tmp_path / "weather.csv", index=False)
    return UseCaseSpec.model_validate(
        {
            "description": "Late?",
            "tables": {
                "orders": {
                    "source": {"path": str(tmp_path / "orders.csv")}, "key": "id", "time": "asked",
                    "known_at": {"paid": ["days"]},
                },
                "weather": {"source": {"path": str(tmp_path / "weather.csv")}, "key": ["shop", "at"], "time": "at"},
            },
            "relationships": ["orders.shop -> weather.shop"],
            "examples": {
                "table": "orders", "cutoff": "asked", "target": "days > 0.5",
                "split": {"train_until": "2024-01-05", "validate_until": "2024-01-09"},
            },
            "features": {"history": {"table": "orders", "group_by": ["shop"], "windows": ["3d"]}},
            "models": {"logistic": {}},
        }
    )  # fmt: skip


def problem(
    spec: UseCaseSpec, leak: str | None = None
) -> tuple[UseCaseSpec, FeatureDefinitions, dict[str, pa.Table], pd.DataFrame]:
    """Return 100 rows to test for leaks, where the feature `leak` reads what is known only later."""
    tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    rows = tables["orders"].to_pandas()[["id", "asked"]].rename(columns={"asked": "cutoff"})
    definitions = define_features("shop", spec, tables)
    if leak is not None:
        features = [
            each.model_copy(update={"kind": "column", "lookup": None}) if each.name == leak else each
            for each in definitions.features
        ]
        record = {**definitions.record, "days": "number"}
        definitions = FeatureDefinitions(**{**dict(definitions), "features": features, "record": record})
    return spec, definitions, tables, rows.sample(100, random_state=0)


def leaks_of(spec: UseCaseSpec, leak: str | None = None) -> dict[str, int]:
    return leaking(*problem(spec, leak))


def test_nothing_leaks_from_windows_and_latest_rows(spec: UseCaseSpec) -> None:
    assert leaks_of(spec) == {}


def test_a_feature_that_reads_what_is_known_later_is_named_with_its_rows(spec: UseCaseSpec) -> None:
    leaks = leaks_of(spec, "shop.MEAN(orders_paid.days, Last 3 Days)")

    assert leaks.keys() == {"shop.MEAN(orders_paid.days, Last 3 Days)"}
    assert 0 < leaks["shop.MEAN(orders_paid.days, Last 3 Days)"] <= 60


def test_the_finding_says_in_how_many_rows_which_feature_leaks(spec: UseCaseSpec) -> None:
    leak = "shop.MEAN(orders_paid.days, Last 3 Days)"

    good, bad = no_leak(*problem(spec)), no_leak(*problem(spec, leak))

    assert good.passed
    rows = bad.table[0]["rows"]
    assert bad.reason == (
        f"{leak} changes with the future in {rows} of 100 sampled rows; say in known_at when their columns become known"
    )


def test_a_problem_without_time_has_no_future(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["examples"] |= {"cutoff": None, "split": {"validation_share": 0.2, "test_share": 0.2}}
    declared |= {"relationships": [], "features": {}}

    assert leaks_of(UseCaseSpec.model_validate(declared)) == {}
