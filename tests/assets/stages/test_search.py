"""The search as an asset: studies, MLflow runs, plots, warm starts, and what a run's config may set."""

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import dagster as dg
import optuna
import pandas as pd
import pytest

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from ml.search.tuning import TunedModel
from resources.ledger import Ledger
from resources.storage import Storage
from resources.studies import studies
from resources.tracking.runs import tracking
from tests.support import labelled
from tests.support.small import Small

MODEL = dg.AssetKey(["small", "models", "logistic"])
PICKY = dg.AssetKey(["small", "models", "picky"])


OWN = """
import os
from dataclasses import dataclass
from pathlib import Path

from ml.models.linear import Logistic


@dataclass(frozen=True)
class Picky(Logistic):
    name: str = "picky"

    def fit(self, data, params, **more):
        Path(os.environ["FITTED_BY"], str(os.getpid())).touch()
        if 0.004 < params["C"] < 0.006:
            raise ValueError("not this C")
        return super().fit(data, params, **more)
"""


@pytest.fixture
def picky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A family that refuses some settings, and leaves the number of each process that fits it in a folder."""
    (tmp_path / "own" / "fitted_by").mkdir(parents=True)
    (tmp_path / "own" / "picky_family.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "own"))  # of the workers
    monkeypatch.setenv("FITTED_BY", str(tmp_path / "own" / "fitted_by"))
    return "picky_family:Picky"


def materialized(
    small: Small, run_config: dict[str, Any] | None = None, key: dg.AssetKey = MODEL, **changes: Any
) -> dict[str, Any]:
    """The metadata of the model after a run that set something; `changes` are those of the declaration."""
    case = Case("small", UseCase.model_validate(small.declared(**changes)))
    selection = dg.AssetSelection.assets(key).upstream()
    config = {"ops": {"__".join(key.path): {"config": run_config}}} if run_config else None
    with dg.DagsterInstance.get() as instance:
        done = dg.materialize(
            all_assets(case), resources=resources(), instance=instance, selection=selection, run_config=config
        )
    assert done.success
    (event,) = (each for each in done.get_asset_materialization_events() if each.asset_key == key)
    return {name: value.value for name, value in event.materialization.metadata.items()}


def model(key: dg.AssetKey = MODEL) -> TunedModel:
    stored = Ledger().latest_result(key.to_user_string())
    assert stored is not None
    found: TunedModel = Storage().load(stored)
    return found


def interrupted(small: Small, config: dict[str, Any]) -> None:
    """A run that ends with its process after the third trial."""
    import assets.stages.search

    log = assets.stages.search._log

    def struck(step: Any, trial: Any, target: str) -> None:
        log(step, trial, target)
        if trial.number == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    assets.stages.search._log = struck
    materialized(small, config)


def test_a_run_that_was_killed_is_taken_up_by_the_next_one(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"trials": 6, "folds": 2}
    process = multiprocessing.get_context("spawn").Process(target=interrupted, args=(small, config))
    process.start()
    process.join()
    (killed,) = optuna.get_all_study_summaries(studies().storage())

    materialized(small, config)
    taken_up = model()

    assert process.exitcode == -signal.SIGKILL
    assert killed.n_trials == 4  # two batches
    assert taken_up.study == killed.study_name
    monkeypatch.setenv("SEXTANT_HOME", str(tmp_path / "other"))
    materialized(small, config)
    assert model().trials == taken_up.trials
    assert model().params == taken_up.params


def test_what_a_run_sets_is_part_of_the_config_and_of_what_is_reused(small: Small) -> None:
    declared = materialized(small)
    more = materialized(small, {"trials": 3, "folds": 2, "workers": 1})
    again = materialized(small, {"trials": 3, "folds": 2, "workers": 1})

    record = Ledger().get(more["coordinates id"])["config"]["value"]
    assert record["models"]["logistic"]["trials"] == 3
    assert record["tuning"]["folds"] == 2
    assert len(model().trials) == 3
    assert model().oof_predictions is not None
    assert more["coordinates"]["config"] != declared["coordinates"]["config"]
    assert "reused" not in more
    assert again["reused"]
    assert again["coordinates id"] == more["coordinates id"]
    with pytest.raises(ValueError, match="1 fold judges nothing"):
        materialized(small, {"folds": 1})


def test_more_trials_go_on_with_the_study_and_other_folds_begin_one(small: Small) -> None:
    for config in ({"trials": 2}, {"trials": 4}, {"trials": 2, "folds": 3}):
        materialized(small, config)

    kept = optuna.get_all_study_summaries(studies().storage())
    assert sorted(each.n_trials for each in kept) == [2, 4]
    assert all(each.study_name.startswith("small/logistic/") for each in kept)


def test_what_decides_the_trials_decides_the_study_and_nothing_else_does(small: Small) -> None:
    def study(seed: int = 0, run_config: dict[str, Any] | None = None, **logistic: Any) -> str:
        materialized(small, run_config, seed=seed, models={"logistic": {"trials": 1, **logistic}})
        return model().study

    first, same = study(), study(run_config={"trials": 2}, refit_seeds=2, tolerance=0.1)
    others = [study(seed=1), study(search={"C": {"low": 0.1, "high": 1.0}})]
    rows = pd.read_csv(small.rows)
    rows.assign(x=rows["x"] + 1).to_csv(small.rows, index=False)

    assert same == first
    assert len({first, *others, study()}) == 4


def test_workers_of_a_run_are_processes_that_find_what_one_would_find(
    small: Small, picky: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted_by, declared = tmp_path / "own" / "fitted_by", {"models": {picky: {"trials": 4}}, "tuning": {"folds": 2}}

    materialized(small, {"workers": 2}, key=PICKY, **declared)
    two, by_two = model(PICKY), {each.name for each in fitted_by.iterdir()}
    monkeypatch.setenv("SEXTANT_HOME", str(tmp_path / "other"))
    materialized(small, key=PICKY, **declared)

    assert len(by_two - {str(os.getpid())}) == 2
    assert {each.name for each in fitted_by.iterdir()} == by_two  # one worker is this process, which refitted before
    assert model(PICKY).trials == two.trials
    assert model(PICKY).params == two.params


def test_a_trial_that_was_pruned_is_a_killed_run_and_one_that_failed_says_why(small: Small, picky: str) -> None:
    shown = materialized(
        small, key=PICKY, metric="log_loss", models={picky: {"trials": 12}}, tuning={"folds": 2, "batch": 2}
    )

    client, run = tracking().client(), shown["coordinates"]["run"]["mlflow"]
    experiment = client.get_experiment_by_name("small").experiment_id
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run}'")
    trials = {each.number: each for each in model(PICKY).trials}
    assert {each.state for each in trials.values()} == {"COMPLETE", "PRUNED", "FAIL"}
    assert len(runs) == 12
    for each in runs:
        trial = trials[int(each.data.tags["trial"])]
        assert each.info.status == {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}[trial.state]
        assert each.data.tags.get("reason") == trial.reason
        assert ("score" in each.data.metrics) == (trial.state == "COMPLETE")
        assert (trial.reason == "ValueError: not this C") == (0.004 < trial.params["C"] < 0.006)


def test_each_trial_is_an_mlflow_run_below_that_of_the_asset_which_has_the_plots(small: Small, drawn: None) -> None:
    shown = materialized(small, {"trials": 4, "folds": 2}, metric="log_loss")

    client, run = tracking().client(), shown["coordinates"]["run"]["mlflow"]
    experiment = client.get_experiment_by_name("small").experiment_id
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run}'", order_by=["start_time"])
    assert sorted(each.data.tags["trial"] for each in children) == ["0", "1", "2", "3"]
    assert {each.data.tags["state"] for each in children} == {"COMPLETE"}
    by_number = {int(each.data.tags["trial"]): each.data for each in children}
    for trial in model().trials:
        assert by_number[trial.number].metrics["score"] == trial.score
        assert float(by_number[trial.number].params["C"]) == trial.params["C"]
    assert [each.value for each in client.get_metric_history(children[0].info.run_id, "fold score")]
    artifacts = {each.path for each in client.list_artifacts(run)}
    assert {"study.html", "history.png"} <= artifacts
    page = Path(client.download_artifacts(run, "study.html", str(small.home))).read_text()
    assert page.count("Plotly.newPlot") == 3
    assert shown["study plots"].endswith(f"{run}/artifacts/study.html")
    assert shown["history"].startswith("![history](data:image/png;base64,")


def test_a_warm_start_tries_what_was_best_before_and_says_so_in_the_coordinates(small: Small) -> None:
    search = {"C": {"low": 0.5, "high": 3.0}}
    first = materialized(small, models={"logistic": {"trials": 3, "warm_start": "last", "search": search}})
    best, study = model().params, model().study

    then = materialized(small, models={"logistic": {"trials": 2, "warm_start": "last"}})

    assert "warm start" not in first
    assert then["warm start"] == {"study": study, "parameters": best}
    assert model().trials[0].params == best
    assert Ledger().get(then["coordinates id"])["data"]["warm start"]["coordinates"] == first["coordinates id"]


def test_each_of_several_targets_is_searched_for_by_folds_of_its_own_and_starts_where_it_was_best(
    small: Small,
) -> None:
    labelled.frame(300).to_csv(small.rows, index=False)
    declared = labelled.declared(path=str(small.rows))
    of_rows = {name: declared[name] for name in ("tables", "examples")}
    how = {"trials": 2, "warm_start": "last", "refit": "train_and_validation", "refit_seeds": 2}

    first = materialized(small, {"folds": 2}, models={"logistic": how}, **of_rows)
    before = model()
    then = materialized(small, {"folds": 2}, models={"logistic": {**how, "trials": 1}}, **of_rows)

    after = model()
    for target in labelled.TARGETS:
        assert f"warm start of {target}" not in first
        assert then[f"warm start of {target}"]["parameters"] == before.of(target).params
        assert after.of(target).trials[0].params == before.of(target).params
        assert len(before.of(target).trials[0].folds) == 2
    assert before.oof_predictions is not None
    assert before.oof_predictions.shape == (int((labelled.frame(300)["fold"] == "a").sum()), 3)
    assert len(before.refit_scores) == 2
    assert before.score == before.refit_scores[0] == first["validation roc_auc"]
    client, run = tracking().client(), first["coordinates"]["run"]["mlflow"]
    children = client.search_runs(
        [client.get_experiment_by_name("small").experiment_id], f"tags.`mlflow.parentRunId` = '{run}'"
    )
    assert {child.info.run_name for child in children} == {
        f"trial {number} of {target}" for number in (0, 1) for target in labelled.TARGETS
    }
    assert {f"study_{target}.html" for target in labelled.TARGETS} <= {file.path for file in client.list_artifacts(run)}


def test_a_search_that_is_impossible_is_refused_when_the_use_case_is_loaded(small: Small) -> None:
    for declared, said in (
        ({"search": {"c": 1.0}}, r"logistic.search: scikit-learn \S+ has no parameter 'c'. It searches \['C'\]"),
        ({"search": {"C": {"low": 3, "high": 1}}}, r"low \(3\) is above high \(1\)"),
        ({"search": {"C": []}}, r"the lists of \['C'\] are empty"),
    ):
        with pytest.raises(ValueError, match=said):
            all_assets(Case("small", UseCase.model_validate(small.declared(models={"logistic": declared}))))
    unsettled = UseCase.model_validate(
        small.declared(models={"tests.support.toy:Toy": {"refit": "train_and_validation"}})
    )
    with pytest.raises(ValueError, match=r"refit: train_and_validation is not for toy, .* for these it is: \["):
        all_assets(Case("small", unsettled))


def test_the_spread_over_seeds_is_shown(small: Small) -> None:
    shown = materialized(small, models={"logistic": {"trials": 1, "refit_seeds": 3, "refit": "train_and_validation"}})

    assert shown["validation roc_auc mean of seeds"] == pytest.approx(shown["validation roc_auc"])
    assert shown["validation roc_auc standard deviation of seeds"] == pytest.approx(0.0)
    assert json.dumps(shown["best parameters"])
