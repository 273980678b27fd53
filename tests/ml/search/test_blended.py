"""The weighted mean of models: what it answers, how sure it is, and that its graph answers as it does."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exported.onnx import export, measure_parity
from ml.models.catalogue import family
from ml.models.family import Training
from ml.search.blended import FittedEnsemble, Member, fit_sharpness, mean_of, sharpened
from ml.tasks.counting import Counting
from ml.tasks.encoding import Encoder
from ml.tasks.task import BINARY, Kind, Task


@dataclass(frozen=True)
class Always:
    answer: float

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), self.answer)


def test_the_mean_of_several_models_answers_the_mean_and_that_of_one_is_the_model() -> None:
    X = np.zeros((3, 2), np.float32)

    assert mean_of([Always(0.2), Always(0.4), Always(0.9)], 2, BINARY).predict(X) == pytest.approx([0.5] * 3)  # type: ignore[list-item]
    assert mean_of([one := Always(0.2)], 2, BINARY) is one  # type: ignore[list-item]


def test_probabilities_are_raised_to_the_power_and_shared_out_again() -> None:
    assert sharpened(np.array([[0.8, 0.2], [0.5, 0.5]]), 2.0) == pytest.approx(np.array([[16, 1], [8.5, 8.5]]) / 17)
    assert sharpened(np.array([0.2, 0.5, 0.8]), 2.0) == pytest.approx([1 / 17, 0.5, 16 / 17])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.floats(0.7, 2))
def test_the_order_of_probabilities_is_kept_and_all_of_them_stay_probabilities(p: list[float], power: float) -> None:
    before = np.sort(np.array(p))

    after = sharpened(before, power)

    assert (np.diff(after) >= -1e-15).all()
    assert ((after >= 0) & (after <= 1)).all()


@pytest.mark.parametrize("power", [0.8, 1.0, 1.6])
def test_the_sharpness_undoes_what_made_true_probabilities_wrong(power: float) -> None:
    random = np.random.default_rng(0)
    true = random.random(20_000)
    y = (random.random(20_000) < true).astype(int)

    assert fit_sharpness(y, sharpened(true, 1 / power)) == pytest.approx(power, abs=0.05)


def test_rows_that_count_nothing_do_not_change_the_sharpness() -> None:
    random = np.random.default_rng(0)
    p = random.random(2_000)
    y = (random.random(2_000) < p).astype(int)
    wrong = np.concatenate([y, 1 - y])

    counted = fit_sharpness(wrong, np.concatenate([p, p]), Counting(np.repeat([1.0, 0.0], 2_000)))

    assert counted == fit_sharpness(y, p)


@pytest.mark.parametrize(("kind", "sharpness"), [("binary", 0.7), ("binary", 2.0), ("multiclass", 1.4)])
def test_the_graph_of_a_sharpened_mean_answers_as_the_mean_does(kind: Kind, sharpness: float) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(0, 5, 400), "b": random.normal(size=400)})
    worth = pd.Series(np.digitize(frame["a"] + random.normal(size=400), [-2, 2][: 1 if kind == "binary" else 2]))
    encoder, task = Encoder.fit(frame, ["a", "b"], []), Task.of(kind, worth.astype(str))
    X, y = encoder.encode(frame), task.labels(worth.astype(str) if kind == "multiclass" else worth)
    data = Training(X, y, X, y, encoder, task)
    models = [family(name).fit(data, {"C": 10.0} if name == "logistic" else {"n_estimators": 5}, seed=0)
              for name in ("logistic", "extra_trees")]  # fmt: skip
    members = tuple(Member(f"m{number}", 0.5, model) for number, model in enumerate(models))
    mean = FittedEnsemble(members, 2, task, sharpness)

    content = export(mean, encoder, {}, task)

    measure_parity(mean, encoder, content, frame).raise_for_drift()
    assert not np.allclose(mean.predict(X), FittedEnsemble(members, 2, task).predict(X), atol=1e-3)


def test_a_mean_of_means_is_one_graph() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=300)})
    y = (frame["a"] + random.normal(size=300)).to_numpy()
    encoder, task = Encoder.fit(frame, ["a"], []), Task("regression")
    X = encoder.encode(frame)
    data = Training(X, y, X, y, encoder, task)
    ridges = [family("ridge").fit(data, {"alpha": alpha}, seed=0) for alpha in (1.0, 100.0)]
    inner = mean_of(ridges, 1, task)
    outer = FittedEnsemble((Member("all", 0.25, inner), Member("ridge.2", 0.75, ridges[0])), 1, task)

    content = export(outer, encoder, {}, task)

    measure_parity(outer, encoder, content, frame).raise_for_drift()
