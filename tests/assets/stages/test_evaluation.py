"""The report of a run: what stands in it, where it is shown, and what may not decide it."""

import base64
import html
import importlib
import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper, numpy_helper
from sklearn import metrics as reference

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from ml.evaluation.record import Evaluation
from ml.exported.model import ExportedModel
from ml.intervals.thresholds import choose_threshold
from ml.models.near_zero import Transformed
from ml.provenance.stamp import read_stamp
from ml.tasks.metrics import METRICS
from ml.tasks.row_weights import WEIGHT
from resources.ledger import Ledger
from resources.storage import Storage
from resources.tracking.runs import tracking
from tests.support.small import failure

TOY = "tests.support.toy:Toy"
SHOWN = {"resamples": 100, "slices": ["site"], "sensitive": ["site"], "slice_rows": 10, "shap_rows": 10}


@pytest.fixture
def sited(small: Any) -> Any:
    """The small use case with a column to slice by."""
    frame = pd.read_csv(small.rows)
    frame["site"] = np.where(frame["id"] % 3 == 0, "north", "south")
    frame.to_csv(small.rows, index=False)
    return small


def stored(asset: str) -> Any:
    result = Ledger().latest_result(f"small/{asset}")
    assert result is not None
    return Storage().load(result)


def metadata() -> dict[str, Any]:
    with dg.DagsterInstance.get() as instance:
        record = instance.fetch_materializations(dg.AssetKey(["small", "evaluation"]), limit=1).records[0]
    assert record.asset_materialization is not None
    return dict(record.asset_materialization.metadata)


def artifacts(folder: Path) -> dict[str, Path]:
    """The files of the evaluation's MLflow run."""
    run = metadata()["MLflow run"].value.rpartition("/")[2]
    folder.mkdir()
    local = Path(tracking().client().download_artifacts(run, "", str(folder)))
    return {file.name: file for file in local.rglob("*") if file.is_file()}


def test_the_report_holds_what_the_evaluation_found(sited: Any, tmp_path: Path) -> None:
    sited.materialize("evaluation", evaluation=SHOWN)
    found: Evaluation = stored("evaluation")

    files = artifacts(tmp_path / "copies")

    told = json.loads(files["report.json"].read_text())
    assert told["metrics"] == found.metrics
    assert told["slices"][0]["score"]["low"] == found.slices[0].score.low
    for name in ("report.json", "report.html"):
        stamp = read_stamp(files[name])
        assert stamp is not None
        assert (stamp.coordinates, stamp.intact) == (found.coordinates, True)
    assert {each.name for each in found.slices} >= {"site = north", "site = south"}
    assert [each.value for each in found.fairness[0].groups] == ["north", "south"]


def test_the_page_dagster_and_mlflow_show_the_same_pictures(sited: Any, tmp_path: Path, drawn: None) -> None:
    sited.materialize("evaluation", evaluation=SHOWN)

    files, shown = artifacts(tmp_path / "copies"), metadata()

    pictures = {name.removesuffix(".png"): file.read_bytes() for name, file in files.items() if name.endswith(".png")}
    assert set(pictures) >= {"ROC curve", "precision and recall", "confusion matrix", "calibration", "slices",
                             "permutation importance", "SHAP values"}  # fmt: skip
    on_page = dict(
        re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)"', files["report.html"].read_text())
    )
    for name, png in pictures.items():
        encoded = base64.b64encode(png).decode()
        assert on_page[name] == encoded
        assert encoded in shown[name].value


def test_all_models_are_judged_on_the_same_rows_with_intervals(sited: Any) -> None:
    sited.materialize("production_model", evaluation=SHOWN)
    sited.materialize("evaluation", evaluation=SHOWN, models={"lightgbm": {"trials": 1}})

    found: Evaluation = stored("evaluation")

    test = stored("features/test")
    y, candidate = test["target"].to_numpy(), ExportedModel(stored("onnx_model")).scores(test)
    assert found.rows == len(y)
    assert found.metrics["roc_auc"] == METRICS["roc_auc"](y, candidate)
    assert found.baseline_metrics["roc_auc"] == 0.5
    assert found.champion_version == "1"
    for intervals in (found.intervals, found.champion_intervals, found.baseline_intervals):
        assert set(intervals) == set(found.metrics)
        assert all(each.low <= each.value <= each.high for each in intervals.values())
    assert [each.name for each in found.slices if each.against_champion] == ["site = north", "site = south"]
    assert "champion (version 1)" in metadata()["in short"].value


def test_the_champions_metrics_are_scikit_learns_on_the_same_test_rows(sited: Any) -> None:
    sited.materialize("production_model", evaluation=SHOWN)
    champion = stored("onnx_model")
    sited.materialize("evaluation", evaluation=SHOWN, models={"lightgbm": {"trials": 1}})

    found: Evaluation = stored("evaluation")

    test = stored("features/test")
    y, p = test["target"].to_numpy(), ExportedModel(champion).scores(test)
    assert found.champion_metrics == pytest.approx(
        {
            "roc_auc": reference.roc_auc_score(y, p),
            "average_precision": reference.average_precision_score(y, p),
            "log_loss": reference.log_loss(y, p),
            "brier": reference.brier_score_loss(y, p),
            "accuracy": reference.accuracy_score(y, p >= 0.5),
            "f1_macro": reference.f1_score(y, p >= 0.5, average="macro"),
        }
    )
    north = test["id"].to_numpy() % 3 == 0
    both = found.slices[0].against_champion
    assert both is not None
    assert (both.rows, found.slices[0].value) == (north.sum(), "north")
    assert both.champion.value == pytest.approx(reference.roc_auc_score(y[north], p[north]))


def test_the_json_the_page_and_the_checks_tell_the_same_of_the_gates(sited: Any, tmp_path: Path) -> None:
    gates = {"roc_auc": {"at_least": 0.99}, "champion": {"not_worse_by": 1.0}}
    sited.materialize("evaluation", evaluation=SHOWN, gates=gates)
    files = artifacts(tmp_path / "copies")

    gates_told = json.loads(files["report.json"].read_text())["gates"]

    cells = r"<tr><td>([^<]+)<td class=\"(?:yes|no)\">(passed|refused)<td>([^\n]+)"
    page = {gate: (word == "passed", html.unescape(why)) for gate, word, why in
            re.findall(cells, files["report.html"].read_text())}  # fmt: skip
    assert {each["gate"]: (each["passed"], each["reason"]) for each in gates_told} == page
    assert [each["gate"] for each in gates_told if not each["passed"]][:1] == ["roc_auc"]
    found: Evaluation = stored("evaluation")
    assert gates_told[0]["figures"] == {"roc_auc": found.metrics["roc_auc"], "at least": 0.99}


def test_the_threshold_is_chosen_on_validation_and_no_test_row_has_a_say(sited: Any) -> None:
    sited.materialize("evaluation", evaluation=SHOWN)
    development, onnx_model = stored("features/development"), stored("onnx_model")
    valid = development[development["split"] == "validation"]

    found: Evaluation = stored("evaluation")

    chosen = choose_threshold(valid["target"].to_numpy(), ExportedModel(onnx_model).scores(valid))
    assert found.reference == ExportedModel(onnx_model).reference
    assert found.reference is not None
    assert found.reference.threshold is not None
    assert found.reference.threshold.value == pytest.approx(chosen.value, abs=1e-5)
    test = stored("features/test")
    on_test = choose_threshold(test["target"].to_numpy(), ExportedModel(onnx_model).scores(test))
    assert found.reference.threshold.value != pytest.approx(on_test.value, abs=1e-3)


def test_a_slice_of_an_unknown_column_is_refused_before_any_training(sited: Any) -> None:
    with pytest.raises(Exception, match=r"evaluation.slices names \['cite'\].*allowed: id, site, x, y"):
        sited.materialize("evaluation", evaluation={"slices": ["cite"]})

    assert Ledger().latest_of("small/models/logistic") is None


def test_the_same_run_gives_the_same_evaluation(sited: Any) -> None:
    sited.materialize("evaluation", evaluation=SHOWN)
    first: Evaluation = stored("evaluation")

    sited.materialize("evaluation", evaluation=SHOWN)

    again: Evaluation = stored("evaluation")
    of_the_run = {"coordinates", "serving"}
    assert first.model_dump_json(exclude=of_the_run) == again.model_dump_json(exclude=of_the_run)


def wrong_where(content: bytes, column: int, value: float, answer: float) -> bytes:
    """An exported model that gives another answer to the rows whose number in a column has a value."""
    whole = onnx.load_from_string(content)
    numbers = {"at": np.array(column), "value": np.array(value, np.float32), "wrong": np.array(answer, np.float32)}
    whole.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in numbers.items())
    next(node for node in whole.graph.node if list(node.output) == ["score"]).output[0] = "right"
    chain = [
        helper.make_node("Gather", ["numeric", "at"], ["picked"], axis=1),
        helper.make_node("Equal", ["picked", "value"], ["equal"]),
        helper.make_node("Where", ["equal", "wrong", "right"], ["score"]),
    ]
    whole.graph.node.extend(chain)
    return bytes(whole.SerializeToString())


@pytest.mark.parametrize("answer", [0.123, np.nan, np.inf])
def test_an_exported_model_that_is_wrong_on_one_test_row_alone_is_refused(
    small: Any, monkeypatch: pytest.MonkeyPatch, answer: float
) -> None:
    small.materialize("features/test")
    frame, key = pd.read_csv(small.rows), stored("features/test")["id"].iloc[7]
    frame.loc[frame["id"] == key, "x"] = 0.123456
    frame.to_csv(small.rows, index=False)
    export = importlib.import_module("assets.stages.onnx_model").export
    monkeypatch.setattr(
        "assets.stages.onnx_model.export", lambda *given: wrong_where(export(*given), 0, 0.123456, answer)
    )

    refused = failure(small.attempt("production_model", upstream=True))

    assert "parity: the largest difference to the native model is " in refused
    assert "; needed: at most 1e-05 (on the test rows: real rows)" in refused
    assert ("finite: 1 of the 60 test rows are answered with what is no finite number" in refused) == (answer != 0.123)
    native = Ledger().get(str(Ledger().latest_of("small/evaluation")))["data"]["native"]
    assert native["asset"] == "small/models/logistic"


def test_further_metrics_are_tuned_by_reported_and_gated_alike(sited: Any, tmp_path: Path) -> None:
    own, bounds = "tests.support.own_metrics:profit", ("precision_at_0.2", "tests.support.own_metrics:profit", "mcc")
    gates = {**sited.declared()["gates"], **{name: {"at_least": -1 if name != bounds[0] else 0} for name in bounds}}
    plan = {**SHOWN, "metrics": ["fbeta_0.5"]}

    sited.materialize("evaluation", metric=own, gates=gates, evaluation=plan)

    found: Evaluation = stored("evaluation")
    assert stored("models/logistic").metric == stored("leaderboard").metric == own
    assert set(found.metrics) > {own, "precision_at_0.2", "mcc", "fbeta_0.5"}
    assert found.undefined == {}
    assert found.intervals[own].low < found.metrics[own] < found.intervals[own].high
    assert found.reference is not None
    assert found.reference.validation[own] == pytest.approx(stored("models/logistic").score)
    assert found.slices[0].score.value == found.slices[0].score.value
    files = artifacts(tmp_path / "copies")
    page = files["report.html"].read_text()
    told = {gate["gate"]: gate["passed"] for gate in json.loads(files["report.json"].read_text())["gates"]}
    assert {"precision_at_0.2": True, "profit": True, "mcc": True}.items() <= told.items()
    assert f"<td>{own}" in page


def test_weights_of_a_column_count_in_training_and_in_every_score(sited: Any) -> None:
    frame = pd.read_csv(sited.rows)
    frame["amount"] = 1 + 9 * (frame["id"] % 3 == 0)
    frame.to_csv(sited.rows, index=False)
    examples = {**sited.declared()["examples"], "weights": "amount"}
    blended = {"logistic": {"trials": 1}, "hist_boosting": {"trials": 1}, "ensemble": {"rounds": 3}}

    sited.materialize("evaluation", evaluation=SHOWN, examples=examples, models=blended)

    found: Evaluation = stored("evaluation")
    model, test = ExportedModel(stored("onnx_model")), stored("features/test")
    development = stored("features/development")
    valid = development[development["split"] == "validation"]
    assert set(test[WEIGHT]) == {1.0, 10.0}
    assert "amount" not in model.encoder.features
    weights = {"sample_weight": test[WEIGHT]}
    assert found.metrics["roc_auc"] == pytest.approx(
        reference.roc_auc_score(test["target"], model.scores(test), **weights), rel=1e-9
    )
    assert found.metrics["roc_auc"] != reference.roc_auc_score(test["target"], model.scores(test))
    south = test["id"] % 3 != 0
    assert found.slices[1].score.value == pytest.approx(
        reference.roc_auc_score(test["target"][south], model.scores(test[south])), rel=1e-9
    )
    for name in ("logistic", "hist_boosting"):
        tuned = stored(f"models/{name}")
        expected = reference.roc_auc_score(valid["target"], tuned.valid_predictions, sample_weight=valid[WEIGHT])
        assert tuned.score == pytest.approx(expected, rel=1e-9)
    train = development[development["split"] == "train"]
    assert found.reference is not None
    assert found.reference.baseline == pytest.approx((np.average(train["target"], weights=train[WEIGHT]),))


def test_rows_are_ranked_within_groups_in_every_score(sited: Any) -> None:
    frame = pd.read_csv(sited.rows)
    frame["list"] = frame["id"] // 6
    frame.to_csv(sited.rows, index=False)
    examples = {**sited.declared()["examples"], "ranked_within": "list"}
    blended = {"logistic": {"trials": 1, "rows": 100}, "hist_boosting": {"trials": 1}, "ensemble": {"rounds": 3}}
    changes: dict[str, Any] = {
        "metric": "ndcg_at_3",
        "gates": {**sited.declared()["gates"], "map_at_3": {"at_least": 0.1}},
        "tuning": {"folds": 2},
        "models": blended,
    }

    sited.materialize("evaluation", evaluation=SHOWN, examples=examples, **changes)

    def ndcg(rows: pd.DataFrame, answers: np.ndarray) -> float:
        lists = rows.assign(answer=answers).groupby("example_group")
        telling = [of for _, of in lists if len(of) > 1 and of["target"].any()]
        return float(np.mean([reference.ndcg_score([of["target"]], [of["answer"]], k=3) for of in telling]))

    found: Evaluation = stored("evaluation")
    model, test, development = (
        ExportedModel(stored("onnx_model")),
        stored("features/test"),
        stored("features/development"),
    )
    assert "list" not in model.encoder.features
    assert not set(test["example_group"]) & set(development["example_group"])
    assert found.metrics["ndcg_at_3"] == pytest.approx(ndcg(test, model.scores(test)), abs=1e-12)
    interval = found.intervals["ndcg_at_3"]
    assert interval.low < found.metrics["ndcg_at_3"] < interval.high
    assert 0 < found.metrics["map_at_3"] <= 1
    south = (test["id"] % 3 != 0).to_numpy()
    assert found.slices[1].score.value == pytest.approx(ndcg(test[south], model.scores(test[south])), abs=1e-12)
    valid, train = (development[development["split"] == name] for name in ("validation", "train"))
    for name in ("logistic", "hist_boosting", "ensemble"):
        tuned = stored(f"models/{name}")
        assert tuned.score == pytest.approx(ndcg(valid, tuned.valid_predictions), abs=1e-12)
    answered = ~np.isnan(stored("models/logistic").oof_predictions)
    assert 90 <= answered.sum() <= 100
    assert train[answered].groupby("example_group").size().max() == 6


def test_balanced_classes_count_in_training_and_not_in_scores(small: Any) -> None:
    examples = {**small.declared()["examples"], "weights": "balanced"}

    small.materialize("evaluation", evaluation=SHOWN | {"slices": [], "sensitive": []}, examples=examples)

    model, test = ExportedModel(stored("onnx_model")), stored("features/test")
    assert WEIGHT not in test.columns
    assert stored("evaluation").metrics["roc_auc"] == reference.roc_auc_score(test["target"], model.scores(test))


def test_a_family_that_takes_no_weights_is_refused_with_those_that_do(small: Any) -> None:
    examples = {**small.declared()["examples"], "weights": "balanced"}
    case = Case("small", UseCase.model_validate(small.declared(models={TOY: {}}, examples=examples)))

    with pytest.raises(ValueError, match=r"models.toy cannot take examples.weights \(balanced\); these can: \['cat"):
        all_assets(case)


@pytest.mark.parametrize(
    ("name", "objective", "changes", "message"),
    [
        (
            "lightgbm",
            "mae",
            {"monotone": {"x": "increasing"}},
            r"models.lightgbm cannot keep to monotone \(x\) by the objective mae; these can: \[\]",
        ),
        (
            "catboost",
            "quantile_0.9",
            {"examples": {"weights": "w"}},
            r"models.catboost cannot take examples.weights \(w\) by the objective quantile_0.9; these can: ",
        ),
        (
            "lightgbm",
            None,
            {"examples": {"weights": "w"}, "metric": "tests.support.own_metrics:profit"},
            "own_metrics:profit' takes no weights, and examples.weights names a column",
        ),
        (
            "lightgbm",
            None,
            {"gates": {"tests.support.own_metrics:best_is_right": {"at_least": 0}}},
            "best_is_right' ranks rows within groups: name their column",
        ),
    ],
)
def test_what_no_library_keeps_together_is_refused_when_the_use_case_is_loaded(
    small: Any, name: str, objective: str | None, changes: dict[str, Any], message: str
) -> None:
    declared = small.declared(task="regression", models={name: {}}, **({"objective": objective} if objective else {}))
    examples = {**declared["examples"], "target": "x", **changes.pop("examples", {})}
    case = Case("small", UseCase.model_validate({**declared, **changes, "examples": examples}))

    with pytest.raises(ValueError, match=message):
        all_assets(case)


def counted(small: Any, **changes: Any) -> dict[str, Any]:
    """The small use case with a count to predict."""
    frame = pd.read_csv(small.rows)
    frame["events"] = np.random.default_rng(0).poisson(np.exp(frame["x"]))
    frame.to_csv(small.rows, index=False)
    return {
        "task": "regression",
        "examples": {**small.declared()["examples"], "target": "events"},
        "models": {"hist_boosting": {"trials": 1}},
        "evaluation": {**SHOWN, "slices": [], "sensitive": []},
        **changes,
    }


@pytest.mark.parametrize(("objective", "metric"), [("poisson", "rmse"), ("quantile_0.8", "pinball_0.8")])
def test_an_objective_is_what_training_onnx_report_and_gates_go_by(small: Any, objective: str, metric: str) -> None:
    small.materialize("evaluation", **counted(small, objective=objective))

    found: Evaluation = stored("evaluation")
    model, test, development = (
        ExportedModel(stored("onnx_model")),
        stored("features/test"),
        stored("features/development"),
    )
    answers = model.scores(test)
    learned = development["target"][development["split"] == "train"]
    assert stored("leaderboard").metric == metric
    assert found.reference is not None
    if objective == "poisson":
        assert (answers > 0).all()
        assert found.reference.baseline == (learned.mean(),)
    else:
        assert found.metrics[metric] == reference.mean_pinball_loss(test["target"], answers, alpha=0.8)
        assert found.reference.baseline == (np.quantile(learned, 0.8),)
    assert found.serving is not None
    assert found.serving.parity < 1e-5


def test_targets_that_an_objective_does_not_allow_are_counted(small: Any) -> None:
    examples = {**small.declared()["examples"], "target": "events - 1"}

    done = small.attempt("models/hist_boosting", upstream=True, **counted(small, objective="gamma", examples=examples))

    assert re.search(r"the objective gamma needs targets above 0: \d+ of \d+ are not; leave such rows", failure(done))


def test_a_family_that_cannot_learn_an_objective_is_refused_with_those_that_can(small: Any) -> None:
    declared = small.declared(**counted(small, objective="mae", models={"ridge": {}}))
    case = Case("small", UseCase.model_validate(declared))

    with pytest.raises(
        ValueError, match=r"models.ridge cannot learn the objective mae; these can: \['catboost', 'hist"
    ):
        all_assets(case)


def test_a_transformed_target_is_learned_and_the_number_is_answered_and_judged(small: Any) -> None:
    examples = {**small.declared()["examples"], "target": "log1p(events)"}
    models = {"ridge": {"trials": 1}, "hist_boosting": {"trials": 1}, "ensemble": {"rounds": 4}}

    small.materialize("evaluation", **counted(small, examples=examples, models=models, tuning={"folds": 2}))

    found: Evaluation = stored("evaluation")
    model, test, development = (
        ExportedModel(stored("onnx_model")),
        stored("features/test"),
        stored("features/development"),
    )
    events = pd.read_csv(small.rows).set_index("id")["events"]
    assert (test["target"] == test["id"].map(events)).all()
    assert "events" not in model.encoder.features
    assert found.metrics["rmse"] == pytest.approx(
        reference.root_mean_squared_error(test["target"], model.scores(test)), rel=1e-9
    )
    for name in ("ridge", "hist_boosting"):
        assert isinstance(stored(f"models/{name}").model, Transformed)
    assert found.reference is not None
    assert found.reference.interval is not None
    assert found.reference.baseline == (development["target"][development["split"] == "train"].mean(),)
    assert found.serving is not None
    assert found.serving.parity < 1e-5


def test_targets_without_a_logarithm_are_counted(small: Any) -> None:
    examples = {**small.declared()["examples"], "target": "ln(events)"}

    done = small.attempt("examples", upstream=True, **counted(small, examples=examples))

    assert re.search(
        r"events is not above 0 in \d+ of 300 rows, as examples.target \(ln\(events\)\) needs", failure(done)
    )


def test_a_monotone_feature_that_there_is_not_is_refused_with_those_that_there_are(small: Any) -> None:
    declared = counted(small, monotone={"y": "increasing"}, examples=small.declared()["examples"])
    declared |= {"task": "binary"}

    done = small.attempt("models/hist_boosting", upstream=True, **declared)

    assert re.search(r"monotone names \['y'\], which are no features that are numbers; allowed: ", failure(done))


def test_a_family_that_cannot_be_monotone_is_refused_with_those_that_can(small: Any) -> None:
    case = Case("small", UseCase.model_validate(small.declared(monotone={"x": "increasing"})))

    with pytest.raises(ValueError, match=r"models.logistic cannot keep to monotone \(x\); these can: \['catboost'"):
        all_assets(case)
