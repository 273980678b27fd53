"""The gates that compare the candidate with the champion, on the same test rows."""

from collections.abc import Iterator
from math import isnan

from ml.evaluation import Estimate, Evaluation, Interval
from ml.metrics import METRICS
from ml.spec_gates import (
    MARGIN,
    MARGIN_OF_ERRORS,
    SLICE_MARGIN,
    SLICE_MARGIN_OF_ERRORS,
    ChampionGate,
    Margin,
    SliceGate,
    share,
)
from ml.verdict import MISSING, Verdict

SHOWN = 5  # slices that a reason names


def not_worse(metric: str, rule: ChampionGate, evaluation: Evaluation) -> Verdict:
    """The candidate is, with confidence, at most the margin worse than the champion."""
    if (nothing := _nothing_to_compare(evaluation)) is not None:
        return Verdict("champion", True, nothing)
    if evaluation.comparison is None:
        passed = rule.when_incomparable == "promote" and evaluation.incomparable is not None
        return Verdict(
            "champion", passed, f"cannot compare with the champion: {evaluation.incomparable or 'nobody knows why'}"
        )
    found = evaluation.comparison
    if (found.metric, found.confidence) != (metric, rule.confidence):
        return Verdict("champion", False, other_rule(found, metric, rule.confidence))
    margin = _margin(rule.not_worse_by, (MARGIN, MARGIN_OF_ERRORS), metric, _champions(evaluation, metric))
    return Verdict(
        "champion",
        found.lower >= -margin,
        f"{found.metric} is {found.difference:+.4f} against champion version {evaluation.champion_version} (positive "
        f"is better), with {found.confidence:.0%} confidence at least {found.lower:+.4f}; needed: at least "
        f"{-margin:+.4f}{_on_unseen(evaluation)}",
        {"difference": found.difference, "lower": found.lower, "needed": -margin},
    )


def no_slice_worse(metric: str, rule: SliceGate, evaluation: Evaluation) -> Verdict:
    """No slice with enough rows has, with confidence, become worse than the champion's by more than the margin."""
    nothing = _nothing_to_compare(evaluation) or (
        f"cannot compare with the champion: {evaluation.incomparable}" if evaluation.comparison is None else None
    )
    slices = [each for each in evaluation.slices if each.rows >= rule.rows]
    if nothing or not slices:
        return Verdict(
            "slices", True, f"no slice is compared: {nothing or f'there are no slices of at least {rule.rows} rows'}"
        )
    worse = [said for each in slices for said in _worse(rule, evaluation, metric, each.name, each.score)]
    more = f" and {len(worse) - SHOWN} more" if len(worse) > SHOWN else ""
    reason = f"{len(worse)} of {len(slices)} slices are worse than with champion version {evaluation.champion_version}"
    if not worse:
        reason = f"none of {len(slices)} slices is worse than with champion version {evaluation.champion_version}"
    figures = {each.name: _difference(evaluation, each.name).value for each in slices}
    return Verdict("slices", not worse, f"{reason}{': ' if worse else ''}{'; '.join(worse[:SHOWN])}{more}", figures)


def other_rule(found: Interval, metric: str, confidence: float) -> str:
    """The reason why a comparison that was made by another metric or confidence counts for nothing."""
    return (
        f"the comparison was made by {found.metric} with {found.confidence:.0%} confidence, but the declaration says "
        f"{metric} and {confidence:.0%}: materialize evaluation again"
    )


def _nothing_to_compare(evaluation: Evaluation) -> str | None:
    if evaluation.champion_version is None:
        return "there is no champion yet"
    if evaluation.champion_hash == evaluation.model_hash:
        return f"the candidate is the champion, version {evaluation.champion_version}"
    return None


def _champions(evaluation: Evaluation, metric: str) -> float:
    return (evaluation.champion_metrics or {}).get(metric, MISSING)


def _margin(declared: Margin, defaults: tuple[float, str], metric: str, champions: float) -> float:
    """How much worse a metric may be, in its own units; `champions` is the champion's value."""
    usual = defaults[0] if METRICS[metric].higher_is_better else defaults[1]
    margin = usual if declared is None else declared
    return share(margin) * abs(champions) if isinstance(margin, str) else margin


def _worse(rule: SliceGate, evaluation: Evaluation, metric: str, name: str, score: Estimate) -> Iterator[str]:
    """What is to be said of a slice that is worse, or whose difference nobody knows though it has one."""
    champions = evaluation.champion_slices.get(name, _UNKNOWN).value
    if isnan(champions) and isnan(score.value):
        return  # as where a slice has one class only, of which no metric says anything
    difference = _difference(evaluation, name)
    margin = _margin(rule.not_worse_by, (SLICE_MARGIN, SLICE_MARGIN_OF_ERRORS), metric, champions)
    if not difference.high >= -margin:
        yield (
            f"{name}: {metric} {difference.value:+.4f}, at best {difference.high:+.4f}, needed: at least {-margin:+.4f}"
        )


_UNKNOWN = Estimate(value=MISSING, low=MISSING, high=MISSING)


def _difference(evaluation: Evaluation, name: str) -> Estimate:
    return evaluation.slice_differences.get(name, _UNKNOWN)


def _on_unseen(evaluation: Evaluation) -> str:
    if not evaluation.seen_by_champion:
        return ""
    rest = evaluation.rows - evaluation.seen_by_champion
    return (
        f". The champion has learned from {evaluation.seen_by_champion} of the {evaluation.rows} test rows: this is on "
        f"the other {rest}"
    )
