"""Metrics and the paired bootstrap, against scikit-learn and against known answers."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from ml.evaluation import _Weighted, all_metrics, compare

REFERENCE = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
    "log_loss": log_loss,
    "brier": brier_score_loss,
}


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores with many ties, and weights."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 500)
    p = np.clip(np.round(0.3 * y + 0.5 * random.random(500), 2), 0.01, 0.99)
    return y, p, random.integers(0, 4, 500).astype(float)


@pytest.mark.parametrize("metric", REFERENCE)
def test_a_metric_equals_that_of_scikit_learn_with_weights_and_without(metric: str, rows: tuple) -> None:
    y, p, weights = rows

    assert all_metrics(y, p)[metric] == pytest.approx(REFERENCE[metric](y, p), rel=1e-12)
    assert _Weighted(metric, y, p)(weights) == pytest.approx(REFERENCE[metric](y, p, sample_weight=weights), rel=1e-9)


@pytest.mark.parametrize("metric", REFERENCE)
def test_a_better_candidate_has_a_positive_difference_and_equal_ones_none(metric: str, rows: tuple) -> None:
    y, p, _ = rows
    better = np.clip(p + 0.2 * (y - 0.5), 0.01, 0.99)
    options = {"confidence": 0.95, "resamples": 200, "seed": 0}

    ahead, equal = compare(metric, y, better, p, **options), compare(metric, y, p, p, **options)

    assert 0 < ahead.lower < ahead.difference
    assert (equal.difference, equal.lower) == (0, 0)
    assert compare(metric, y, better, p, **options) == ahead


def test_the_lower_bound_covers_a_true_difference_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        y = random.integers(0, 2, 400)
        candidate, champion = (y + random.normal(scale=1.5, size=400) for _ in range(2))  # equally good
        found = compare("roc_auc", y, candidate, champion, confidence=0.9, resamples=100, seed=0)
        covered += found.lower <= 0

    assert 0.8 <= covered / 100 <= 0.98
