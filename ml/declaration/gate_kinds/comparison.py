"""Comparisons with champion and baseline: the margin that is allowed, and reasons why there is nothing to compare."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from ml.base.text import percent
from ml.tasks.metrics import Metric

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation, Interval

_PERCENTAGE = re.compile(r"^(\d+(?:\.\d+)?)\s*%$")


def _check_margin(margin: float | str | None) -> float | str | None:
    if isinstance(margin, str) and not _PERCENTAGE.match(margin):
        raise ValueError(f"{margin!r} is no margin: write a number such as 0.002, or a share such as 2%")
    if isinstance(margin, float) and not margin >= 0:
        raise ValueError(f"a margin is at least 0, given {margin}")
    return margin


Margin = Annotated[float | str | None, AfterValidator(_check_margin)]


def allowed_margin(margin: Margin, defaults: tuple[float, str], metric: str, champions: float) -> float:
    """Return how much worse a metric may be, in its own units; `champions` is the champion's value.

    The first of the defaults is for metrics that are better when higher, up to a best value, the second for the others.
    """
    rule = Metric.named(metric)
    usual = defaults[0] if rule.higher_is_better and isfinite(rule.range[1]) else defaults[1]
    chosen = usual if margin is None else margin
    return _share(chosen) * abs(champions) if isinstance(chosen, str) else chosen


def _share(margin: str) -> float:
    """Read a percentage: `2%` is 0.02."""
    match = _PERCENTAGE.match(margin)
    assert match is not None
    return float(match[1]) / 100


def made_otherwise(comparison: Interval, metric: str, confidence: float) -> str | None:
    """Return why a comparison that was made by another metric or confidence counts for nothing; None if it counts."""
    if (comparison.metric, comparison.confidence) == (metric, confidence):
        return None
    return (
        f"the comparison was made by {comparison.metric} with {percent(comparison.confidence)} confidence, but the "
        f"declaration says {metric} and {percent(confidence)}: materialize evaluation again"
    )


def nothing_to_compare(evaluation: Evaluation) -> str | None:
    """Return why there is no champion beside the candidate; None if there is one."""
    if evaluation.champion_version is None:
        return "there is no champion yet"
    if evaluation.champion_hash == evaluation.model_hash or evaluation.same_answers:
        return f"the candidate is the champion, version {evaluation.champion_version}"
    return None
