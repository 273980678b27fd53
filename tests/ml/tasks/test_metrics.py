"""A metric is one line of the catalogue: names, defaults and what else is known of it follow from that."""

import pickle
import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from ml.tasks.counting import Counting
from ml.tasks.metrics import DEFAULT_METRIC, METRICS, Metric, MetricName, kind_of, metrics_of, score, usual_metrics
from ml.tasks.task import Kind


def in_fives(rows: int, weights: np.ndarray | None = None) -> Counting:
    """Rows that are ranked within groups of five."""
    return Counting(weights, np.arange(rows) // 5)


def labels(kind: Kind, name: str, rows: int, random: np.random.Generator) -> np.ndarray:
    """Labels of which the metric says something: for an order within groups half of all numbers are not relevant."""
    if kind != "regression":
        return np.arange(rows) % (3 if kind == "multiclass" else 2)
    y = random.random(rows)
    return np.where(y < 0.5, 0.0, y) if Metric.named(name).by_group else y


def test_every_task_has_one_default_that_fits_it() -> None:
    assert list(DEFAULT_METRIC) == list(get_args(Kind))
    assert len([metric for metric in METRICS.values() if metric.default_of]) == len(DEFAULT_METRIC)
    for kind, name in DEFAULT_METRIC.items():
        assert name in metrics_of(kind)


def test_a_declaration_may_name_a_metric_of_the_catalogue_one_with_a_number_or_its_own() -> None:
    declared = TypeAdapter(MetricName)
    names = [*METRICS, "pinball_0.05", "top_5_accuracy", "precision_at_100", "fbeta_0.5", "not_there.yet:profit"]

    assert [declared.validate_python(name) for name in names] == names
    listed, further = declared.json_schema()["anyOf"]
    assert listed["enum"] == list(METRICS)
    assert all(name in listed["enum"] or re.search(further["pattern"], name) for name in names)
    assert not re.search(further["pattern"], "auc")
    with pytest.raises(
        ValidationError, match=r"no metric 'roc_acu', did you mean 'roc_auc'. Allowed: accuracy, aver.*"
    ):
        declared.validate_python("roc_acu")


@pytest.mark.parametrize("name", metrics_of("binary"))
def test_a_metric_that_ranks_goes_by_the_order_of_the_answers_and_no_other_does(name: str) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 200).astype("int8")
    p = np.clip(0.3 * y + random.random(200) * 0.6, 0, 1)

    counting = in_fives(200)
    same_order = score(name, y, p, counting) == pytest.approx(score(name, y, p**3, counting), abs=1e-12)

    assert same_order == Metric.named(name).ranks


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_metric_of_the_catalogue_is_pickled_by_its_name(metric: Metric) -> None:
    content = pickle.dumps(metric)

    assert b"weighted" not in content
    assert pickle.loads(content) is metric


def test_a_metric_of_a_users_own_is_pickled_with_its_function() -> None:
    own = replace(METRICS["rmse"], name="own")

    assert pickle.loads(pickle.dumps(own)) == own


def test_a_metric_that_there_is_no_longer_is_named() -> None:
    with pytest.raises(ValueError, match=r"There is no metric 'gone'\. Allowed: "):
        Metric.named("gone")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in get_args(Kind) for name in metrics_of(kind)])
def test_no_metric_is_a_number_if_an_answer_is_none(kind: Kind, name: str, wrong: float) -> None:
    random = np.random.default_rng(0)
    y = labels(kind, name, 60, random)
    p = random.dirichlet([1, 1, 1], 60) if kind == "multiclass" else random.random(60)
    right = score(name, y, p, in_fives(60))
    p[7] = wrong
    resamples = np.ones((4, 60))
    resamples[:, 7] = 0  # not even where the row is not drawn

    assert np.isfinite(right)
    assert np.isnan(score(name, y, p, in_fives(60)))
    assert np.isnan(Metric.named(name).prepare(y, p, in_fives(60))(resamples)).tolist() == [True] * 4


@pytest.mark.parametrize(
    ("name", "y", "p", "why"),
    [
        ("roc_auc", [1, 1, 1], [0.1, 0.2, 0.3], "all 3 rows are of one class"),
        ("average_precision", [0, 0], [0.1, 0.2], "none of 2 rows is positive"),
        ("precision_at_5", [0, 1], [0.1, 0.2], "there are 2 rows, fewer than 5"),
        ("kappa", [1, 1], [0.9, 0.8], "all 2 rows are of one class, and predicted to be"),
        ("top_3_accuracy", [0, 1], [[0.2, 0.8], [0.5, 0.5]], "each of 2 classes is among the 3 likeliest"),
        ("r2", [2.0, 2.0], [1.0, 2.0], "all 2 true numbers are the same"),
        ("mape", [0.0, 2.0, 0.0], [1.0, 2.0, 3.0], "2 of 3 true numbers are 0, of which an error is no share"),
        ("rmsle", [-1.0, 2.0], [1.0, 2.0], "1 of 2 true numbers are -1 or less, and 1 more has no logarithm"),
        ("rmsle", [1.0, 2.0], [-2.0, -1.0], "2 of 2 predictions are -1 or less, and 1 more has no logarithm"),
        ("mae", [1.0, 2.0], [np.nan, 1.0], "1 of 2 predictions are no finite numbers"),
    ],
)
def test_a_metric_that_says_nothing_of_some_rows_says_why(name: str, y: list[float], p: list[float], why: str) -> None:
    metric = Metric.named(name)

    assert metric.undefined(np.array(y), np.array(p)) == why
    assert np.isnan(metric(np.array(y), np.array(p)))


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in get_args(Kind) for name in metrics_of(kind)])
def test_a_value_lies_in_the_range_that_the_metric_states(kind: Kind, name: str) -> None:
    random = np.random.default_rng(1)
    low, high = Metric.named(name).range
    for _ in range(20):
        y = random.permutation(labels(kind, name, 30, random))
        p = random.dirichlet([1, 1, 1], 30) if kind == "multiclass" else random.random(30)

        assert low <= score(name, y, p, in_fives(30)) <= high


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in get_args(Kind) for name in metrics_of(kind)])
def test_a_row_of_weight_two_is_two_rows_and_one_of_weight_zero_none(kind: Kind, name: str) -> None:
    random = np.random.default_rng(2)
    y = labels(kind, name, 40, random)
    p = random.dirichlet([1, 1, 1], 40) if kind == "multiclass" else random.random(40).round(1)
    weights = random.integers(0, 3, 40)
    if Metric.named(name).by_group:
        weights = np.repeat(random.integers(0, 3, 8), 5)
    rows, again = np.repeat(np.arange(40), weights), np.concatenate([np.arange(count) for count in weights])

    assert score(name, y, p, in_fives(40, weights.astype(float))) == pytest.approx(
        score(name, y[rows], p[rows], Counting(groups=rows // 5 + 8 * again))
    )


def test_of_rows_that_are_equally_likely_each_counts_by_the_same_part_at_k() -> None:
    y, p = np.array([1, 0, 1, 0, 0]), np.array([0.9, 0.5, 0.5, 0.5, 0.1])

    assert score("precision_at_1", y, p) == 1
    assert score("precision_at_2", y, p) == pytest.approx((1 + 1 / 3) / 2)
    assert score("precision_at_0.4", y, p) == score("precision_at_2", y, p)
    assert score("precision_at_5", y, p) == pytest.approx(2 / 5)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_task_is_known_by_what_was_measured(kind: Kind) -> None:
    assert kind_of([*usual_metrics(kind), "mcc"]) == kind
    assert kind_of(["mcc"]) is None
