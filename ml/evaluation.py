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


class Estimate(BaseModel):
    """A value with both ends of its bootstrap confidence interval, NaN where there is none."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float


class Slice(BaseModel):
    """Test rows that have something in common, such as `origin = JFK`, and how well they are answered.

    `score` is the use case's metric on them; `found` says whether the slice was looked for, and not declared.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    value: str
    rows: int
    score: Estimate
    found: bool = False

    @property
    def name(self) -> str:
        return f"{self.column} = {self.value}"


class Calibration(BaseModel):
    """How far probabilities are what they say: expected calibration error over bins of equally many rows.

    `predicted`, `observed` and `rows` are those of the bins. Of many classes, it is about the likeliest one.
    """

    model_config = ConfigDict(frozen=True)

    error: float
    predicted: tuple[float, ...] = ()
    observed: tuple[float, ...] = ()
    rows: tuple[int, ...] = ()


class Serving(BaseModel):
    """What the exported model takes to serve: median milliseconds of one row, megabytes, and its largest difference
    from the native model when it was exported."""

    model_config = ConfigDict(frozen=True)

    latency_ms: float
    size_mb: float
    parity: float


class Evaluation(BaseModel):
    """What the test split says about a candidate, and which model this is about: `model_hash`.

    `target` says in a few figures what there was to predict, as `Task.summary` does. `intervals` are of `metrics`,
    `champion_intervals` of the champion's; of slices, by name, `champion_slices` are the champion's scores, and
    `slice_differences` the candidate's less those, better being positive.
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
    intervals: dict[str, Estimate] = {}
    champion_intervals: dict[str, Estimate] = {}
    slices: tuple[Slice, ...] = ()
    champion_slices: dict[str, Estimate] = {}
    slice_differences: dict[str, Estimate] = {}
    calibration: Calibration | None = None
    serving: Serving | None = None
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
