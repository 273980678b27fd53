"""The ensemble: what it selects, what that is worth, and that its graph answers as it does."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.exported.onnx import export, measure_parity
from ml.models.family import Training
from ml.search.blended import sharpened
from ml.search.ensemble import blend, cross_fitted, select
from ml.search.folds import folded
from ml.search.tuning import TunedModel, tune
from ml.tasks.counting import Counting
from ml.tasks.encoding import Encoder
from ml.tasks.folds import random_folds
from ml.tasks.metrics import score
from ml.tasks.sampling import sampled_rows
from ml.tasks.task import Kind, Task

FAMILIES: dict[Kind, tuple[str, ...]] = {
    "binary": ("logistic", "lightgbm", "mlp"),
    "multiclass": ("logistic", "hist_boosting"),
    "regression": ("ridge", "lightgbm"),
}
METRIC: dict[Kind, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def problem(kind: Kind) -> tuple[pd.DataFrame, Training]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=900), "b": rng.normal(size=900), "c": rng.choice([*"xyz", None], 900)})
    worth = frame["a"] + np.sin(3 * frame["b"]) + (frame["c"] == "x") + rng.normal(0, 0.7, 900)
    frame["target"] = {
        "binary": (worth > 0.5).astype("int8"),
        "multiclass": pd.Series(np.select([worth < 0, worth < 1], ["low", "middle"], "high")),
        "regression": 100 + 10 * worth,
    }[kind]
    train, valid = frame[:600], frame[600:]
    encoder, task = Encoder.fit(train, ["a", "b"], ["c"]), Task.of(kind, train["target"])
    y, y_valid = (task.labels(rows["target"]) for rows in (train, valid))
    return valid, Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder, task)


def tuned(data: Training, kind: Kind) -> dict[str, TunedModel]:
    return {name: tune(name, data, trials=1, seed=0, metric=METRIC[kind]) for name in FAMILIES[kind]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAMILIES)
def test_the_graph_of_a_blend_answers_as_the_blend_does(kind: Kind) -> None:
    valid, data = problem(kind)

    ensemble, selection = blend(tuned(data, kind), data.y, data.y_valid, rounds=10)

    content = export(ensemble.model, ensemble.encoder, {}, ensemble.task)
    assert content == export(ensemble.model, ensemble.encoder, {}, ensemble.task)
    measure_parity(ensemble.model, ensemble.encoder, content, valid).raise_for_drift()
    assert ensemble.valid_predictions == pytest.approx(ensemble.model.predict(data.X_valid), abs=1e-12)
    assert sum(selection.weights.values()) == pytest.approx(1)
    assert pickle.dumps(ensemble) == pickle.dumps(blend(tuned(data, kind), data.y, data.y_valid, rounds=10)[0])


@pytest.mark.slow
def test_members_of_no_weight_are_left_out_of_the_model() -> None:
    _, data = problem("binary")
    models = tuned(data, "binary")
    noise = replace(models["mlp"], valid_predictions=np.random.default_rng(0).random(300))

    ensemble, selection = blend({**models, "mlp": noise}, data.y, data.y_valid, rounds=5)

    assert "mlp" not in selection.weights
    assert [member.name for member in ensemble.model.members] == sorted(selection.weights)  # type: ignore[attr-defined]


@given(st.integers(0, 1000), st.sampled_from(["roc_auc", "log_loss"]))
@settings(max_examples=25, deadline=None)
def test_a_selection_is_never_worse_than_its_best_member_where_it_was_selected(seed: int, metric: str) -> None:
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 2
    predictions = {name: np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(0, 0.2, 60), 0.01, 0.99) for name in "abc"}
    sign = 1 if metric == "roc_auc" else -1

    weights, path = select(predictions, y, metric, 8)

    mean = sum(weight * predictions[name] for name, weight in weights.items())
    assert sign * score(metric, y, np.asarray(mean)) >= max(sign * score(metric, y, p) for p in predictions.values())
    assert sign * score(metric, y, np.asarray(mean)) == pytest.approx(max(sign * value for _, value in path))


def test_ties_go_to_the_first_name_and_the_smallest_blend() -> None:
    y = np.array([0, 1, 0, 1])
    same = np.array([0.1, 0.9, 0.2, 0.8])

    weights, path = select({"b": same, "a": same.copy()}, y, "roc_auc", 4)

    assert weights == {"a": 1.0}
    assert [name for name, _ in path] == ["a"] * 4


def test_the_blend_that_is_known_to_be_best_is_found() -> None:
    y = np.linspace(-1, 1, 50)

    weights, _ = select({"above": y + 1, "below": y - 3}, y, "rmse", 20)

    assert weights == {"above": 0.75, "below": 0.25}


def test_no_row_is_blended_by_weights_that_have_seen_it() -> None:
    rng = np.random.default_rng(0)
    y = np.sort(rng.normal(size=40))
    predictions = {"a": y + rng.normal(size=40), "b": y + rng.normal(size=40)}

    before = cross_fitted(predictions, y, "rmse", 10)
    predictions = {name: p.copy() for name, p in predictions.items()}
    for p in predictions.values():
        p[0] += 100  # an outlier in the half of even places can change the weights of odd ones only
    after = cross_fitted(predictions, y, "rmse", 10)

    assert np.array_equal(before[2::2], after[2::2])


def test_no_row_of_a_group_is_blended_by_weights_that_have_seen_another() -> None:
    rng = np.random.default_rng(0)
    y, groups = rng.normal(size=60), rng.integers(0, 10, 60)
    predictions = {"a": y + rng.normal(size=60), "b": y + rng.normal(size=60)}

    before = cross_fitted(predictions, y, "rmse", 10, Counting(groups=groups))
    changed = {name: p + 100 * (groups == 3) * rng.normal(size=60) for name, p in predictions.items()}
    after = cross_fitted(changed, y, "rmse", 10, Counting(groups=groups))

    by_group = [np.array_equal(before[groups == group], after[groups == group]) for group in range(10)]
    assert sum(by_group) == 4  # those of the half of the group that has changed, without itself


def test_among_families_that_guess_the_score_of_a_blend_is_no_better_than_guessing() -> None:
    _, data = problem("binary")
    rng = np.random.default_rng(1)
    model = tune("logistic", data, trials=1, seed=0)
    scores, selected = [], []
    for _ in range(10):
        guesses = {f"m{i}": replace(model, valid_predictions=rng.random(300)) for i in range(8)}
        ensemble, selection = blend(guesses, data.y, data.y_valid, rounds=10)
        scores.append(ensemble.score)
        selected.append(max(value for _, value in selection.path))

    assert np.mean(scores) == pytest.approx(0.5, abs=0.025)
    assert np.mean(selected) > 0.55


@pytest.mark.slow
def test_out_of_fold_predictions_are_selected_on_where_all_families_answer() -> None:
    _, data = problem("binary")
    models = tuned(data, "binary")
    first = np.arange(600) < 100
    good, bad = np.where(data.y == 1, 0.9, 0.1), np.where(data.y == 1, 0.1, 0.9)
    held_out = {"logistic": good, "lightgbm": bad, "mlp": bad}
    folded = {n: replace(m, oof_predictions=np.where(first, np.nan, held_out[n])) for n, m in models.items()}

    ensemble, selection = blend(folded, data.y, data.y_valid, rounds=5)

    assert selection.weights == {"logistic": 1.0}
    assert (selection.rows, selection.out_of_fold) == (500, True)
    assert ensemble.score == models["logistic"].score


def test_families_with_different_samples_are_selected_on_the_smaller_one() -> None:
    _, data = problem("binary")
    frame = pd.DataFrame(data.X, columns=data.encoder.features)
    encoder = Encoder.fit(frame, data.encoder.features, [])
    data = replace(data, encoder=encoder)
    models = {}
    for name, rows in (("logistic", 120), ("lightgbm", 400)):
        drawn = sampled_rows(data.y, data.task, rows, 0)
        folds = folded(frame, data.y, encoder, data.task, random_folds(data.y[drawn], data.task, 3, 0), drawn)
        models[name] = tune(name, data, trials=1, seed=0, rows=rows, folds=folds)

    _, selection = blend(models, data.y, data.y_valid, rounds=5)

    assert (selection.rows, selection.out_of_fold) == (120, True)


@pytest.mark.slow
def test_families_that_see_other_columns_are_not_blended() -> None:
    _, data = problem("binary")
    models = tuned(data, "binary")
    other = replace(models["mlp"], encoder=replace(data.encoder, categories={"c": ("x",)}))

    with pytest.raises(ValueError, match="have 2 different encoders, metrics or tasks"):
        blend({**models, "mlp": other}, data.y, data.y_valid, rounds=5)


def test_the_next_best_trials_take_part_under_names_of_their_own() -> None:
    _, data = problem("binary")
    model = tune("logistic", data, trials=1, seed=0)
    good, bad = np.where(data.y_valid == 1, 0.9, 0.1), np.where(data.y_valid == 1, 0.1, 0.9)
    second, third = (replace(model, valid_predictions=p) for p in (bad, good))

    blended, selection = blend(
        {"logistic": replace(model, valid_predictions=bad, next_best=(second, third))}, data.y, data.y_valid, rounds=5
    )

    assert selection.weights == {"logistic.3": 1.0}
    assert blended.params == selection.weights


@pytest.mark.parametrize("folds", [True, False])
def test_a_calibrated_blend_is_as_sure_as_the_rows_of_the_selection_say(folds: bool) -> None:
    _, data = problem("binary")
    model = tune("logistic", data, trials=1, seed=0, metric="log_loss")
    unsure = sharpened(model.valid_predictions, 0.7)
    timid = replace(model, valid_predictions=unsure)
    if folds:
        timid = replace(timid, oof_predictions=sharpened(model.model.predict(data.X), 0.7))

    plain, calibrated = (
        blend({"logistic": timid}, data.y, data.y_valid, rounds=2, calibrate=calibrate)[0]
        for calibrate in (False, True)
    )

    assert calibrated.model.sharpness > 1.2  # type: ignore[attr-defined]
    assert plain.score == score("log_loss", data.y_valid, unsure)
    assert calibrated.score < plain.score
    assert np.array_equal(np.argsort(calibrated.valid_predictions), np.argsort(plain.valid_predictions))


def test_numbers_are_not_calibrated() -> None:
    _, data = problem("regression")
    ridge = tune("ridge", data, trials=1, seed=0, metric="rmse")

    with pytest.raises(ValueError, match="Only probabilities can be calibrated"):
        blend({"ridge": ridge}, data.y, data.y_valid, rounds=2, calibrate=True)
