"""Tasks and metrics: the kinds of answers that are predicted, and the catalogue of metrics that judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias, get_args

import numpy as np

from ml.tasks import weighted
from ml.tasks.weighted import Prepare, Weighted, mean_of

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["binary", "multiclass", "regression"]
OFF = 1e-4  # how far probabilities may lie outside of 0 to 1, and their sum beside 1: float32 rounds
DIGITS = 2**18  # last digits of a double that are the least unit of numbers: two of them are below the usual tolerance


@dataclass(frozen=True)
class Task:
    """A kind of answer: a class's probability, that of each of `classes` in the order of their codes, or a number."""

    kind: Kind = "binary"
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, kind: Kind, targets: pd.Series) -> Task:
        """Return the task whose classes, if it has many, are those of `targets`, sorted by name."""
        return cls(kind, tuple(sorted(targets.unique())) if kind == "multiclass" else ())

    @property
    def outputs(self) -> int:
        """The count of numbers that answer one row."""
        return len(self.classes) if self.kind == "multiclass" else 1

    def labels(self, targets: pd.Series) -> np.ndarray:
        """Return targets as models see them, [n_rows]: int8 of 0 and 1, int16 codes of classes, or float64.

        Raises ValueError for a class that is not one of `classes`.
        """
        if self.kind != "multiclass":
            return targets.to_numpy(dtype="int8" if self.kind == "binary" else "float64")
        codes = {name: code for code, name in enumerate(self.classes)}
        if unknown := sorted(set(targets.unique()) - codes.keys()):
            raise ValueError(f"the classes {unknown} are none of the model's, {list(self.classes)}")
        return targets.map(codes).to_numpy(dtype="int16")

    def unit(self, answers: np.ndarray) -> float:
        """Return what a difference of answers is large or small against: 1 for probabilities, the numbers' spread."""
        if self.kind != "regression" or len(answers) == 0:
            return 1.0
        spread, largest = float(np.ptp(answers)), float(np.abs(answers).max())
        # Far from zero the last digit of a double may be a share of a tiny spread, and it rounds here and there.
        return max(spread, DIGITS * float(np.spacing(largest))) if spread else largest or 1.0

    def summary(self, targets: pd.Series) -> dict[str, float]:
        """Sum up targets in a few figures: the share of the positive or of each class, or where the numbers lie."""
        if self.kind == "binary":
            return {"share positive": float(targets.mean())}
        if self.kind == "multiclass":
            shares = targets.value_counts(normalize=True)
            return {f"share of {name}": float(shares.get(name, 0.0)) for name in self.classes}
        return {
            "mean": float(targets.mean()),
            "standard deviation": float(targets.std(ddof=0)),
            "least": float(targets.min()),
            "greatest": float(targets.max()),
        }


BINARY = Task()


@dataclass(frozen=True)
class Metric:
    """A metric of labels y [n_rows] and predictions p: [n_rows], or [n_rows, n_classes] where there are many classes.

    Labels are 0 and 1, codes of classes, or numbers. `weighted(y, p)` gives it, of finite predictions, as a function of
    the rows' weights. It is the default of the task `default_of`; of a metric that `ranks`, only the order of the
    predictions matters.
    """

    name: str
    higher_is_better: bool
    tasks: tuple[Kind, ...]
    weighted: Prepare
    default_of: Kind | None = None
    ranks: bool = False
    description: str = field(kw_only=True)

    @classmethod
    def named(cls, name: str) -> Metric:
        """Return a metric of the catalogue; raises ValueError, which lists the allowed names, for an unknown one."""
        if name not in METRICS:
            raise ValueError(f"There is no metric {name!r}. Allowed: {sorted(METRICS)}.")
        return METRICS[name]

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Let a metric of the catalogue be stored by its name: its function may move, and no pickle takes some."""
        if METRICS.get(self.name) is self:
            return Metric.named, (self.name,)
        return super().__reduce_ex__(protocol)

    def prepare(self, y: np.ndarray, p: np.ndarray) -> Weighted:
        """Return it as a function of the rows' weights; NaN of any if some prediction is no finite number.

        What ranks or counts predictions would take such a one for the greatest, or for a class.
        """
        if not np.isfinite(p).all():
            return lambda weights: np.full(weights.shape[:-1], np.nan)
        return self.weighted(y, p)

    def __call__(self, y: np.ndarray, p: np.ndarray) -> float:
        return float(self.prepare(y, p)(np.ones(len(y))))

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.higher_is_better else -1


_CLASSES: tuple[Kind, ...] = ("binary", "multiclass")
_NUMBERS: tuple[Kind, ...] = ("regression",)
# fmt: off
_ENTRIES = (
    Metric("roc_auc", True, _CLASSES, weighted.roc_auc, "binary", ranks=True,
           description="the area under the ROC curve"),
    Metric("average_precision", True, ("binary",), weighted.average_precision, ranks=True,
           description="the average precision"),
    Metric("log_loss", False, _CLASSES, mean_of(weighted.log_losses), "multiclass", description="the log loss"),
    Metric("brier", False, _CLASSES, mean_of(weighted.brier_losses), description="the Brier score"),
    Metric("accuracy", True, _CLASSES, mean_of(weighted.hits),
           description="the share of rows whose likeliest class is right"),
    Metric("f1_macro", True, _CLASSES, weighted.f1_macro, description="the mean F1 of the classes"),
    Metric("rmse", False, _NUMBERS, weighted.rmse, "regression", description="the root of the mean squared error"),
    Metric("mae", False, _NUMBERS, mean_of(weighted.absolute_errors), description="the mean absolute error"),
    Metric("r2", True, _NUMBERS, weighted.r2, description="the share of the target's variance that is explained"),
)
# fmt: on
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ENTRIES}
DEFAULT_METRIC: Mapping[Kind, str] = {
    kind: metric.name for kind in get_args(Kind) for metric in _ENTRIES if metric.default_of == kind
}
if TYPE_CHECKING:
    MetricName: TypeAlias = str
else:
    MetricName = Literal[tuple(METRICS)]  # so that errors and the schema list the names


def score(metric: str, y: np.ndarray, p: np.ndarray) -> float:
    """Compute a metric by its name; raises ValueError, which lists the allowed ones, for an unknown name."""
    return Metric.named(metric)(y, p)


def rows_not_finite(p: np.ndarray) -> int:
    """Count the rows of predictions [n_rows] or [n_rows, n_classes] that are not all finite numbers."""
    wrong = ~np.isfinite(p)
    return int((wrong if wrong.ndim == 1 else wrong.any(axis=1)).sum())


def rows_unanswered(p: np.ndarray, task: Task) -> int:
    """Count the rows of predictions that are no finite numbers, or of classes no probabilities, which sum to 1."""
    if task.kind == "regression":
        return rows_not_finite(p)
    outside = ~((p >= -OFF) & (p <= 1 + OFF))  # also of NaN
    if p.ndim == 1:
        return int(outside.sum())
    with np.errstate(invalid="ignore", over="ignore"):
        return int((outside.any(axis=1) | ~(np.abs(p.sum(axis=1) - 1) <= OFF)).sum())


def metrics_of(kind: Kind) -> list[str]:
    """Return the names of the metrics that fit a task, in the order of the catalogue."""
    return [name for name, metric in METRICS.items() if kind in metric.tasks]
