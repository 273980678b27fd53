"""Importances and SHAP values, against functions of which they are known."""

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.explanations import Exported, explain, import_shap, permutation_drops, shap_values
from ml.exported.onnx import export, predict, session
from ml.models.catalogue import family
from ml.models.family import Training
from ml.tasks.encoding import Encoder
from ml.tasks.task import Task
from service.plan.texts import unlearned

WEIGHTS = np.array([3.0, -2.0, 0.0])


def linear(X: np.ndarray) -> np.ndarray:
    return X @ WEIGHTS


def test_shap_values_of_a_linear_function_are_its_weights_times_the_distance_from_the_background() -> None:
    random = np.random.default_rng(0)
    background, X = random.normal(size=(20, 3)), random.normal(size=(7, 3))

    found = shap_values(linear, background, X, seed=0)

    assert found == pytest.approx(WEIGHTS * (X - background.mean(axis=0)), abs=1e-9)


def test_shap_values_of_a_row_sum_up_to_its_answer_for_each_class() -> None:
    random = np.random.default_rng(0)
    background, X = random.normal(size=(10, 4)), random.normal(size=(5, 4))

    def classes(rows: np.ndarray) -> np.ndarray:
        powers = np.exp(np.column_stack([rows[:, 0] * rows[:, 1], rows[:, 2], np.zeros(len(rows))]))
        shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return shares

    found = shap_values(classes, background, X, seed=0)

    assert found.shape == (5, 4, 3)
    assert found.sum(axis=1) == pytest.approx(classes(X) - classes(background).mean(axis=0), abs=1e-9)
    assert (found == shap_values(classes, background, X, seed=0)).all()


def test_shuffling_costs_what_the_feature_is_worth_and_nothing_where_it_is_not_used() -> None:
    X = np.random.default_rng(0).normal(size=(2000, 3))

    ((drops, _),) = permutation_drops(linear, X, linear(X), "rmse", seed=0)

    assert drops == pytest.approx(np.abs(WEIGHTS) * 2**0.5, rel=0.05)


def test_the_compiler_that_shap_is_loaded_without_is_there_again_afterwards() -> None:
    from numba import config

    import_shap()

    assert vars(config)["DISABLE_JIT"] in (0, False)


@pytest.fixture
def exported() -> tuple[Exported, Encoder, pd.DataFrame, np.ndarray, bytes]:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=400), "z": random.normal(size=400)})
    frame["city"] = random.choice(np.array(["Rome", "Oslo", None], dtype=object), 400)
    frame.loc[::7, "x"] = np.nan
    y = ((frame["x"].fillna(0) + (frame["city"] == "Rome")) > 0.3).to_numpy().astype("int8")
    encoder = Encoder.fit(frame, ["x", "z"], ["city"])
    X = encoder.encode(frame)
    model = family("logistic").fit(Training(X, y, X, y, encoder), family("logistic").defaults(), seed=0)
    content = export(model, encoder, {}, Task())
    return Exported(session(content), encoder), encoder, frame, y, content


def test_a_plain_matrix_is_answered_like_the_rows_that_it_stands_for(exported: tuple) -> None:  # type: ignore[type-arg]
    model, encoder, frame, _, content = exported

    found = model.predict(encoder.encode(frame).astype(float))

    assert (found == predict(session(content), encoder, frame)).all()


def test_a_text_is_one_feature_however_many_numbers_it_becomes() -> None:
    random = np.random.default_rng(0)
    words = np.array(["good", "bad", "the", "a"])
    notes = pd.Series([" ".join(random.choice(words, 4)) for _ in range(200)], dtype=object)
    frame = pd.DataFrame({"x": random.normal(size=200), "note": notes, "city": random.choice(["Rome", "Oslo"], 200)})
    frame.loc[::9, "note"] = None
    y = (frame["note"].fillna("").str.count("good") > 1).to_numpy().astype("int8")
    encoder = Encoder.fit(frame, ["x"], ["city"], [unlearned("note", {"words": (1, 2)}, 30, 2)])
    X = encoder.encode(frame)
    model = family("logistic").fit(Training(X, y, X, y, encoder), family("logistic").defaults(), seed=0)
    content = export(model, encoder, {}, Task())

    exported = Exported(session(content), encoder, frame)

    assert exported.encoder.features == ("x", "city", "note")
    answers = exported.predict(exported.encoder.encode(frame).astype(float))
    assert (answers == predict(session(content), encoder, frame)).all()
    explained = explain(exported.predict, exported.encoder, frame, y, Task(), "roc_auc", rows=150, shap_rows=10, seed=1)
    assert explained.importances[0].feature == "note"
    assert explained.importances[0].drop > 0.2


def test_what_the_exported_model_uses_matters_most_and_the_same_seed_says_the_same(
    exported: tuple,  # type: ignore[type-arg]
) -> None:
    model, encoder, frame, y, _ = exported

    found, again = (
        explain(model.predict, encoder, frame, y, Task(), "roc_auc", rows=300, shap_rows=20, seed=1) for _ in range(2)
    )

    assert [each.feature for each in found.importances][-1] == "z"
    assert found.importances[0].drop > 0.05
    assert found.values.shape == (20, 3)
    by_name = {each.feature: each.shap for each in found.importances}
    assert [by_name[name] for name in found.features] == pytest.approx(np.abs(found.values).mean(axis=0).tolist())
    assert found.importances == again.importances
    assert (found.values == again.values).all()


def test_a_rare_class_is_in_the_sample_so_that_the_metric_is_known(exported: tuple) -> None:  # type: ignore[type-arg]
    model, encoder, frame, y, _ = exported
    rare = np.zeros(len(y), dtype="int8")
    rare[np.flatnonzero(y)[:3]] = 1

    for seed in range(5):
        found = explain(
            model.predict, encoder, frame, rare, Task(), "roc_auc", rows=50, shap_rows=10, seed=seed
        ).importances
        assert not np.isnan([each.drop for each in found]).any()


def test_more_classes_than_rows_are_asked_for_are_all_sampled() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=300)})
    classes = tuple(map(str, range(60)))
    y = (np.arange(300) % 60).astype("int16")

    found = explain(
        lambda X: np.full((len(X), 60), 1 / 60) + 0 * X,
        Encoder.fit(frame, ["x"], []),
        frame,
        y,
        Task("multiclass", classes),
        "roc_auc",
        rows=50,
        shap_rows=10,
        seed=0,
    )

    assert found.importances[0].drop == 0
