"""The features that make a score are found by taking them away: each alone, or together where others say the same."""

import numpy as np
import pytest

from ml.evaluation.ablation import Ablation
from ml.evaluation.explanations import Predict
from tests.support.judged import made

NAMES = ["noise", "casual", "registered", "weather", "casual again"]


def ablation(predict: Predict, truth: Predict, metric: str = "r2", limit: float = 0.998) -> Ablation:
    X = np.random.default_rng(0).normal(size=(500, len(NAMES)))
    X[:, 4] = X[:, 1]
    return Ablation(predict, X, truth(X), NAMES, metric, limit, seed=0)


def total(X: np.ndarray) -> np.ndarray:
    return 10 * X[:, 1] + 30 * X[:, 2]


def test_each_part_of_a_sum_is_named_and_what_is_no_part_is_not() -> None:
    makers = ablation(total, total).makers(["noise", "casual", "registered", "weather"])

    assert [maker.features for maker in makers] == [("registered",), ("casual",)]
    assert makers[0].score < makers[1].score < 0.998


def test_features_that_say_the_same_are_named_together() -> None:
    def by_majority(X: np.ndarray) -> np.ndarray:
        middle: np.ndarray = np.median(X[:, [1, 3, 4]], axis=1)
        return middle

    def truth(X: np.ndarray) -> np.ndarray:
        X[:, 3] = X[:, 1]
        return X[:, 1]

    makers = ablation(by_majority, truth).makers(["noise", "casual again", "registered", "weather", "casual"])

    assert [maker.features for maker in makers] == [("casual again", "weather")]


def test_a_score_that_no_feature_makes_names_none() -> None:
    def constant(X: np.ndarray) -> np.ndarray:
        return np.full(len(X), 0.5)

    assert ablation(constant, constant, "rmse", 0.1).makers(NAMES) == ()


@pytest.mark.parametrize("exact", [True, False])
def test_an_evaluation_names_them_only_where_the_score_is_beyond_the_limit(exact: bool) -> None:
    _, inputs, _ = made("regression")
    y = 3 * inputs.rows["x"].to_numpy() + (0 if exact else np.random.default_rng(1).normal(size=240))

    evaluation, *_ = made("regression", y=y)

    assert [maker.features for maker in evaluation.ablation] == ([("x",)] if exact else [])
    assert all(maker.score < 0.9 for maker in evaluation.ablation)
