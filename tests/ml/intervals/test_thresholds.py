"""The threshold, against a search through all of them by scikit-learn's metrics."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from ml.declaration.evaluation import Cost, LeastCost, PrecisionAtRecall
from ml.intervals.bootstrap import Resampling
from ml.intervals.thresholds import choose_threshold, decide
from ml.tasks.task import Task

EVERY = np.linspace(0.005, 0.995, 100)  # between any two probabilities of the rows below


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = (random.random(400) < 0.3).astype("int8")
    return y, np.round(np.clip(0.25 * y + 0.7 * random.random(400), 0, 1), 2)


def f1(y: np.ndarray, said: np.ndarray) -> float:
    return float(reference.f1_score(y, said, zero_division=0))


def cost(y: np.ndarray, said: np.ndarray) -> float:
    return float(np.mean(2 * (said > y) + 7 * (said < y)))


def test_the_threshold_has_the_greatest_f1(rows: Any) -> None:
    y, p = rows

    found = choose_threshold(y, p)

    assert found.objective == "greatest F1"
    assert found.reached == pytest.approx(max(f1(y, p >= cut) for cut in EVERY))
    assert f1(y, p >= found.value) == pytest.approx(found.reached)
    assert found.precision == pytest.approx(reference.precision_score(y, p >= found.value))
    assert found.recall == pytest.approx(reference.recall_score(y, p >= found.value))


def test_the_threshold_has_the_least_cost(rows: Any) -> None:
    y, p = rows

    found = choose_threshold(y, p, LeastCost(cost=Cost(false_positive=2, false_negative=7)))

    assert found.objective == "least cost per row: a false positive 2, a false negative 7"
    assert found.reached == pytest.approx(min(cost(y, (p >= cut).astype(int)) for cut in EVERY))
    assert cost(y, (p >= found.value).astype(int)) == pytest.approx(found.reached)


def test_the_threshold_has_the_greatest_precision_at_a_recall(rows: Any) -> None:
    y, p = rows
    allowed = [cut for cut in EVERY if reference.recall_score(y, p >= cut) >= 0.8]

    found = choose_threshold(y, p, PrecisionAtRecall(precision_at_recall=0.8))

    assert found.recall >= 0.8
    assert found.reached == pytest.approx(max(reference.precision_score(y, p >= cut) for cut in allowed))


def test_all_rows_are_a_no_where_a_false_yes_costs_most(rows: Any) -> None:
    y, p = rows

    found = choose_threshold(y, p, LeastCost(cost=Cost(false_positive=1000, false_negative=1)))

    assert found.reached == pytest.approx(min(cost_of(y, p, 1000, 1)))


def cost_of(y: np.ndarray, p: np.ndarray, positive: float, negative: float) -> list[float]:
    cuts = [*EVERY, 2.0]
    return [float(np.mean(positive * ((p >= cut) & (y == 0)) + negative * ((p < cut) & (y == 1)))) for cut in cuts]


def test_the_threshold_lies_between_two_probabilities() -> None:
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.9])

    found = choose_threshold(y, p)

    assert (found.value, found.reached) == (pytest.approx(0.4), 1.0)


def test_decisions_are_those_of_scikit_learn_with_intervals_around_them(rows: Any) -> None:
    y, p = rows
    threshold = choose_threshold(y, p)
    said = p >= threshold.value

    found = decide(y, p, Task(), threshold, "f1", Resampling(resamples=100))

    assert found.confusion == tuple(map(tuple, reference.confusion_matrix(y, said).tolist()))
    expected = {
        "precision": reference.precision_score(y, said),
        "recall": reference.recall_score(y, said),
        "F1": reference.f1_score(y, said),
        "accuracy": reference.accuracy_score(y, said),
        "selection rate": said.mean(),
    }
    assert {name: rate.value for name, rate in found.rates.items()} == pytest.approx(expected)
    assert all(rate.low < rate.value < rate.high for rate in found.rates.values())


def test_the_cost_of_decisions_is_shown_where_it_is_the_objective(rows: Any) -> None:
    y, p = rows
    objective = LeastCost(cost=Cost(false_positive=2, false_negative=7))
    threshold = choose_threshold(y, p, objective)

    found = decide(y, p, Task(), threshold, objective, Resampling(resamples=50))

    assert found.rates["cost per row"].value == pytest.approx(threshold.reached)


def test_rare_classes_are_one_row_and_column_of_the_confusion_matrix() -> None:
    task = Task("multiclass", tuple("abcdefghijklmn"))
    y = np.concatenate([np.repeat(np.arange(12), 3), [12, 13]]).astype("int16")
    p = np.eye(14)[np.where(y == 13, 0, y)]

    found = decide(y, p, task, None, "f1", Resampling())

    assert found.classes == (*"abcdefghijkl", "others")
    assert np.array(found.confusion).sum() == len(y)
    assert (found.confusion[12][12], found.confusion[12][0]) == (1, 1)
