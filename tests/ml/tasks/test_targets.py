"""Several targets of one use case: metrics are means of those of each, and rows keep the rarest class of any."""

import numpy as np
import pandas as pd
import pytest

from ml.intervals.bootstrap import Resampling, estimates, strata_of
from ml.tasks.answers import rows_unanswered
from ml.tasks.counting import Counting
from ml.tasks.metrics import Metric, score
from ml.tasks.sampling import sampled_rows
from ml.tasks.targets import strata, target_column, target_name, with_alone
from ml.tasks.task import Task

TASK = Task("binary", targets=("churn", "upgrade"))


def problem(rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    p = random.random((rows, 2))
    return (random.random((rows, 2)) < p * [1.0, 0.2]).astype("int8"), p


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss", "brier", "accuracy", "mcc"])
def test_a_metric_of_several_targets_is_the_mean_of_those_of_each(metric: str) -> None:
    y, p = problem()

    assert score(metric, y, p) == pytest.approx(np.mean([score(metric, y[:, at], p[:, at]) for at in (0, 1)]))
    assert score(metric, y[:, :1], p[:, :1]) == score(metric, y[:, 0], p[:, 0])


@pytest.mark.parametrize("metric", ["roc_auc", "map_at_3"])
def test_a_metric_goes_by_the_weights_and_the_groups_of_rows_for_each_target(metric: str) -> None:
    y, p = problem()
    counting = Counting(np.random.default_rng(1).random(len(y)), np.arange(len(y)) // 4)

    means = np.mean([score(metric, y[:, at], p[:, at], counting) for at in (0, 1)])
    assert score(metric, y, p, counting) == pytest.approx(means)


def test_a_target_of_one_class_counts_in_no_mean_and_a_wrong_answer_in_none() -> None:
    y, p = problem()
    y[:, 1] = 0

    assert score("roc_auc", y, p) == score("roc_auc", y[:, 0], p[:, 0])
    assert Metric.named("roc_auc").undefined(y, p) is None
    assert Metric.named("roc_auc").undefined(y * 0, p) == "all 300 rows are of one class"
    p[0, 1] = np.nan
    assert np.isnan(score("roc_auc", y, p))


def test_the_interval_of_one_target_in_a_matrix_is_that_of_the_target() -> None:
    y, p = problem()
    metric, resampling = Metric.named("roc_auc"), Resampling(100)

    matrix = estimates(y[:, 1:], {"": metric.prepare(y[:, 1:], p[:, 1:])}, resampling)
    assert matrix == estimates(y[:, 1], {"": metric.prepare(y[:, 1], p[:, 1])}, resampling)


def test_the_stratum_of_a_row_is_the_rarest_class_that_it_has() -> None:
    y = np.array([[0, 0], [1, 0], [1, 1], [1, 0], [0, 1], [0, 0]], dtype="int8")

    assert strata(y).tolist() == [0, 2, 1, 2, 1, 0]  # the second target is the rarer one
    assert [rows.tolist() for rows in strata_of(y)] == [[0, 5], [2, 4], [1, 3]]


def test_the_rarer_class_of_a_target_may_be_no() -> None:
    y = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [1, 0], [0, 0], [1, 0]], dtype="int8")

    assert strata(y).tolist() == [0, 2, -1, 0, 0, -1, 0]  # two rows say no to the first target, two yes to the second


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_the_strata_of_one_target_are_its_classes(share: float) -> None:
    y = (np.random.default_rng(0).random(500) < share).astype("int8")

    for of_matrix, of_target in zip(strata_of(y[:, None]), strata_of(y), strict=True):
        assert np.array_equal(of_matrix, of_target)


@pytest.mark.parametrize("rare", [0, 1])
def test_a_sample_of_rows_loses_no_class_of_a_target(rare: int) -> None:
    y = np.full((1000, 2), 1 - rare, dtype="int8")
    y[3, 0] = rare
    y[500:, 1] = rare

    drawn = sampled_rows(y, TASK, 10, seed=0)
    assert all(set(target) == {0, 1} for target in y[drawn].T)


def test_a_metric_of_ones_own_sees_each_target_alone() -> None:
    y, p = problem()

    own = "tests.support.own_metrics:profit"
    assert score(own, y, p) == pytest.approx(np.mean([score(own, y[:, at], p[:, at]) for at in (0, 1)]))


def test_a_row_is_unanswered_if_the_answer_to_some_target_is_no_probability() -> None:
    assert rows_unanswered(np.array([[0.2, 0.9], [0.5, 1.2], [np.nan, 0.1]]), TASK) == 2


def test_the_labels_of_rows_are_those_of_each_target() -> None:
    rows = pd.DataFrame({target_column("churn"): [0, 1], target_column("upgrade"): [1, 1]})

    assert TASK.labels_of(rows).tolist() == [[0, 1], [1, 1]]
    assert TASK.summary_of(rows) == {"share of churn": 0.5, "share of upgrade": 1.0}
    assert with_alone(rows, "churn")["target"].tolist() == [0, 1]
    assert [target_name(column) for column in (*rows, "target")] == ["churn", "upgrade", ""]


def test_a_task_is_stored_as_it_was_before_there_were_several_targets() -> None:
    assert Task("multiclass", ("a", "b")).to_dict() == {"kind": "multiclass", "classes": ["a", "b"]}
    for task in (TASK, Task(), Task("multiclass", ("a", "b"))):
        assert Task.stored(task.to_dict()) == task


def test_another_order_of_targets_answers_the_same() -> None:
    assert TASK.places_in(Task("binary", targets=("upgrade", "churn"))) == [1, 0]
    assert TASK.places_in(TASK) == [0, 1]
    assert Task().places_in(Task()) == [0]
    for other in (Task(), Task("binary", targets=("churn", "sold")), Task("binary", targets=("churn",))):
        assert TASK.places_in(other) is None
        assert other.places_in(TASK) is None
    assert Task("multiclass", ("a", "b")).places_in(Task("multiclass", ("a", "c"))) is None
