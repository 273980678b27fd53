"""The evaluation on the test split: metrics, and the candidate against the champion on the same rows."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.evaluation.ablation import Ablated
from ml.evaluation.explanations import Importance
from ml.evaluation.fairness import Fairness
from ml.evaluation.slices import Slice
from ml.evaluation.wrong_rows import WrongRow
from ml.exported.reference import Reference
from ml.intervals.bootstrap import Estimate, Resampling, quantiles, resampled_values
from ml.intervals.calibration import Calibration
from ml.intervals.conformal import Coverage
from ml.intervals.thresholds import Decisions
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.labels import label
from ml.tasks.metrics import Metric, score, usual_metrics
from ml.tasks.task import BINARY, Task

__all__ = ["Calibration", "Estimate", "Evaluation", "Interval", "Serving", "Slice", "all_metrics", "compare"]


class Interval(BaseModel):
    """A difference of a metric, better being positive, with the lower end of its one-sided confidence interval.

    `against` is the metric of the other side, a champion or a baseline, on the rows of the comparison.
    """

    model_config = ConfigDict(frozen=True)

    metric: str
    difference: float
    lower: float
    against: float = float("nan")
    confidence: float
    resamples: int


class Serving(BaseModel):
    """The cost of serving the exported model: median milliseconds of one row, megabytes, and its largest difference
    from the native model, on validation rows when it was exported and on the test rows, in the case that is named."""

    model_config = ConfigDict(frozen=True)

    latency_ms: float
    size_mb: float
    parity: float
    parity_case: str = "at the export"


class LeakAudit(BaseModel):
    """The outcome of the test for leaks of the model's features on a sample of the test rows."""

    model_config = ConfigDict(frozen=True)

    passed: bool
    reason: str


class Evaluation(BaseModel):
    """The results of a candidate on the test split; `model_hash` says which model they are about.

    `target` says in a few figures what there was to predict, as `Task.summary` does; `not_finite` how many rows are
    answered with what is no finite number, or no probability of a class; `undefined` why a metric says nothing of them.
    `intervals` are of `metrics`,
    `champion_intervals` of the champion's, `baseline_intervals` of what answers every row alike; all have `confidence`
    and come of the same `resamples`. `reference` is what the model brings from training and validation; `period` is the
    first and the last cutoff of the test rows, where they have any. `ablation` names the features that make a metric
    too good to be true. Of several targets metrics are means of theirs, and `targets` are the records of each.
    """

    model_config = ConfigDict(frozen=True)

    model_hash: str
    family: str
    rows: int
    target: dict[str, float] = {}
    metrics: dict[str, float]
    undefined: dict[str, str] = {}
    not_finite: int | None = None
    champion_version: str | None = None
    champion_hash: str | None = None
    same_answers: bool = False
    champion_metrics: dict[str, float] | None = None
    comparison: Interval | None = None
    incomparable: str | None = None
    resamples: int = 0
    confidence: float = 0.95
    intervals: dict[str, Estimate] = {}
    champion_intervals: dict[str, Estimate] = {}
    baseline_metrics: dict[str, float] = {}
    baseline_intervals: dict[str, Estimate] = {}
    over_baseline: Interval | None = None
    seen_by_champion: int = 0
    slices: tuple[Slice, ...] = ()
    searched_slices: int = 0
    calibration: Calibration | None = None
    champion_calibration: Calibration | None = None
    serving: Serving | None = None
    reference: Reference | None = None
    decisions: Decisions | None = None
    coverage: Coverage | None = None
    fairness: tuple[Fairness, ...] = ()
    importances: tuple[Importance, ...] = ()
    ablation: tuple[Ablated, ...] = ()
    most_wrong: tuple[WrongRow, ...] = ()
    period: tuple[str, str] | None = None
    leak_audit: LeakAudit | None = None
    coordinates: str = ""
    targets: dict[str, "Evaluation"] = {}

    def label(self, metric: str) -> str:
        """Return the name of a metric, which says where the decision falls that it is about."""
        if self.targets:
            return next(iter(self.targets.values())).label(metric)
        return label(metric, "binary" if self.decisions and self.decisions.rates else "multiclass")

    def labelled(self) -> dict[str, float]:
        """Return the metrics by the names that people read."""
        return {self.label(metric): value for metric, value in self.metrics.items()}

    def of_champion(self, version: str) -> "Evaluation":
        """Return the evaluation of a candidate that has become the champion, with nothing left to compare it with."""
        return self.model_copy(update={"champion_version": version, "champion_hash": self.model_hash})


def all_metrics(y: np.ndarray, p: np.ndarray, task: Task = BINARY) -> dict[str, float]:
    """Score predictions p [n_rows] or [n_rows, n_classes] against labels y [n_rows] by the task's usual metrics."""
    return {name: score(name, y, p) for name in usual_metrics(task.kind)}


def compare(
    metric: str,
    y: np.ndarray,
    candidate: np.ndarray,
    champion: np.ndarray,
    *,
    confidence: float,
    resamples: int,
    seed: int,
    counting: Counting = EQUALLY,
) -> Interval:
    """Compare candidate and champion on the same rows by the paired bootstrap (Efron and Tibshirani 1993, chapter 13).

    Each resample weights the rows by how often they, or their groups, were drawn; both models see the same weights.
    """
    rule = Metric.named(metric)
    sides = {"candidate": rule.prepare(y, candidate, counting), "champion": rule.prepare(y, champion, counting)}
    values = resampled_values(y, sides, Resampling(resamples, confidence, seed, counting.groups))
    ones = np.ones(len(y))
    exact = {name: float(side(ones)) for name, side in sides.items()}
    return paired_difference(
        metric,
        (exact["candidate"], exact["champion"]),
        (values["candidate"], values["champion"]),
        confidence=confidence,
    )


def paired_difference(
    metric: str, exact: tuple[float, float], values: tuple[np.ndarray, np.ndarray], *, confidence: float
) -> Interval:
    """Subtract the second from the first, by their values on the rows and on the same resamples [resamples]."""
    sign = Metric.named(metric).sign
    return Interval(
        metric=metric,
        difference=sign * (exact[0] - exact[1]),
        lower=float(quantiles(sign * (values[0] - values[1]), [1 - confidence])[0]),
        against=exact[1],
        confidence=confidence,
        resamples=len(values[0]),
    )
