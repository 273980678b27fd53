"""A metric is one line of the catalogue: names, defaults and what else is known of it follow from that."""

import pickle
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from ml.tasks.metrics import (
    DEFAULT_METRIC,
    METRICS,
    Kind,
    Metric,
    MetricName,
    Task,
    metrics_of,
    rows_not_finite,
    rows_unanswered,
    score,
)


def test_every_task_has_one_default_that_fits_it() -> None:
    assert list(DEFAULT_METRIC) == list(get_args(Kind))
    assert len([metric for metric in METRICS.values() if metric.default_of]) == len(DEFAULT_METRIC)
    for kind, name in DEFAULT_METRIC.items():
        assert name in metrics_of(kind)


def test_a_declaration_may_name_the_metrics_of_the_catalogue_alone() -> None:
    declared = TypeAdapter(MetricName)

    assert [declared.validate_python(name) for name in METRICS] == list(METRICS)
    assert declared.json_schema()["enum"] == list(METRICS)
    with pytest.raises(ValidationError, match="Input should be 'roc_auc', 'average_precision'"):
        declared.validate_python("auc")


@pytest.mark.parametrize("name", metrics_of("binary"))
def test_a_metric_that_ranks_goes_by_the_order_of_the_answers_and_no_other_does(name: str) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 200).astype("int8")
    p = np.clip(0.3 * y + random.random(200) * 0.6, 0, 1)

    same_order = score(name, y, p) == pytest.approx(score(name, y, p**3), abs=1e-12)

    assert same_order == METRICS[name].ranks


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
    y = random.normal(size=60) if kind == "regression" else np.arange(60) % (3 if kind == "multiclass" else 2)
    p = random.dirichlet([1, 1, 1], 60) if kind == "multiclass" else random.random(60)
    right = score(name, y, p)
    p[7] = wrong
    resamples = np.ones((4, 60))
    resamples[:, 7] = 0  # not even where the row is not drawn

    assert np.isfinite(right)
    assert np.isnan(score(name, y, p))
    assert np.isnan(METRICS[name].prepare(y, p)(resamples)).tolist() == [True] * 4


def test_rows_are_counted_of_which_an_answer_is_no_finite_number() -> None:
    assert rows_not_finite(np.array([0.0, np.nan, np.inf])) == 2
    assert rows_not_finite(np.array([[0.5, 0.5], [np.nan, np.nan], [0.5, -np.inf]])) == 2
    assert rows_not_finite(np.empty(0)) == 0


@pytest.mark.parametrize(
    ("kind", "p", "rows"),
    [
        ("binary", [0.0, 1.0, 1 + 1e-7, -1e-7, 0.5], 0),
        ("binary", [0.5, 1.7, -0.2, 1e300, np.nan, np.inf, -np.inf], 6),
        ("multiclass", [[0.3, 0.7], [0.3, 0.7 + 1e-6], [1.0, 0.0]], 0),
        ("multiclass", [[0.6, 0.8], [-0.5, 1.5], [0.0, 0.0], [np.nan, 1.0], [np.inf, -np.inf], [0.5, 0.5]], 5),
        ("regression", [1e300, -5.0, np.nan], 1),
    ],
)
def test_rows_are_counted_that_are_answered_with_no_number_or_no_probability(kind: Kind, p: Any, rows: int) -> None:
    assert rows_unanswered(np.array(p), Task(kind)) == rows
