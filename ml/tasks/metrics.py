"""Tasks and metrics: the kinds of answers that are predicted, and the catalogue of metrics that judge them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, SupportsIndex, get_args

import numpy as np
from pydantic import AfterValidator, WithJsonSchema

from ml.tasks import decided, errors, weighted
from ml.tasks.own_metric import OWN, direction, function_at, of_function
from ml.tasks.targets import TARGET, target_column
from ml.tasks.weighted import Prepare, Weighted, mean_of

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["binary", "multiclass", "regression"]
OFF = 1e-4  # how far probabilities may lie outside of 0 to 1, and their sum beside 1: float32 rounds
DIGITS = 2**18  # last digits of a double that are the least unit of numbers: two of them are below the usual tolerance


@dataclass(frozen=True)
class Task:
    """A kind of answer: a class's probability, that of each of `classes` in the order of their codes, or a number.

    Where there are several `targets`, named, it is the answer to each of them.
    """

    kind: Kind = "binary"
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    @classmethod
    def of(cls, kind: Kind, targets: pd.Series) -> Task:
        """Return the task whose classes, if it has many, are those of `targets`, sorted by name."""
        return cls(kind, tuple(sorted(targets.unique())) if kind == "multiclass" else ())

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Task:
        """Return the task that `to_dict` described."""
        return cls(values["kind"], tuple(values["classes"]), tuple(values.get("targets", ())))

    def to_dict(self) -> dict[str, Any]:
        """Return the task as plain JSON values; without several targets it is described as before there were any."""
        about = {"kind": self.kind, "classes": list(self.classes)}
        return about | ({"targets": list(self.targets)} if self.targets else {})

    def __str__(self) -> str:
        """Return the task in words."""
        if self.targets:
            return f"{self.kind} of the targets {', '.join(self.targets)}"
        return f"{self.kind} of the classes {', '.join(self.classes)}" if self.classes else self.kind

    @property
    def alone(self) -> Task:
        """The task of one of several targets."""
        return Task(self.kind, self.classes)

    @property
    def columns(self) -> list[str]:
        """The columns of examples and feature matrices that hold the target, or each of several."""
        return [target_column(name) for name in self.targets] or [TARGET]

    @property
    def outputs(self) -> int:
        """The count of numbers that answer one row."""
        return len(self.classes) if self.kind == "multiclass" else len(self.targets) or 1

    @property
    def answer_shape(self) -> tuple[int, ...]:
        """The shape of what answers one row: () of one number, or (n_classes,), or (n_targets,)."""
        return (self.outputs,) if self.targets or self.kind == "multiclass" else ()

    def labels_of(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the labels of rows with their targets, [n_rows], or [n_rows, n_targets] of several."""
        labels = [self.labels(rows[column]) for column in self.columns]
        return np.stack(labels, axis=1) if self.targets else labels[0]

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

    def summary_of(self, rows: pd.DataFrame) -> dict[str, float]:
        """Sum up the targets of rows: one as `summary` does, and of several what that of each begins with."""
        if not self.targets:
            return self.summary(rows[TARGET])
        shares = zip(self.targets, self.columns, strict=True)
        return {f"share of {name}": next(iter(self.summary(rows[column]).values())) for name, column in shares}

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


def _defined(y: np.ndarray, p: np.ndarray) -> None:
    """Find no problem with any rows."""


@dataclass(frozen=True)
class Metric:
    """A metric of labels y [n_rows] and predictions p: [n_rows], or [n_rows, n_classes] where there are many classes.

    Of several targets, y and p [n_rows, n_targets], it is the mean of those of each that are defined.

    Labels are 0 and 1, codes of classes, or numbers. `weighted(y, p)` gives it, of finite predictions, as a function of
    the rows' weights. It is the default of the task `default_of`; of a metric that `ranks`, only the order of the
    predictions matters. It lies in `range`. One that is `usual` is in every report of its tasks, any other where it is
    declared. Where it is undefined, `problem(y, p)` says why.
    """

    name: str
    higher_is_better: bool
    tasks: tuple[Kind, ...]
    weighted: Prepare
    default_of: Kind | None = None
    ranks: bool = False
    description: str = field(kw_only=True)
    usual: bool = field(default=True, kw_only=True)
    range: tuple[float, float] = field(default=(0, 1), kw_only=True)
    problem: Callable[[np.ndarray, np.ndarray], str | None] = field(default=_defined, kw_only=True)

    @classmethod
    def named(cls, name: str) -> Metric:
        """Return a metric of the catalogue, or the user's own at `package.module:function`.

        Raises ValueError, which lists the allowed names, for an unknown one.
        """
        return _own(name) if re.match(OWN, name) else _of_catalogue(name)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Let a metric of the catalogue be stored by its name: its function may move, and no pickle takes some."""
        if METRICS.get(self.name) is self:
            return Metric.named, (self.name,)
        return super().__reduce_ex__(protocol)

    def prepare(self, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> Weighted:
        """Return it as a function of how often each row counts, times its own weight; NaN of any where it is undefined.

        So it is if some prediction is no finite number: what ranks or counts predictions would take such a one for the
        greatest, or for a class.
        """
        if self.undefined(y, p) is not None:
            return lambda weights: np.full(weights.shape[:-1], np.nan)
        if y.ndim == 2:
            return weighted.mean_over([self.prepare(*alone, weights) for alone in _each_alone(y, p)])
        prepared = self.weighted(y, p)
        return prepared if weights is None else lambda counts: prepared(counts * weights)

    def undefined(self, y: np.ndarray, p: np.ndarray) -> str | None:
        """Return why it says nothing of these rows, whatever their weights; None if it does."""
        if wrong := rows_not_finite(p):
            return f"{wrong} of {len(y)} predictions are no finite numbers"
        if y.ndim == 2:
            problems = [self.problem(*alone) for alone in _each_alone(y, p)]
            return problems[0] if all(problems) else None
        return self.problem(y, p)

    def __call__(self, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> float:
        return float(self.prepare(y, p, weights)(np.ones(len(y))))

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.higher_is_better else -1


def _each_alone(y: np.ndarray, p: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the labels and predictions of each of several targets."""
    for alone, predicted in zip(y.T, p.T, strict=True):
        yield np.ascontiguousarray(alone), np.ascontiguousarray(predicted)


_CLASSES: tuple[Kind, ...] = ("binary", "multiclass")
_NUMBERS: tuple[Kind, ...] = ("regression",)
_LOSS, _AGREEMENT, _SHARE_OF_VARIANCE = (0, math.inf), (-1, 1), (-math.inf, 1)
# fmt: off
_ENTRIES = (
    Metric("roc_auc", True, _CLASSES, weighted.roc_auc, "binary", ranks=True, problem=weighted.one_class,
           description="the area under the ROC curve"),
    Metric("average_precision", True, ("binary",), weighted.average_precision, ranks=True,
           problem=weighted.no_positive, description="the average precision"),
    Metric("log_loss", False, _CLASSES, mean_of(weighted.log_losses), "multiclass", range=_LOSS,
           description="the log loss"),
    Metric("brier", False, _CLASSES, mean_of(weighted.brier_losses), description="the Brier score"),
    Metric("accuracy", True, _CLASSES, mean_of(weighted.hits),
           description="the share of rows whose likeliest class is right"),
    Metric("f1_macro", True, _CLASSES, decided.fbeta(1, macro=True), description="the mean F1 of the classes"),
    Metric("rmse", False, _NUMBERS, weighted.rmse, "regression", range=_LOSS,
           description="the root of the mean squared error"),
    Metric("mae", False, _NUMBERS, mean_of(weighted.absolute_errors), range=_LOSS,
           description="the mean absolute error"),
    Metric("r2", True, _NUMBERS, weighted.r2, range=_SHARE_OF_VARIANCE, problem=weighted.no_variance,
           description="the share of the target's variance that is explained"),
    Metric("balanced_accuracy", True, _CLASSES, decided.balanced_accuracy, usual=False,
           description="the mean share of each class's rows that are right"),
    Metric("mcc", True, _CLASSES, decided.mcc, usual=False, range=_AGREEMENT,
           description="Matthews' correlation of likeliest and true classes"),
    Metric("kappa", True, _CLASSES, decided.kappa, usual=False, range=_AGREEMENT, problem=decided.no_other_class,
           description="Cohen's kappa of likeliest and true classes"),
    Metric("mape", False, _NUMBERS, mean_of(errors.relative_errors), usual=False, range=_LOSS,
           problem=errors.zero_targets, description="the mean absolute error as a share of the true number"),
    Metric("rmsle", False, _NUMBERS, errors.rmsle, usual=False, range=_LOSS, problem=errors.without_logarithm,
           description="the root of the mean squared error of logarithms of one more"),
)
# fmt: on


@dataclass(frozen=True)
class Numbered:
    """Metrics with a number in their name, such as `pinball_0.9`: `form` has braces where it stands.

    There is one for each number that `allows` lets pass, which `numbers` says in words; `of` makes it.
    """

    form: str
    example: float
    numbers: str
    allows: Callable[[float], bool]
    of: Callable[[str, float], Metric]

    def named(self, name: str) -> Metric | None:
        """Return the metric of this name; None for a name of another form. Raises ValueError for a wrong number."""
        before, _, after = self.form.partition("{}")
        match = re.fullmatch(f"{before}(.+){after}", name)
        if match is None:
            return None
        try:
            number = float(match[1])
        except ValueError:
            number = math.nan
        if match[1] != f"{number:.15g}" or not self.allows(number):
            raise ValueError(f"There is no metric {name!r}: {self.form.format('…')} takes {self.numbers}.")
        return self.of(name, number)

    @property
    def sample(self) -> Metric:
        """One of them, with the number of the `example`."""
        return self.of(self.form.format(f"{self.example:.15g}"), self.example)


# fmt: off
NUMBERED = (
    Numbered("fbeta_{}", 2, "how many times recall counts as much as precision, such as fbeta_2 or fbeta_0.5",
             lambda beta: 0 < beta < math.inf,
             lambda name, beta: Metric(
                 name, True, _CLASSES, decided.fbeta(beta), usual=False,
                 description=f"F-beta of the positive class, or its mean over many, recall counting {beta:g} times")),
    Numbered("top_{}_accuracy", 2, "a whole number from 2 on, such as top_3_accuracy",
             lambda k: k >= 2 and k.is_integer(),
             lambda name, k: Metric(
                 name, True, ("multiclass",), mean_of(decided.top_hits(int(k))), usual=False,
                 problem=decided.too_few_classes(int(k)),
                 description=f"the share of rows whose class is among the {k:g} likeliest")),
    Numbered("precision_at_{}", 0.1, "a number of rows or a share below 1, such as precision_at_100, precision_at_0.1",
             lambda k: 0 < k < 1 or (k >= 1 and k.is_integer()),
             lambda name, k: Metric(
                 name, True, ("binary",), decided.precision_at(k), ranks=True, usual=False,
                 problem=decided.too_few_rows(k),
                 description=f"the share of positives among the likeliest {k:g}{' of the' if k < 1 else ''} rows")),
    Numbered("pinball_{}", 0.9, "a quantile between 0 and 1, such as pinball_0.9",
             lambda quantile: 0 < quantile < 1,
             lambda name, quantile: Metric(
                 name, False, _NUMBERS, mean_of(errors.pinball_losses(quantile)), usual=False, range=_LOSS,
                 description=f"the mean pinball loss of the quantile {quantile:g}")),
)
# fmt: on
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ENTRIES}
DEFAULT_METRIC: Mapping[Kind, str] = {
    kind: metric.name for kind in get_args(Kind) for metric in _ENTRIES if metric.default_of == kind
}


@lru_cache
def _of_catalogue(name: str) -> Metric:
    if (listed := METRICS.get(name)) is not None:
        return listed
    for numbered in NUMBERED:
        if (metric := numbered.named(name)) is not None:
            return metric
    near = [f", did you mean {known!r}" for known in get_close_matches(name, METRICS, n=1)]
    allowed = sorted([*METRICS, *(numbered.sample.name for numbered in NUMBERED)])
    raise ValueError(
        f"There is no metric {name!r}{''.join(near)}. Allowed: {', '.join(allowed)} (or with another number), or a "
        "package.module:function."
    )


def _own(reference: str) -> Metric:
    """Return the user's own metric, which may be of any task."""
    function = function_at(reference)
    return Metric(
        reference,
        direction(reference, function),
        get_args(Kind),
        of_function(reference, function),
        description=f"{reference}, a metric of your own",
        usual=False,
        range=(-math.inf, math.inf),
    )


def _declared(name: str) -> str:
    if not re.match(OWN, name):  # code of the user's own is imported when the use case is loaded
        Metric.named(name)
    return name


_FORMS = "|".join(numbered.form.format(r"[\d.]+") for numbered in NUMBERED)
FURTHER = f"{OWN}|^({_FORMS})$"  # the names of metrics that the catalogue does not list one by one
MetricName = Annotated[
    str,
    AfterValidator(_declared),
    WithJsonSchema(
        {
            "type": "string",
            "anyOf": [{"enum": list(METRICS)}, {"pattern": FURTHER}],
        }
    ),
]


def score(metric: str, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Compute a metric by its name; raises ValueError, which lists the allowed ones, for an unknown name."""
    return Metric.named(metric)(y, p, weights)


def own_modules(names: Iterable[str]) -> list[str]:
    """Return the modules of those metrics that are the user's own: part of the code of what goes by them.

    Raises ValueError, which says what is wrong, if one of these is no metric.
    """
    own = [name for name in names if re.match(OWN, name) and Metric.named(name)]
    return sorted({name.partition(":")[0] for name in own})


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
    if task.targets:
        return int(outside.any(axis=1).sum())
    with np.errstate(invalid="ignore", over="ignore"):
        return int((outside.any(axis=1) | ~(np.abs(p.sum(axis=1) - 1) <= OFF)).sum())


def usual_metrics(kind: Kind) -> list[str]:
    """Return the names of the metrics that every report of a task shows, in the order of the catalogue."""
    return [name for name, metric in METRICS.items() if metric.usual and kind in metric.tasks]


def fits(name: str, kind: Kind) -> bool:
    """Return whether a metric fits a task; of the user's own, nothing is known before it is asked."""
    return bool(re.match(OWN, name)) or kind in Metric.named(name).tasks


def metrics_of(kind: Kind) -> list[str]:
    """Return the names of the metrics that fit a task, in the order of the catalogue; one for each that is numbered."""
    metrics = [*METRICS.values(), *(numbered.sample for numbered in NUMBERED)]
    return [metric.name for metric in metrics if kind in metric.tasks]


def kind_of(measured: Collection[str]) -> Kind | None:
    """Return the task of which all usual metrics are among those that were measured; None if there is none."""
    return next((kind for kind in get_args(Kind) if set(usual_metrics(kind)) <= set(measured)), None)
