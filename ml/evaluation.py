"""The evaluation on the test split: metrics, and the candidate against the champion on the same rows."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.tuning import HIGHER_IS_BETTER, score


class Interval(BaseModel):
    """A difference of a metric, better being positive, with the lower end of its one-sided confidence interval."""

    model_config = ConfigDict(frozen=True)

    metric: str
    difference: float
    lower: float
    confidence: float
    resamples: int


class Evaluation(BaseModel):
    """What the test split says about a candidate, and which model this is about: `model_hash`."""

    model_config = ConfigDict(frozen=True)

    model_hash: str
    family: str
    rows: int
    positives: int
    metrics: dict[str, float]
    champion_version: str | None = None
    champion_hash: str | None = None
    champion_metrics: dict[str, float] | None = None
    comparison: Interval | None = None
    incomparable: str | None = None
    coordinates: str = ""


def all_metrics(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Every metric of probabilities p [n_rows] against labels y [n_rows]."""
    return {name: score(name, y, p) for name in HIGHER_IS_BETTER}


def compare(
    metric: str,
    y: np.ndarray,
    candidate: np.ndarray,
    champion: np.ndarray,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """Paired bootstrap of candidate less champion on the same rows (Efron and Tibshirani 1993, chapter 13).

    Each resample weights the rows by how often they were drawn; both models see the same weights.
    """
    rng = np.random.default_rng(seed)
    sign = 1.0 if HIGHER_IS_BETTER[metric] else -1.0
    first, second = _Weighted(metric, y, candidate), _Weighted(metric, y, champion)
    ones = np.ones(len(y))
    differences = np.empty(resamples)
    for resample in range(resamples):
        weights = np.bincount(rng.integers(0, len(y), len(y)), minlength=len(y)).astype(np.float64)
        differences[resample] = sign * (first(weights) - second(weights))
    return Interval(
        metric=metric,
        difference=sign * (first(ones) - second(ones)),
        lower=float(np.nanquantile(differences, 1 - confidence)),
        confidence=confidence,
        resamples=resamples,
    )


class _Weighted:
    """A metric of fixed scores under varying row weights; sorted once."""

    def __init__(self, metric: str, y: np.ndarray, p: np.ndarray) -> None:
        self.metric = metric
        self.order = np.argsort(-p, kind="stable")
        self.y, self.p = y[self.order].astype(np.float64), p[self.order]
        self.last_of_tie = np.flatnonzero(np.append(np.diff(self.p) != 0, True))

    def __call__(self, weights: np.ndarray) -> float:
        weights = weights[self.order]
        if self.metric == "brier":
            return float(np.average((self.p - self.y) ** 2, weights=weights))
        if self.metric == "log_loss":
            p = np.clip(self.p, 1e-15, 1 - 1e-15)
            return float(-np.average(self.y * np.log(p) + (1 - self.y) * np.log(1 - p), weights=weights))
        hits = np.append(0.0, np.cumsum(weights * self.y)[self.last_of_tie])
        misses = np.append(0.0, np.cumsum(weights * (1 - self.y))[self.last_of_tie])
        if self.metric == "roc_auc":
            return float(np.trapezoid(hits, misses) / (hits[-1] * misses[-1]))
        precision = hits[1:] / np.maximum(hits[1:] + misses[1:], 1e-300)
        return float(np.sum(np.diff(hits) / hits[-1] * precision))
