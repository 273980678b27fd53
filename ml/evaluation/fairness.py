"""Differences in how the groups of a sensitive column are treated: fairlearn's, with intervals.

Of a binary task by the decisions at the threshold: the share of yes (demographic parity), of yes among the positive and
among the negative (equalized odds: Hardt, Price and Srebro 2016, NeurIPS), and of right decisions. Of many classes the
share of right decisions; of numbers the mean error, and the mean of its size.

The rates of groups have bootstrap intervals. The interval of the largest difference is wider than that of a pair chosen
beforehand, because of many equal groups two lie apart by chance: it is Tukey's simultaneous one for all pairs of
groups, by their own standard errors (Games and Howell 1976, Pairwise multiple comparison procedures with unequal N's
and/or variances, Journal of Educational Statistics 1). Where all groups are treated alike, a 95% interval leaves out
0 in at most about one case of twenty, whatever the number of groups.
"""

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.evaluation.slices import Part
from ml.intervals.bootstrap import Estimate, Resampling, estimate, resampled_values
from ml.tasks.task import Task
from ml.tasks.weighted import Groups, Weighted, most_likely, ratio

Rate = tuple[np.ndarray, np.ndarray]  # what counts of each row, and which rows


class Group(BaseModel):
    """The test rows of one group, and its rates."""

    model_config = ConfigDict(frozen=True)

    value: str
    rows: int
    rates: dict[str, Estimate]


class Fairness(BaseModel):
    """The rates of a column's groups, and by rate the difference of the two groups that lie furthest apart.

    `between` names these two, the greater first; the interval is of the largest difference among all pairs. A rate that
    no row of a group counts for is left out of both.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    groups: tuple[Group, ...]
    differences: dict[str, Estimate]
    between: dict[str, tuple[str, str]]


def fairness(
    column: str,
    groups: list[Part],
    y: np.ndarray,
    p: np.ndarray,
    task: Task,
    threshold: float | None,
    resampling: Resampling,
) -> Fairness:
    """Judge the fairness of the answers p to rows of labels y, whose `groups` together are all rows."""
    codes = np.empty(len(y), dtype=int)
    for code, group in enumerate(groups):
        codes[group.positions] = code
    rates = {name: rate for name, rate in _rates(y, p, task, threshold).items() if rate[1].any()}
    functions = {name: _by_group(codes, rate) for name, rate in rates.items()}
    values = resampled_values(_strata(y, codes, task), functions, resampling)
    measured = {name: _by_fairlearn(y, codes, rate) for name, rate in rates.items()}
    exact = {name: by_group for name, by_group in measured.items() if np.isfinite(by_group).any()}
    estimates = {
        name: [estimate(value, values[name][:, code], resampling) for code, value in enumerate(exact_rates)]
        for name, exact_rates in exact.items()
    }
    ends = {name: (int(np.nanargmax(by_group)), int(np.nanargmin(by_group))) for name, by_group in exact.items()}
    return Fairness(
        column=column,
        groups=tuple(_group(group, code, estimates) for code, group in enumerate(groups)),
        differences={
            name: _largest_difference(
                by_group, _errors(codes, rates[name], values[name]), ends[name], rates[name], resampling.confidence
            )
            for name, by_group in exact.items()
        },
        between={name: (groups[high].value, groups[low].value) for name, (high, low) in ends.items()},
    )


def _errors(codes: np.ndarray, rate: Rate, by_group: np.ndarray) -> np.ndarray:
    """Return the standard error of each group's rate [n_groups], from its resampled values [resamples, n_groups].

    It is at least that of as many rows drawn from all groups: a few rows that are all alike do not tell their spread.
    """
    values, counted = rate
    rows = np.bincount(codes[counted], minlength=by_group.shape[1])
    pooled = values[counted].astype(float).std() / np.sqrt(np.maximum(rows, 1))
    known = ~np.isnan(by_group)  # a resample of whole groups may lack such rows
    spread = [of[there].std(ddof=1) if there.sum() > 1 else 0.0 for of, there in zip(by_group.T, known.T, strict=True)]
    errors: np.ndarray = np.maximum(spread, pooled)
    return errors


def _largest_difference(
    by_group: np.ndarray, errors: np.ndarray, ends: tuple[int, int], rate: Rate, confidence: float
) -> Estimate:
    """Return the difference of the two groups at the ends, with its interval among all pairs of groups."""
    from scipy.stats import studentized_range

    value, groups = float(by_group[ends[0]] - by_group[ends[1]]), int((~np.isnan(by_group)).sum())
    if groups < 2:
        return Estimate(value=value, low=value, high=value)
    factor = float(studentized_range.ppf(confidence, groups, np.inf)) / 2**0.5
    apart = factor * float(np.hypot(errors[ends[0]], errors[ends[1]]))
    most = 1.0 if rate[0].dtype == bool else np.inf  # shares are no further apart
    return Estimate(value=value, low=value - apart, high=min(value + apart, most))


def _rates(y: np.ndarray, p: np.ndarray, task: Task, threshold: float | None) -> dict[str, Rate]:
    every = np.ones(len(y), dtype=bool)
    if task.kind == "regression":
        return {"mean error": (p - y, every), "mean absolute error": (np.abs(p - y), every)}
    if task.kind == "multiclass" or threshold is None:
        return {"accuracy": (most_likely(p) == y, every)}
    decided = p >= threshold
    return {
        "selection rate": (decided, every),
        "true positive rate": (decided, y == 1),
        "false positive rate": (decided, y == 0),
        "accuracy": (decided == y, every),
    }


def _strata(y: np.ndarray, codes: np.ndarray, task: Task) -> np.ndarray:
    """Return the strata of the rows [n_rows]: they are drawn within their group, and there within their class."""
    return codes if task.kind == "regression" else codes * (int(y.max()) + 1) + y.astype(int)


def _by_group(codes: np.ndarray, rate: Rate) -> Weighted:
    groups, (values, counted) = Groups(codes, int(codes.max()) + 1), rate
    return lambda weights: ratio(groups.sums(weights * (values * counted)), groups.sums(weights * counted))


def _by_fairlearn(y: np.ndarray, codes: np.ndarray, rate: Rate) -> np.ndarray:
    """Return the rate of each group [n_groups], NaN where no row of it counts."""
    from fairlearn.metrics import MetricFrame

    values, counted = rate
    frame = MetricFrame(
        metrics=lambda _, values_of_group: float(np.mean(values_of_group)),
        y_true=y[counted],
        y_pred=values[counted].astype(float),
        sensitive_features=codes[counted],
    )
    by_group: np.ndarray = frame.by_group.reindex(range(int(codes.max()) + 1)).to_numpy(dtype=float)
    return by_group


def _group(part: Part, code: int, estimates: dict[str, list[Estimate]]) -> Group:
    rates = {name: by_group[code] for name, by_group in estimates.items() if not np.isnan(by_group[code].value)}
    return Group(value=part.value, rows=len(part.positions), rates=rates)
