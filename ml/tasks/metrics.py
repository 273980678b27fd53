"""Metrics: what judges answers, and the catalogue of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, SupportsIndex, get_args

import numpy as np
from pydantic import AfterValidator, WithJsonSchema

from ml.tasks import decided, errors, ranked, weighted
from ml.tasks.answers import rows_not_finite
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.numbered import Numbered
from ml.tasks.own_metric import OWN, direction, function_at, of_function, takes_groups, takes_weights
from ml.tasks.task import Kind
from ml.tasks.weighted import Weighted, mean_of


def _defined(*rows: np.ndarray) -> None:
    """Find no problem with any rows."""


@dataclass(frozen=True)
class Metric:
    """A metric of labels y [n_rows] and predictions p: [n_rows], or [n_rows, n_classes] where there are many classes.

    Of several targets, y and p [n_rows, n_targets], it is the mean of those of each that are defined.

    Labels are 0 and 1, codes of classes, or numbers. `weighted(y, p)` gives it, of finite predictions, as a function of
    the rows' weights. It is the default of the task `default_of`; of a metric that `ranks`, only the order of the
    predictions matters. It lies in `range`. One that is `usual` is in every report of its tasks, any other where it is
    declared. Where it is undefined, `problem(y, p)` says why. One that is `by_group` takes the numbers of the groups
    [n_rows], within which rows are ranked, as a third argument of both. What is `by_number` is another figure of fewer
    rows, however good they are.
    """

    name: str
    higher_is_better: bool
    tasks: tuple[Kind, ...]
    weighted: Callable[..., Weighted]
    default_of: Kind | None = None
    ranks: bool = False
    description: str = field(kw_only=True)
    usual: bool = field(default=True, kw_only=True)
    range: tuple[float, float] = field(default=(0, 1), kw_only=True)
    problem: Callable[..., str | None] = field(default=_defined, kw_only=True)
    by_group: bool = field(default=False, kw_only=True)
    by_number: bool = field(default=False, kw_only=True)

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

    def prepare(self, y: np.ndarray, p: np.ndarray, counting: Counting = EQUALLY) -> Weighted:
        """Return it as a function of how often each row counts, beside `counting`; NaN of any where it is undefined.

        So it is if some prediction is no finite number: what ranks or counts predictions would take such a one for the
        greatest, or for a class.
        """
        if self.undefined(y, p, counting) is not None:
            return lambda weights: np.full(weights.shape[:-1], np.nan)
        if y.ndim == 2:
            return weighted.mean_over([self.prepare(*alone, counting) for alone in _each_alone(y, p)])
        prepared, own = self.weighted(y, p, *self._groups(counting)), counting.weights
        return prepared if own is None else lambda counts: prepared(counts * own)

    def undefined(self, y: np.ndarray, p: np.ndarray, counting: Counting = EQUALLY) -> str | None:
        """Return why it says nothing of these rows, whatever their weights; None if it does."""
        if wrong := rows_not_finite(p):
            return f"{wrong} of {len(y)} predictions are no finite numbers"
        groups = self._groups(counting)
        if y.ndim == 2:
            problems = [self.problem(*alone, *groups) for alone in _each_alone(y, p)]
            return problems[0] if all(problems) else None
        return self.problem(y, p, *groups)

    def _groups(self, counting: Counting) -> tuple[np.ndarray, ...]:
        if not self.by_group:
            return ()
        if counting.groups is None:
            raise ValueError(f"{self.name} ranks rows within groups: name their column in examples.ranked_within")
        return (counting.groups,)

    def __call__(self, y: np.ndarray, p: np.ndarray, counting: Counting = EQUALLY) -> float:
        return float(self.prepare(y, p, counting)(np.ones(len(y))))

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


def _of_first(
    form: str,
    of: Callable[[int], ranked.PrepareGroups],
    description: str,
    problem: Callable[..., str | None] = ranked.nothing_to_order,
) -> Numbered:
    """Return the metrics of the first rows of each group, so many of them as the number in the name says."""

    def named(name: str, k: float) -> Metric:
        return Metric(
            name,
            True,
            ("binary", "regression"),
            of(int(k)),
            ranks=True,
            usual=False,
            problem=problem,
            by_group=True,
            description=f"the mean over groups of {description.format(int(k))}",
        )

    example = form.format(10)
    return Numbered(form, 10, f"a whole number of rows, such as {example}", lambda k: k >= 1 and k.is_integer(), named)


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
                 problem=decided.too_few_rows(k), by_number=k >= 1,
                 description=f"the share of positives among the likeliest {k:g}{' of the' if k < 1 else ''} rows")),
    Numbered("pinball_{}", 0.9, "a quantile between 0 and 1, such as pinball_0.9",
             lambda quantile: 0 < quantile < 1,
             lambda name, quantile: Metric(
                 name, False, _NUMBERS, mean_of(errors.pinball_losses(quantile)), usual=False, range=_LOSS,
                 description=f"the mean pinball loss of the quantile {quantile:g}")),
    _of_first("ndcg_at_{}", ranked.ndcg, "the discounted gain among the first {}, as a share of the best order's",
              problem=ranked.nothing_to_gain),
    _of_first("map_at_{}", ranked.mean_average_precision, "the average precision among the first {}"),
    _of_first("mrr_at_{}", ranked.mean_reciprocal_rank, "one over the place of the first relevant row, 0 beyond {}"),
    _of_first("group_precision_at_{}", ranked.mean_precision, "the share of relevant rows among the first {}"),
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
        by_group=takes_groups(function),
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


def score(metric: str, y: np.ndarray, p: np.ndarray, counting: Counting = EQUALLY) -> float:
    """Compute a metric by its name; raises ValueError, which lists the allowed ones, for an unknown name."""
    return Metric.named(metric)(y, p, counting)


def own_modules(names: Iterable[str]) -> list[str]:
    """Return the modules of those metrics that are the user's own: part of the code of what goes by them.

    Raises ValueError, which says what is wrong, if one of these is no metric.
    """
    own = [name for name in names if re.match(OWN, name) and Metric.named(name)]
    return sorted({name.partition(":")[0] for name in own})


def require_counted(names: Iterable[str], *, weights: bool, groups: bool) -> None:
    """Raise ValueError for a metric of the user's own that cannot count rows as they are declared to count.

    They have `weights` of a column, and are ranked within `groups`, or have none.
    """
    for name in names:
        if not re.match(OWN, name):
            continue
        function = function_at(name)
        if weights and not takes_weights(function):
            raise ValueError(
                f"the metric {name!r} takes no weights, and examples.weights names a column: add the argument `weights`"
            )
        if takes_groups(function) and not groups:
            raise ValueError(
                f"the metric {name!r} ranks rows within groups: name their column in examples.ranked_within"
            )


def usual_metrics(kind: Kind) -> list[str]:
    """Return the names of the metrics that every report of a task shows, in the order of the catalogue."""
    return [name for name, metric in METRICS.items() if metric.usual and kind in metric.tasks]


def fits(name: str, kind: Kind) -> bool:
    """Return whether a metric fits a task; of the user's own, nothing is known before it is asked."""
    return bool(re.match(OWN, name)) or kind in Metric.named(name).tasks


def ranks_within_groups(name: str) -> bool:
    """Return whether a metric goes by the groups within which rows are ranked."""
    return not re.match(OWN, name) and Metric.named(name).by_group


def metrics_of(kind: Kind) -> list[str]:
    """Return the names of the metrics that fit a task, in the order of the catalogue; one for each that is numbered."""
    metrics = [*METRICS.values(), *(numbered.sample for numbered in NUMBERED)]
    return [metric.name for metric in metrics if kind in metric.tasks]


def kind_of(measured: Collection[str]) -> Kind | None:
    """Return the task of which all usual metrics are among those that were measured; None if there is none."""
    return next((kind for kind in get_args(Kind) if set(usual_metrics(kind)) <= set(measured)), None)
