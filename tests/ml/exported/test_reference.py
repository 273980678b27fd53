"""What a model brings from training and validation: its threshold, its interval, its baseline."""

import numpy as np
import pytest

from ml.declaration.evaluation import EvaluationPlan
from ml.evaluation.record import all_metrics
from ml.exported.reference import Reference, make_reference
from ml.intervals.bootstrap import Resampling
from ml.intervals.conformal import conformal_interval, coverage
from ml.intervals.thresholds import choose_threshold
from ml.tasks.metrics import score
from ml.tasks.task import Task


def test_of_two_classes_it_has_the_threshold_that_validation_chose() -> None:
    random = np.random.default_rng(0)
    y_train, y = random.integers(0, 2, 100).astype("int8"), random.integers(0, 2, 80).astype("int8")
    p = 0.3 * y + 0.7 * random.random(80)

    found = make_reference(Task(), EvaluationPlan(), "roc_auc", y_train, y, p, [0.7, 0.71])

    assert found.threshold == choose_threshold(y, p)
    assert (found.train_rows, found.validation_rows, found.refit_scores) == (100, 80, (0.7, 0.71))
    assert found.validation == all_metrics(y, p)
    assert found.interval is None
    assert Reference.model_validate_json(found.model_dump_json()) == found


def test_the_baseline_answers_the_share_of_training_rows() -> None:
    y_train, y = np.array([0, 0, 0, 1], dtype="int8"), np.array([0, 1, 1], dtype="int8")

    found = make_reference(Task(), EvaluationPlan(), "roc_auc", y_train, y, np.array([0.1, 0.6, 0.9]), [0.7])

    assert found.answers(3, Task()).tolist() == [0.25] * 3
    assert score("roc_auc", y, found.answers(3, Task())) == 0.5


def test_of_many_classes_the_baseline_answers_the_share_of_each() -> None:
    task, y = Task("multiclass", ("a", "b", "c")), np.array([0, 0, 1, 2], dtype="int16")

    found = make_reference(task, EvaluationPlan(), "log_loss", y, y, np.eye(3)[y], [0.1])

    assert found.answers(2, task).tolist() == [[0.5, 0.25, 0.25]] * 2
    assert found.threshold is None


def test_of_numbers_the_baseline_is_the_mean_and_there_is_an_interval() -> None:
    task, y = Task("regression"), np.array([1.0, 2.0, 6.0] * 10)

    found = make_reference(task, EvaluationPlan(interval=0.8), "rmse", y, y, y + 0.5, [1.0])

    assert found.answers(2, task).tolist() == [3.0, 3.0]
    assert found.interval is not None
    assert found.interval.half_width == 0.5
    assert found.quantiles == (1.5, 2.5, 6.5)  # those of the answers, of which there are three


def test_the_interval_is_the_residual_of_the_rank_that_its_share_asks_for() -> None:
    residuals = np.arange(1.0, 20.0)  # 19 rows: the 18th of 20 ranks is 0.9

    found = conformal_interval(np.zeros(19), residuals, 0.9)

    assert (found.half_width, found.rows) == (18.0, 19)
    assert conformal_interval(np.zeros(8), residuals[:8], 0.9).half_width is None


def test_the_interval_holds_as_many_new_rows_as_was_wanted() -> None:
    random = np.random.default_rng(0)
    interval = conformal_interval(random.standard_t(3, 2000), np.zeros(2000), 0.9)

    found = coverage(random.standard_t(3, 5000), np.zeros(5000), interval, Resampling(resamples=100))

    assert found is not None
    assert found.covered.value == pytest.approx(0.9, abs=0.02)
    assert found.covered.low < 0.9 < found.covered.high
