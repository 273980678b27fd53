"""The evaluation on the test split: metrics, and the candidate against the champion on the same rows."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.metrics import BINARY, METRICS, Task, metrics_of, score


class Interval(BaseModel):
    """A difference of a metric, better being positive, with the lower end of its one-sided confidence interval."""

    model_config = ConfigDict(frozen=True)

    metric: str
    difference: float
    lower: float
    confidence: float
    resamples: int


class Evaluation(BaseModel):
    """What the test split says about a candidate, and which model this is about: `model_hash`.

    `target` says in a few figures what there was to predict, as `Task.summary` does.
    """

    model_config = ConfigDict(frozen=True)

    model_hash: str
    family: str
    rows: int
    target: dict[str, float] = {}
    metrics: dict[str, float]
    champion_version: str | None = None
    champion_hash: str | None = None
    champion_metrics: dict[str, float] | None = None
    comparison: Interval | None = None
    incomparable: str | None = None
    coordinates: str = ""


def all_metrics(y: np.ndarray, p: np.ndarray, task: Task = BINARY) -> dict[str, float]:
    """Every metric that fits the task, of predictions p [n_rows] or [n_rows, n_classes] against labels y [n_rows]."""
    return {name: score(name, y, p) for name in metrics_of(task.kind)}


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
    sign = METRICS[metric].sign
    first, second = (METRICS[metric].prepare(y, p) for p in (candidate, champion))
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
