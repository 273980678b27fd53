from typing import Any

import pytest

from dagster_project.results.reproduction.plan import ReproduceError, plan, runs
from resources.ledger import Ledger, LedgerError


class Recorded(Ledger):
    """A ledger of records that are named after their assets."""

    def __init__(self, **records: dict[str, Any]) -> None:
        self._records = records

    @property
    def records(self) -> dict[str, Any]:  # type: ignore[override]
        return self._records

    def in_order(self, identity: str) -> list[str]:
        if identity not in self._records:
            raise LedgerError(f"no record {identity}")
        sources = [source["coordinates"] for source in self._records[identity]["data"].values()]
        return [*dict.fromkeys(other for source in sources for other in self.in_order(source)), identity]


def record(asset: str, *sources: str, champion: str | None = None, tree: str = "tree", seed: int = 0) -> dict[str, Any]:
    data = {source: {"coordinates": source} for source in sources}
    data |= {"champion": {"coordinates": champion}} if champion else {}
    return {"run": {"asset": f"shop/{asset}"}, "data": data, "code": {"tree": tree}, "config": "config", "seed": seed}


MODEL = {"rows": record("raw/rows"), "tuned": record("models/mlp", "rows"), "model": record("onnx_model", "tuned")}


def test_a_result_comes_after_all_that_it_was_made_from() -> None:
    assert plan(Recorded(**MODEL), "tuned") == ["rows", "tuned"]


def test_a_model_brings_its_latest_evaluation_and_predictions_but_no_bento() -> None:
    users = {
        "first": record("evaluation", "model"),
        "later": record("evaluation", "model"),
        "scores": record("predictions", "model"),
        "bento": record("bento", "model"),
        "compared": record("evaluation", champion="model"),
    }

    assert plan(Recorded(**MODEL, **users), "model") == ["rows", "tuned", "model", "later", "scores"]


def test_a_source_without_a_record_is_named() -> None:
    with pytest.raises(ReproduceError, match="no record rows"):
        plan(Recorded(tuned=record("models/mlp", "rows")), "tuned")


def test_neighbours_of_one_source_config_and_seed_share_a_run() -> None:
    other = {"evaluation": record("evaluation", "model", seed=1)}
    ledger = Recorded(**MODEL, **other)

    planned = runs(ledger, ["tuned", "model", "evaluation"])

    assert [run.makes for run in planned] == [["tuned", "model"], ["evaluation"]]
    assert planned[0].knows == {"shop/raw/rows": "rows", "shop/models/mlp": "tuned", "shop/onnx_model": "model"}


def test_two_versions_of_an_asset_are_made_by_two_runs() -> None:
    ledger = Recorded(first=record("raw/rows"), later=record("raw/rows"), one=record("models/mlp", "first"),
                      two=record("models/ridge", "later"))  # fmt: skip

    assert [run.makes for run in runs(ledger, ["one", "two"])] == [["one"], ["two"]]
