"""The selection of features on its way from the matrix to the service."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from ml.exported.model import ExportedModel
from ml.search.selected_features import SelectedFeatures
from resources.storage import Storage, Stored, find
from service.plan.reading import read_plan
from service.predict.features import FeatureBuilder, Inputs
from service.records.reader import RecordReader

pytestmark = pytest.mark.slow

PARTS = ["development", "test"]
read: list[tuple[str, frozenset[str] | None]] = []  # asset and columns


class Watched(Storage):
    """A storage that notes what is read of it."""

    def load(self, stored: Stored, columns: Any = None) -> Any:
        read.append((getattr(stored, "asset", ""), None if columns is None else frozenset(columns)))
        return super().load(stored, columns)


@pytest.fixture
def customers(home: Path, tmp_path: Path) -> Case:
    """A use case in which income and tax say the same, and a country and the sizes of cities nothing."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 400)
    income = y + random.normal(size=400)
    customers = pd.DataFrame(
        {
            "id": range(400),
            "country": "NL",
            "income": income.round(3),
            "tax": (0.3 * income).round(3),
            "shop": random.choice([1, 2, 3], 400),
            "city": random.choice([1, 2, 3], 400),
            "y": y,
        }
    )
    customers.to_csv(tmp_path / "customers.csv", index=False)
    pd.DataFrame({"shop": [1, 2, 3], "size": [20, 10, 30]}).to_csv(tmp_path / "shops.csv", index=False)
    pd.DataFrame({"city": [1, 2, 3], "size": [7, 7, 7]}).to_csv(tmp_path / "cities.csv", index=False)
    sources = {"customers": "id", "shops": "shop", "cities": "city"}
    declared = {
        "description": "Which?",
        "tables": {
            name: {"source": {"path": str(tmp_path / f"{name}.csv")}, "key": key} for name, key in sources.items()
        },
        "relationships": ["customers.shop -> shops.shop", "customers.city -> cities.city"],
        "examples": {"table": "customers", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2}},
        "features": {"selection": {"correlation": 0.95}},
        "models": {"logistic": {"trials": 1}},
        "gates": {"champion": {"not_worse_by": 1.0}},
    }
    return Case("customers", UseCase.model_validate(declared))


def materialize(case: Case, until: str) -> dg.ExecuteInProcessResult:
    read.clear()
    with dg.DagsterInstance.get() as instance:
        return dg.materialize(
            all_assets(case),
            resources=resources() | {"storage": Watched()},
            instance=instance,
            selection=dg.AssetSelection.assets(case.key(until)).upstream(),
        )


def made(case: Case, asset: str) -> Any:
    with dg.DagsterInstance.get() as instance:
        return Storage().load(find(instance, case.key(asset)))


def metadata_of(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    made = [event.materialization for event in result.get_asset_materialization_events()]
    return {name: each.value for name, each in next(m for m in made if m.asset_key == key).metadata.items()}


def test_each_dropped_feature_is_recorded_with_its_reason(customers: Case) -> None:
    result = materialize(customers, "feature_selection")

    found, said = made(customers, "feature_selection"), metadata_of(result, customers.key("feature_selection"))
    assert isinstance(found, SelectedFeatures)
    assert found.rows == (made(customers, "examples").to_pandas()["split"] == "train").sum()
    assert len(found.dropped) == 3
    assert {"country", "cities.size"} < set(found.dropped) < {"country", "cities.size", "income", "tax"}
    for name, reason in found.dropped.items():
        assert f"{name} " in said["reasons"]
        assert reason in said["reasons"]
    for name in found.kept:
        assert f"{name} " in said["worth"]
    assert (said["kept"], said["dropped"]) == (len(found.kept), 3)


def test_training_and_evaluation_read_only_what_was_selected(customers: Case) -> None:
    assert materialize(customers, "evaluation").success

    kept = made(customers, "feature_selection").kept
    columns = {part: [names for asset, names in read if asset == f"customers/features/{part}"] for part in PARTS}
    everything = None  # what the selection has to look at
    assert columns["development"] == [everything, {"split", "target", *kept}, {"split", "target", *kept}]
    assert columns["test"] == [{"id", "cutoff", "target", *kept}]


def test_a_service_computes_only_what_was_selected_of_the_records_that_it_always_took(
    customers: Case, tmp_path: Path
) -> None:
    assert materialize(customers, "online_state").success
    kept, content = made(customers, "feature_selection").kept, made(customers, "onnx_model")
    for file, written in made(customers, "online_state").items():
        (tmp_path / file).write_bytes(written)
    source = made(customers, "raw/customers").select(["country", "income", "tax", "shop", "city"])

    model = ExportedModel(content)
    definitions, encoder = model.definitions, model.encoder
    plan = read_plan((tmp_path / "plan.json").read_bytes())
    builder = FeatureBuilder(plan, Inputs(encoder.numeric, [*encoder.categories]), tmp_path)
    found = builder.build(RecordReader(plan).read(source.to_pylist()))

    assert [feature.name for feature in definitions.features] == [feature.name for feature in plan.features] == kept
    assert [*definitions.lookups] == [*plan.lookups] == ["shops"]
    tables = {name: made(customers, f"raw/{name}") for name in customers.spec.tables}
    rows = pd.DataFrame({"id": tables["customers"]["id"].to_pandas(), "cutoff": pd.NaT})
    expected = encoder.inputs(model.features(tables, rows))
    np.testing.assert_array_equal(found.numeric, expected["numeric"])
