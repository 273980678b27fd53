"""Bad candidates, bad reports and bad luck: each is refused for its own reason, and the champion stays as it was."""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase, definitions_of
from dagster_project.definitions import resources
from dagster_project.results.locate import locate
from ml.evaluation.record import Estimate, Evaluation, LeakAudit, Slice
from ml.features.define import define_features
from ml.features.definitions import Feature, FeatureDefinitions
from resources.storage import METADATA, Storage, Stored, find
from resources.tracking.registry import Registry
from resources.tracking.runs import Tracking, tracking
from tests.support.dated import OTHER, PRODUCTION, Dated, frame
from tests.support.small import asked, failure

pytestmark = pytest.mark.slow
STRICT = {"gates": {"roc_auc": {"at_least": 0.99999}, "champion": {"not_worse_by": 1.0}, "calibration": False}}


def refused(case: Dated, result: dg.ExecuteInProcessResult) -> str:
    """The reason of a refusal that changed nothing."""
    assert not result.success
    assert case.champion() == "1"
    assert [entry.version for entry in registry().entries()] == ["1"]
    assert versions() == ["1"]
    return failure(result)


def registry() -> Registry:
    return tracking().registry("small")


def versions() -> list[str]:
    return sorted(str(each.version) for each in tracking().client().search_model_versions("name = 'small'"))


def test_shuffled_labels_are_no_better_than_a_trivial_answer(case: Dated) -> None:
    rows = frame()
    case.use(rows.assign(y=np.random.default_rng(5).permutation(rows["y"])))

    said = refused(case, case.retrain())

    assert "not promoted, version 1 stays champion. Refused by the gate baseline: roc_auc is " in said


def test_a_leaked_feature_ends_the_run_before_anything_learns_from_it(case: Dated) -> None:
    case.use(frame().assign(told=lambda rows: rows["y"] * 2.0))

    said = refused(case, case.retrain())

    assert "told" in said
    assert "alone" in said


def test_a_slice_with_flipped_labels_is_refused_by_the_name_of_the_slice(case: Dated) -> None:
    case.use(frame(flipped="b"))

    said = refused(case, case.retrain())

    assert "Refused by the gate slices: " in said
    assert "g = b: roc_auc -" in said
    assert "g = a" not in said


def test_the_champion_itself_stays_champion_and_is_not_registered_again(case: Dated) -> None:
    assert case.retrain().success

    assert (case.champion(), versions()) == ("1", ["1"])
    assert [entry.version for entry in registry().entries()] == ["1"]


def test_a_champion_whose_alias_was_taken_is_promoted_again(case: Dated) -> None:
    declared = {"evaluation": {**case.declared()["evaluation"], "slice_rows": 40}}
    assert case.retrain(**declared).success
    tracking().client().delete_registered_model_alias("small", "champion")

    assert case.retrain(**declared).success

    assert (case.champion(), versions()) == ("1", ["1"])


def test_an_evaluation_is_not_reused_for_a_candidate_that_is_not_as_declared(case: Dated) -> None:
    history = {"table": "rows", "group_by": ["g"], "windows": ["5d"], "aggregations": ["count"]}

    result = case.attempt("evaluation", features={"history": history})

    assert "features/test was made under another declaration (features.history" in failure(result)


def present(instance: dg.DagsterInstance, key: dg.AssetKey, stored: Stored, coordinates: str) -> None:
    """Makes a stored result the latest materialization of its asset."""
    kept = {field.name: getattr(stored, field.name) for field in fields(Stored)}
    metadata = {METADATA: dg.MetadataValue.json(asdict(Stored(**kept))), "coordinates id": coordinates}
    instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=metadata))


def feed(case: Dated, **changes: Any) -> dg.ExecuteInProcessResult:
    """production_model alone, after another candidate, with another report than the one that was made."""
    key = dg.AssetKey(["small", "evaluation"])
    with dg.DagsterInstance.get() as instance:
        version = find(instance, key)
        report: Evaluation = Storage().load(version)
        stored = Storage().save("small/evaluation", report.model_copy(update=changes))
        present(instance, key, stored, version.coordinates)
    return case.attempt(PRODUCTION, **OTHER)


NAN = float("nan")
UNCOMPARED = tuple(
    Slice(column="g", value=value, rows=150, score=Estimate(value=0.9, low=0.8, high=1.0)) for value in "ab"
)
LIMITED = {"gates": {"roc_auc": {"at_least": 0.5}, "champion": {"not_worse_by": 1.0}, "calibration": False}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"over_baseline": None}, "Refused by the gate baseline: nothing says how roc_auc compares"),
        ({"calibration": None}, "Refused by the gate calibration: the expected calibration error is nan"),
        ({"serving": None}, "Refused by the gate parity: the largest difference to the native model is nan"),
        ({"comparison": None}, "Refused by the gate champion: cannot compare with the champion: nobody knows why"),
        ({"slices": UNCOMPARED}, "Refused by the gate slices: 2 of 2 slices are worse than with champion version 1: g"),
        ({"model_hash": "0" * 64}, "the evaluation is about the model 000000000000, not about the candidate"),
        ({"champion_version": None, "champion_hash": None}, "changed since the evaluation, from version None to 1"),
        ({"champion_hash": "7" * 64}, "changed since the evaluation, from version 1 to 1 (the model 777777777777 to "),
        ({"rows": 0}, "the evaluation is about no test rows"),
        ({"leak_audit": LeakAudit(passed=False, reason="x_a tells")}, "Refused by the gate leaks: the leak audit fail"),
        ({"leak_audit": None}, "Refused by the gate leaks: nothing says whether the features of the test rows"),
        ({"coordinates": "0123456789abcdef"}, "nobody knows what evaluation was made from (no coordinates '01234567"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_report_that_lacks_something_or_is_about_something_else_promotes_nothing(
    case: Dated, changes: dict[str, Any], reason: str
) -> None:
    assert reason in refused(case, feed(case, **changes))


@pytest.mark.parametrize("metrics", [{}, {"roc_auc": NAN}])
def test_a_bounded_metric_that_is_missing_or_no_number_promotes_nothing(case: Dated, metrics: dict[str, float]) -> None:
    case.declared = lambda **changes: Dated.declared(case, **{**LIMITED, **changes})  # type: ignore[method-assign]

    assert "Refused by the gate roc_auc: roc_auc is nan on the" in refused(case, feed(case, metrics=metrics))


def by_dates(train_until: str, validate_until: str, target: str = "y = 1") -> dict[str, Any]:
    split = {"train_until": train_until, "validate_until": validate_until}
    return {"examples": {"table": "rows", "cutoff": "at", "target": target, "split": split}}


LATER, FLIPPED = by_dates("2024-02-10", "2024-02-20"), by_dates("2024-01-21", "2024-01-31", target="y = 0")


def test_a_candidate_is_not_judged_on_rows_that_it_has_learned_from(case: Dated) -> None:
    assert case.attempt("onnx_model", upstream=True, **LATER).success

    said = refused(case, case.attempt("evaluation", **LATER))

    assert "nothing was evaluated: onnx_model was trained on the examples " in said
    assert "the candidate may have learned from test rows; materialize features/test again" in said
    assert case.attempt("features/test", "evaluation", PRODUCTION, **LATER).success


def test_an_evaluation_on_rows_that_the_candidate_has_learned_from_promotes_nothing(
    case: Dated, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert case.attempt("onnx_model", upstream=True, **LATER).success
    with monkeypatch.context() as patch:
        patch.setattr("assets.stages.evaluation.require_same_origin", lambda *given: None)
        assert case.attempt("evaluation", **LATER).success

    said = refused(case, case.attempt(PRODUCTION, **LATER))

    assert "not promoted, version 1 stays champion. onnx_model was trained on the examples " in said


def test_a_model_of_another_target_is_not_judged_under_the_new_declaration(case: Dated) -> None:
    said = refused(case, case.attempt("evaluation", **OTHER, **FLIPPED))

    assert "features/test was made under another declaration (examples.target changed)" in said
    assert "the evaluation was made under another declaration (examples.target changed): materialize" in refused(
        case, case.attempt(PRODUCTION, **OTHER, **FLIPPED)
    )


def test_candidate_and_champion_are_compared_on_features_of_the_same_tables(case: Dated) -> None:
    case.use(frame().assign(x_a=lambda rows: rows["x_a"].where(rows.index < 590, 0)))
    assert case.attempt("raw/rows", **OTHER).success

    said = refused(case, case.attempt("evaluation", **OTHER))

    assert "features/test was made from other content of raw/rows than is there now" in said
    assert case.attempt("features/test", "evaluation", **OTHER).success


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"metric": "log_loss"}, "metric"),
        ({"evaluation": {"slices": ["g"], "resamples": 200}}, "evaluation.importance_rows, evaluation.resamples, eval"),
        ({"gates": {"champion": {"not_worse_by": 1.0, "rows": 50}}}, "gates.champion.rows"),
        ({"gates": {"champion": {"not_worse_by": 1.0}, "baseline": {"confidence": 0.9}}}, "gates.baseline.confidence"),
    ],
)
def test_an_evaluation_made_under_another_declaration_promotes_nothing(
    case: Dated, changes: dict[str, Any], named: str
) -> None:
    said = refused(case, case.attempt(PRODUCTION, **OTHER, **changes))

    assert f"the evaluation was made under another declaration ({named}" in said
    assert " changed): materialize evaluation again" in said


def test_a_test_split_without_rows_ends_the_run_before_training(case: Dated) -> None:
    case.use(frame().query("at < '2024-01-31'"))

    assert "the test split is empty" in refused(case, case.retrain())


def test_of_two_retrains_that_overlap_the_later_one_is_not_compared_with_a_champion_of_yesterday(case: Dated) -> None:
    keys = [dg.AssetKey(["small", name]) for name in ("onnx_model", "evaluation")]
    with dg.DagsterInstance.get() as instance:
        evaluated = {key: find(instance, key) for key in keys}
        assert case.retrain(models={"logistic": {"trials": 3}}).success
        for key, version in evaluated.items():
            present(instance, key, version, version.coordinates)

    result = case.attempt(PRODUCTION, **OTHER)

    said = failure(result)
    assert (
        "not promoted, version 2 stays champion. the champion has changed since the evaluation, from version 1" in said
    )
    assert case.champion() == "2"
    assert [(entry.version, entry.former) for entry in registry().entries()] == [("1", None), ("2", "1")]


def attempted(rows: Path) -> bool:
    """In a process of its own."""
    return Dated(rows.parent, rows).attempt(PRODUCTION, **OTHER).success


def test_two_steps_that_promote_the_same_candidate_at_once_register_it_once(case: Dated) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(attempted, [case.rows, case.rows])) == [True, True]

    assert (case.champion(), versions()) == ("2", ["1", "2"])
    assert [(entry.version, entry.former) for entry in registry().entries()] == [("1", None), ("2", "1")]


class Broken(MlflowClient):
    """A registry that registers, and then fails."""

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        raise MlflowException("the database is gone")


class BrokenTracking(Tracking):
    def client(self) -> MlflowClient:
        super().client()
        return Broken(self.tracking_uri())


def test_a_registry_that_fails_between_register_and_alias_leaves_a_version_that_the_next_run_promotes(
    case: Dated,
) -> None:
    broken = case.attempt(PRODUCTION, tracked=BrokenTracking(), **OTHER)
    between = (case.champion(), versions(), [entry.version for entry in registry().entries()])
    again = case.attempt(PRODUCTION, **OTHER)

    assert "the database is gone" in failure(broken)
    assert between == ("1", ["1", "2"], ["1"])
    assert again.success
    assert (case.champion(), versions()) == ("2", ["1", "2"])
    assert [entry.version for entry in registry().entries()] == ["1", "2"]


def definitions(case: Dated) -> dg.Definitions:
    declared = UseCase.model_validate(case.declared(**STRICT, retrain={"on_new_data": ["rows"]}))
    made = definitions_of(Case("small", declared))
    return dg.Definitions.merge(made, dg.Definitions(resources=resources(), executor=dg.in_process_executor))


def by_the_button(case: Dated, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = definitions(case).resolve_implicit_global_asset_job_def()
    alone = [dg.AssetKey(["small", PRODUCTION])]
    return job.execute_in_process(instance=instance, asset_selection=alone, raise_on_error=False)


def by_a_job(case: Dated, instance: dg.DagsterInstance, **tags: str) -> dg.ExecuteInProcessResult:
    job = definitions(case).resolve_job_def("small_retrain")
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def by_a_sensor(case: Dated, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    case.use(frame().assign(x_a=lambda rows: rows["x_a"] + 1))
    sensor = next(iter(definitions(case).sensors or []))
    assert isinstance(sensor, dg.SensorDefinition)
    requests = sensor.evaluate_tick(dg.build_sensor_context(instance=instance)).run_requests or []
    return by_a_job(case, instance, **requests[0].tags)


def by_a_backfill(case: Dated, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return by_a_job(case, instance, **{"dagster/backfill": "small"})


def by_an_approval(case: Dated, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = definitions(case).resolve_job_def("small_production")
    given = {"ops": {f"small__{PRODUCTION}": {"config": asked(approve="2")}}}
    return job.execute_in_process(instance=instance, run_config=given, raise_on_error=False)


WAYS = [by_the_button, by_a_job, by_a_sensor, by_a_backfill]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
def test_no_way_leads_around_a_gate(case: Dated, way: Any) -> None:
    with dg.DagsterInstance.get() as instance:
        result = way(case, instance)

    assert "Refused by the gate roc_auc" in refused(case, result)


def test_an_approval_does_not_lead_around_a_gate_that_came_to_be_stricter(case: Dated) -> None:
    assert case.retrain(**OTHER, production={"approval": "required"}).success
    with dg.DagsterInstance.get() as instance:
        result = by_an_approval(case, instance)

    assert "not promoted, version 1 stays champion. Refused by the gate roc_auc" in failure(result)
    assert case.champion() == "1"


def test_a_direct_call_of_the_asset_does_not_lead_around_a_gate(case: Dated) -> None:
    declared = Case("small", UseCase.model_validate(case.declared(**STRICT)))
    asset = next(each for each in all_assets(declared) if each.key == declared.key(PRODUCTION))
    names = {"onnx_model": "onnx_model", "evaluation": "evaluation", "test": "features/test"}
    with dg.DagsterInstance.get() as instance:
        inputs = {name: find(instance, declared.key(source)) for name, source in names.items()}

        with (
            dg.build_asset_context(instance=instance, resources=resources()) as context,
            pytest.raises(dg.DagsterError, match="dagster_run"),  # outside of a run it does not even begin
        ):
            list(asset(context, **inputs))  # type: ignore[call-overload]
        others = [dg.AssetSpec(declared.key(source)) for source in names.values()]
        alone = dg.materialize([asset, *others], resources=resources(), instance=instance, raise_on_error=False)

    assert "Refused by the gate roc_auc" in refused(case, alone)


def test_only_the_registry_moves_an_alias_and_only_production_model_asks_it_to() -> None:
    root = Path(__file__).parents[2]
    files = [
        file
        for part in ("assets", "dagster_project", "ml", "resources", "service")
        for file in (root / part).rglob("*.py")
    ]

    def using(*words: str) -> set[str]:
        return {str(file.relative_to(root)) for file in files if any(word in file.read_text() for word in words)}

    assert using("set_registered_model_alias", "delete_registered_model_alias") == {"resources/tracking/versions.py"}
    assert using(".set_alias(", ".delete_alias(") == {"resources/tracking/registry.py"}
    assert using("registry.move(", "registry.challenge(", ".promotion(") <= {
        "assets/stages/production_model.py",
        "assets/promotion/champion.py",
    }


def own(function: str) -> dict[str, Any]:
    return {"gates": {"own": {f"tests.support.own_gates:{function}": {"rows": 10_000}}, "calibration": False}}


def test_a_gate_of_ones_own_refuses_and_is_part_of_the_code_that_decided(case: Dated) -> None:
    said = refused(case, case.retrain(**own("enough_rows"), models={"logistic": {"trials": 3}}))

    assert "enough_rows: there are 300 rows" in said
    assert "tests.support.own_gates" in locate("small/evaluation", tracking())["code"]["roots"]


def reads_what_comes_later(name: str, *given: Any) -> FeatureDefinitions:
    """The features as they should be, and one that reads a column which is known only after the cutoff."""
    made = define_features(name, *given)
    told = Feature(name="told", kind="column", type="numeric", column="told")
    return made.model_copy(update={"features": [*made.features, told], "record": {**made.record, "told": "number"}})


def test_a_model_that_knows_the_future_is_refused_where_the_audit_only_warns(
    case: Dated, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)
    case.use(
        frame().assign(
            told=lambda rows: rows["y"] + random.normal(scale=0.5, size=len(rows)),
            told_at=lambda rows: rows["at"] + pd.Timedelta(days=1),
        )
    )
    monkeypatch.setattr("assets.stages.feature_definitions.define_features", reads_what_comes_later)
    rows = {"source": {"path": str(case.rows)}, "key": "id", "time": "at", "known_at": {"told_at": ["told"]}}

    result = case.retrain(tables={"rows": rows}, audit={"warn": ["no_value_from_after_the_cutoff"]})

    assert "Refused by the gate leaks: the leak audit failed: told changes with the future in " in refused(case, result)
    checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
    assert not checks["leaks"].passed


def test_a_gate_that_is_not_there_is_found_before_anything_runs(case: Dated) -> None:
    with pytest.raises(ValueError, match="has no function 'nothing'"):
        case.retrain(**own("nothing"))


def test_a_refusal_tells_the_ui_what_refused_with_which_figures_and_what_stays(case: Dated) -> None:
    result = case.retrain(**STRICT, **OTHER)

    event = next(event for event in result.all_events if event.is_step_failure)
    data = event.step_failure_data.user_failure_data
    assert data is not None
    told = {name: each.value for name, each in data.metadata.items()}
    assert told["champion"] == "version 1 stays champion"
    assert told["refused by"] == ["roc_auc"]
    assert "| roc_auc" in str(told["gates"])
    assert "needed: at least 0.99999" in json.dumps(told["verdicts"])
    checks = {
        each.check_name: each
        for each in result.get_asset_check_evaluations()
        if each.asset_key.path[-1] == "evaluation"
    }
    assert not checks["roc_auc"].passed
    assert checks["roc_auc"].metadata["at least"].value == 0.99999
    assert checks["champion"].passed
    client = tracking().client()
    experiment = client.get_experiment_by_name("small").experiment_id
    runs = client.search_runs([experiment], "tags.`dagster.asset_key` = 'small/production_model'")
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]
