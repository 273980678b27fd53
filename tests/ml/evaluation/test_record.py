"""Metrics and the paired bootstrap, against scikit-learn and against known answers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from ml.evaluation.record import all_metrics, compare
from ml.tasks.counting import Counting
from ml.tasks.metrics import DEFAULT_METRIC, Metric, metrics_of, ranks_within_groups, score, usual_metrics
from ml.tasks.task import Kind, Task


def of_classes(metric: Callable[..., float], **options: Any) -> Callable[..., float]:
    """scikit-learn's metric of the likeliest class."""

    def measured(y: np.ndarray, p: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        said = p >= 0.5 if p.ndim == 1 else p.argmax(axis=1)
        return float(metric(y, said, sample_weight=sample_weight, **options))

    return measured


REFERENCE: dict[str, Callable[..., float]] = {
    "average_precision": reference.average_precision_score,
    "log_loss": reference.log_loss,
    "brier": partial(reference.brier_score_loss, scale_by_half=True),
    "accuracy": of_classes(reference.accuracy_score),
    "f1_macro": of_classes(reference.f1_score, average="macro", zero_division=0.0),
    "rmse": reference.root_mean_squared_error,
    "mae": reference.mean_absolute_error,
    "r2": reference.r2_score,
    "balanced_accuracy": of_classes(reference.balanced_accuracy_score),
    "mcc": of_classes(reference.matthews_corrcoef),
    "kappa": of_classes(reference.cohen_kappa_score),
    "mape": reference.mean_absolute_percentage_error,
    "rmsle": reference.root_mean_squared_log_error,
    "pinball_0.9": partial(reference.mean_pinball_loss, alpha=0.9),
    "top_2_accuracy": partial(reference.top_k_accuracy_score, k=2),
    "fbeta_2": lambda y, p, sample_weight=None: of_classes(
        reference.fbeta_score, beta=2, average="binary" if p.ndim == 1 else "macro", zero_division=0.0
    )(y, p, sample_weight),
}
ALL = [
    (kind, metric)
    for kind in DEFAULT_METRIC
    for metric in metrics_of(kind)
    if not metric.startswith("precision_at") and not ranks_within_groups(metric)
]
TASKS: dict[Kind, Task] = {
    "binary": Task(),
    "multiclass": Task("multiclass", tuple("abc")),
    "regression": Task("regression"),
}


def expected(metric: str, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> float:
    """What scikit-learn gives; it weights no rows of a ROC of many classes, so that one is put together here."""
    if metric != "roc_auc":
        return REFERENCE[metric](y, p, sample_weight=weights)
    if p.ndim == 1:
        return float(reference.roc_auc_score(y, p, sample_weight=weights))
    classes = range(p.shape[1])
    return float(np.mean([reference.roc_auc_score(y == code, p[:, code], sample_weight=weights) for code in classes]))


@pytest.fixture
def rows() -> Callable[[Kind], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Labels, predictions with many ties and those that are wrong, and weights."""

    def made(kind: Kind) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random = np.random.default_rng(0)
        weights = random.integers(0, 4, 500).astype(float)
        if kind == "regression":
            y = 3 + random.random(500)
            return y, np.round(y + random.normal(size=500), 2), weights
        y = random.integers(0, 2 if kind == "binary" else 3, 500)
        if kind == "binary":
            return y, np.clip(np.round(0.3 * y + 0.5 * random.random(500), 2), 0.01, 0.99), weights
        p = np.round(random.random((500, 3)) + 0.4 * np.eye(3)[y], 1) + 0.01
        return y, p / p.sum(axis=1, keepdims=True), weights

    return made


@pytest.mark.parametrize(("kind", "metric"), ALL)
def test_a_metric_equals_that_of_scikit_learn_with_weights_and_without(kind: Kind, metric: str, rows: Any) -> None:
    y, p, weights = rows(kind)

    assert score(metric, y, p) == pytest.approx(expected(metric, y, p), rel=1e-12)
    assert Metric.named(metric).prepare(y, p)(weights) == pytest.approx(expected(metric, y, p, weights), rel=1e-9)


OF_ALL_CLASSES = ("roc_auc", "log_loss", "brier", "top_2_accuracy")  # scikit-learn wants a row of each


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize(("kind", "metric"), ALL)
def test_few_rows_with_weights_some_of_them_zero_are_judged_as_scikit_learn_does(kind: Kind, metric: str) -> None:
    random, compared = np.random.default_rng(3), 0
    classes = {"binary": 2, "multiclass": 4, "regression": 2}[kind]
    for _ in range(80):
        rows = int(random.integers(2, 13))
        weights = random.integers(0, 3, rows).astype(float)
        if kind == "regression":
            y, p = (np.round(random.random(rows) + 0.1, 1) for _ in range(2))
        else:
            y, p = random.integers(0, classes, rows), np.round(random.random((rows, classes)), 1) + 0.1
            p /= p.sum(axis=1, keepdims=True)
            p = p if kind == "multiclass" else p[:, 1]
        counted = weights > 0
        if len(np.unique(y[counted])) < (classes if metric in OF_ALL_CLASSES else 2):
            continue
        compared += 1

        found = Metric.named(metric).prepare(y, p)(weights)

        assert found == pytest.approx(expected(metric, y[counted], p[counted], weights[counted]), rel=1e-9)
    assert compared >= 5


def test_numbers_that_are_all_the_same_in_a_resample_have_no_variance_to_explain() -> None:
    y, p = np.array([2.8, 2.8, 2.8, -1.2]), np.array([1.9, 2.7, 3.3, 0.0])
    weights = np.array([[3.0, 1.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0]])

    values = Metric.named("r2").prepare(y, p)(weights)

    assert np.isnan(values).tolist() == [True, False]


def test_the_roc_of_many_classes_is_that_of_scikit_learn(rows: Any) -> None:
    y, p, _ = rows("multiclass")

    assert score("roc_auc", y, p) == pytest.approx(reference.roc_auc_score(y, p, multi_class="ovr"), rel=1e-12)


@pytest.mark.parametrize("metric", usual_metrics("multiclass"))
def test_two_classes_as_many_are_judged_as_two(metric: str, rows: Any) -> None:
    y, p, _ = rows("binary")

    assert score(metric, y, np.column_stack([1 - p, p])) == pytest.approx(score(metric, y, p), abs=0.01)


def test_the_metrics_of_a_perfect_answer_and_of_the_mean_are_known() -> None:
    y = np.array([1.0, 2.0, 3.0, 6.0])

    assert all_metrics(y, y, TASKS["regression"]) == {"rmse": 0.0, "mae": 0.0, "r2": 1.0}
    assert all_metrics(y, np.full(4, 3.0), TASKS["regression"]) == {"rmse": 3.5**0.5, "mae": 1.5, "r2": 0.0}
    sure = all_metrics(np.arange(3), np.eye(3), TASKS["multiclass"])
    assert sure == pytest.approx({"roc_auc": 1, "log_loss": 0, "brier": 0, "accuracy": 1, "f1_macro": 1})


def test_a_class_without_rows_is_left_out_of_the_roc() -> None:
    y, p = np.array([0, 1, 0, 1]), np.array([[0.6, 0.2, 0.2], [0.1, 0.6, 0.3], [0.5, 0.4, 0.1], [0.3, 0.3, 0.4]])

    assert score("roc_auc", y, p) == pytest.approx(np.mean([1.0, 0.75]))


@pytest.mark.parametrize(("kind", "metric"), ALL)
def test_a_better_candidate_has_a_positive_difference_and_equal_ones_none(kind: Kind, metric: str, rows: Any) -> None:
    y, p, _ = rows(kind)
    truth = np.eye(3)[y] if kind == "multiclass" else y
    better = p + 0.6 * (truth - p)
    options: dict[str, Any] = {"confidence": 0.95, "resamples": 100, "seed": 0}

    ahead, equal = compare(metric, y, better, p, **options), compare(metric, y, p, p, **options)

    assert 0 < ahead.lower < ahead.difference
    assert ahead.difference == Metric.named(metric).sign * (score(metric, y, better) - score(metric, y, p))
    assert (equal.difference, equal.lower) == (0, 0)
    assert compare(metric, y, better, p, **options) == ahead


@pytest.mark.parametrize("grouped", [True, False])
def test_whole_groups_are_drawn_so_that_rows_with_much_in_common_do_not_count_as_many(grouped: bool) -> None:
    random = np.random.default_rng(1)
    covered, groups = 0, np.repeat(np.arange(40), 20)
    for _ in range(100):
        y = random.integers(0, 2, 800).astype(float)
        candidate, champion = (y + np.repeat(random.normal(size=40), 20) for _ in range(2))  # equally good
        counting = Counting(groups=groups) if grouped else Counting()
        found = compare("mae", y, candidate, champion, confidence=0.9, resamples=100, seed=0, counting=counting)
        covered += found.lower <= 0

    assert covered >= 82 if grouped else covered < 75


def test_the_order_within_groups_is_compared_on_the_same_draws_of_whole_groups() -> None:
    random, groups = np.random.default_rng(2), np.repeat(np.arange(100), 6)
    y, counting = random.integers(0, 4, 600).astype(float), Counting(groups=groups)
    better, p = y + random.normal(size=600), y + 3 * random.normal(size=600)
    options: dict[str, Any] = {"confidence": 0.95, "resamples": 200, "seed": 0, "counting": counting}

    ahead, equal = compare("ndcg_at_3", y, better, p, **options), compare("ndcg_at_3", y, p, p, **options)

    assert 0 < ahead.lower < ahead.difference
    assert ahead.against == score("ndcg_at_3", y, p, counting)
    assert (equal.difference, equal.lower) == (0, 0)


def test_the_lower_bound_covers_a_true_difference_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        y = random.integers(0, 2, 400)
        candidate, champion = (y + random.normal(scale=1.5, size=400) for _ in range(2))  # equally good
        found = compare("roc_auc", y, candidate, champion, confidence=0.9, resamples=100, seed=0)
        covered += found.lower <= 0

    assert 0.8 <= covered / 100 <= 0.98


def test_an_unknown_metric_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"no metric 'auc', did you mean 'roc_auc'. Allowed: accuracy, average_precision"
    ):
        score("auc", np.array([0, 1]), np.array([0.0, 1.0]))
