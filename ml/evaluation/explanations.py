"""Explanations of the exported model's answers: permutation importance and SHAP, of any family alike.

Breiman 2001, Random forests, Machine Learning 45; Lundberg and Lee 2017, A unified approach to interpreting model
predictions, NeurIPS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.encoding import MISSING, Encoder, levels_of
from ml.tasks.metrics import Metric, score
from ml.tasks.sampling import sampled_rows
from ml.tasks.task import Task
from service.plan.texts import Numbers, Vocabulary

if TYPE_CHECKING:
    import onnxruntime as ort

REPEATS = 3  # shuffles of each feature
BACKGROUND = 10  # rows that stand in for what is unknown of a feature
CHUNK = 256  # rows that are answered together
Predict = Callable[[np.ndarray], np.ndarray]


class Importance(BaseModel):
    """The loss of the metric when a feature's values are shuffled, and how far the feature moves answers.

    `deviation` is that of `drop` over the shuffles; `shap` the mean absolute SHAP value over rows (and classes).
    """

    model_config = ConfigDict(frozen=True)

    feature: str
    drop: float
    deviation: float
    shap: float


class Exported:
    """The exported model over a plain matrix of numbers, in which codes stand for categories and for whole texts.

    `encoder` makes that matrix of `rows`, and of others that have no other texts: of a text the model knows many
    numbers, which say something together only.
    """

    def __init__(self, session: ort.InferenceSession, encoder: Encoder, rows: pd.DataFrame | None = None) -> None:
        self.session = session
        texts = {} if rows is None else {text.column: levels_of(rows[text.column]) for text in encoder.texts}
        self.encoder = Encoder(encoder.numeric, {**encoder.categories, **texts})
        self._texts = [_Remembered(text) for text in encoder.texts]
        self._levels = [np.array([*levels, MISSING], object) for levels in self.encoder.categories.values()]

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Answer X float [n_rows, n_features], as `Encoder.encode` makes it, by [n_rows] or [n_rows, n_classes].

        All processors work, each on other rows: the answer to a row does not depend on how many there are.
        """
        chunks = np.array_split(X, range(CHUNK, len(X), CHUNK))
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            return np.concatenate(list(threads.map(self._answers, chunks)))

    def _answers(self, X: np.ndarray) -> np.ndarray:
        numeric = self.encoder.n_numeric
        codes = np.nan_to_num(X[:, numeric:], nan=-1).astype(int)
        labels = [levels[codes[:, column]] for column, levels in enumerate(self._levels)]
        n_categories = len(labels) - len(self._texts)
        blocks = [X[:, :numeric].astype(np.float32)]
        for numbers, texts in zip(self._texts, labels[n_categories:], strict=True):
            blocks.append(np.empty((len(X), numbers.width), dtype=np.float32))
            numbers.write(blocks[-1], texts)
        joined = np.concatenate(blocks, axis=1)
        inputs = {"numeric": joined} if joined.shape[1] else {}
        if n_categories:
            inputs["categorical"] = np.stack(labels[:n_categories], axis=1)
        answers: np.ndarray = np.asarray(self.session.run(["score"], inputs)[0], dtype=np.float64)
        return answers


class _Remembered(Numbers):
    """The numbers of texts, each cut into words once: they are asked for again and again."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary)
        self._numbers = dict[str | None, dict[int, float]]()

    def of(self, text: str | None) -> dict[int, float]:
        """Return the numbers of a text that are not 0, by their places."""
        if text not in self._numbers:
            self._numbers[text] = super().of(text)
        return self._numbers[text]


class _Fitted:
    """A function that answers, as an estimator for scikit-learn; it has nothing to learn."""

    def __init__(self, predict: Predict) -> None:
        self.predict = predict

    def fit(self) -> None:
        raise NotImplementedError("an exported model is not fitted again")


def sample(rows: int, most: int, seed: int) -> np.ndarray:
    """Draw at most `most` of so many rows, and return their positions, ascending."""
    positions: np.ndarray = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    return positions


@dataclass(frozen=True)
class Explained:
    """Every feature's importance, the greatest drop first, and SHAP values [n_rows, n_features(, n_answers)] of X.

    X [n_rows, n_features] and `values` have their columns in the order of `features`. Of several targets these are of
    the mean metric and of all answers, and `of_targets` explains the answer to each.
    """

    importances: list[Importance]
    features: tuple[str, ...]
    X: np.ndarray
    values: np.ndarray
    of_targets: tuple[Explained, ...] = ()


def explain(
    predict: Predict,
    encoder: Encoder,
    matrix: pd.DataFrame,
    y: np.ndarray,
    task: Task,
    metric: str,
    *,
    counting: Counting = EQUALLY,
    rows: int,
    shap_rows: int,
    seed: int,
) -> Explained:
    """Explain the answers to samples of the rows of a feature matrix; the sample of the metric has every class.

    Of rows that are ranked within groups it has whole groups.
    """
    most = max(rows, len(task.classes), len(task.targets) + 1)
    chosen = sampled_rows(y, task, most, seed, counting.groups)
    X = encoder.encode(matrix.iloc[chosen]).astype(np.float64)
    drops = permutation_drops(predict, X, y[chosen], metric, seed, counting.at(chosen))
    explained_rows = X[sample(len(X), shap_rows, seed + 1)]
    values = shap_values(predict, X[sample(len(X), BACKGROUND, seed + 2)], explained_rows, seed)
    whole, *of_targets = [
        Explained(_importances(encoder.features, *drop, part), encoder.features, explained_rows, part)
        for drop, part in zip(drops, [values, *(values[..., place] for place in range(len(drops) - 1))], strict=True)
    ]
    return replace(whole, of_targets=tuple(of_targets))


def _importances(
    features: Sequence[str], drops: np.ndarray, deviations: np.ndarray, values: np.ndarray
) -> list[Importance]:
    sizes = np.abs(values).reshape(len(values), len(features), -1).mean(axis=(0, 2))
    importances = [
        Importance(feature=name, drop=float(drop), deviation=float(deviation), shap=float(shap))
        for name, drop, deviation, shap in zip(features, drops, deviations, sizes, strict=True)
    ]
    importances.sort(key=lambda importance: (-np.nan_to_num(importance.drop), -importance.shap, importance.feature))
    return importances


Drops = tuple[np.ndarray, np.ndarray]  # of each feature: the mean and the deviation, [n_features]


def permutation_drops(
    predict: Predict, X: np.ndarray, y: np.ndarray, metric: str, seed: int, counting: Counting = EQUALLY
) -> list[Drops]:
    """Shuffle each column of X [n_rows, n_features]; return by how much the metric gets worse: mean and deviation.

    Of several targets, y [n_rows, n_targets], the first is that of their mean metric, and each has one behind it.
    """
    from sklearn.inspection import permutation_importance

    sign = Metric.named(metric).sign

    def scores(model: _Fitted, rows: np.ndarray, labels: np.ndarray) -> dict[int, float]:
        answers = model.predict(rows)
        alone = zip(labels.T, answers.T, strict=True) if labels.ndim == 2 else []
        return {place: sign * score(metric, *pair, counting) for place, pair in enumerate([(labels, answers), *alone])}

    importance = permutation_importance(_Fitted(predict), X, y, scoring=scores, n_repeats=REPEATS, random_state=seed)
    return [(of_scores.importances_mean, of_scores.importances_std) for of_scores in importance.values()]


def shap_values(predict: Predict, background: np.ndarray, X: np.ndarray, seed: int) -> np.ndarray:
    """Compute the SHAP values of rows X [n_rows, n_features] against `background` rows, of each class if many.

    Of one row, values and the mean answer to the background sum up to the row's answer.
    """
    shap = import_shap()
    explainer = shap.PermutationExplainer(predict, shap.maskers.Independent(background, len(background)), seed=seed)
    once = 2 * X.shape[1] + 1  # one permutation, there and back
    explanation = explainer(X, max_evals=once, main_effects=False, silent=True)
    return np.asarray(explanation.values, dtype=np.float64)


def import_shap() -> Any:
    """Import shap without numba's compiler: that takes longer than all that it makes faster here."""
    from numba import config

    before = vars(config)["DISABLE_JIT"]
    vars(config)["DISABLE_JIT"] = True
    try:
        import shap
    finally:
        vars(config)["DISABLE_JIT"] = before
    return shap
