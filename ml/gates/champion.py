"""The gates that compare the candidate with the champion, on the same test rows."""

from collections import Counter
from math import isnan

from ml.declaration.gates import (
    MARGIN,
    MARGIN_OF_ERRORS,
    SLICE_MARGIN,
    SLICE_MARGIN_OF_ERRORS,
    ChampionGate,
    Margin,
    SliceGate,
    share,
)
from ml.evaluation.record import Evaluation, Interval
from ml.evaluation.slices import Slice
from ml.gates.verdict import Verdict
from ml.intervals.bootstrap import percent
from ml.tasks.metrics import METRICS

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
    margin = _margin(rule.not_worse_by, (MARGIN, MARGIN_OF_ERRORS), metric, found.against)
    return Verdict(
        "champion",
        found.lower >= -margin,
        f"{found.metric} is {found.difference:+.4f} against champion version {evaluation.champion_version} (positive "
        f"is better), with {percent(found.confidence)} confidence at least {found.lower:+.4f}; needed: at least "
        f"{-margin:+.4f}{_on_unseen(evaluation)}",
        {"difference": found.difference, "lower": found.lower, "needed": -margin},
    )


def no_slice_worse(metric: str, rule: SliceGate, evaluation: Evaluation) -> Verdict:
    """No slice with enough rows has, with confidence, become worse than the champion's by more than the margin."""
    nothing = _nothing_to_compare(evaluation) or (
        f"cannot compare with the champion: {evaluation.incomparable}" if evaluation.comparison is None else None
    )
    if nothing:
        return Verdict("slices", True, f"no slice is compared: {nothing}")
    why = [_passed_over(rule, metric, evaluation, each) for each in evaluation.slices]
    compared = [each for each, reason in zip(evaluation.slices, why, strict=True) if reason is None]
    passed_over = ", ".join(f"{count} {reason}" for reason, count in Counter(filter(None, why)).items())
    if not compared:
        return Verdict("slices", True, f"no slice is compared: {passed_over or 'there are none'}")
    worse = [said for each in compared if (said := _worse(rule, metric, each)) is not None]
    reason = _told(worse, len(compared), evaluation) + (f"; not compared: {passed_over}" if passed_over else "")
    figures = {each.name: each.against_champion.difference.value for each in compared if each.against_champion}
    return Verdict("slices", not worse, reason, figures)


def other_rule(found: Interval, metric: str, confidence: float) -> str:
    """The reason why a comparison that was made by another metric or confidence counts for nothing."""
    return (
        f"the comparison was made by {found.metric} with {percent(found.confidence)} confidence, but the declaration "
        f"says {metric} and {percent(confidence)}: materialize evaluation again"
    )


def _nothing_to_compare(evaluation: Evaluation) -> str | None:
    if evaluation.champion_version is None:
        return "there is no champion yet"
    if evaluation.champion_hash == evaluation.model_hash:
        return f"the candidate is the champion, version {evaluation.champion_version}"
    return None


def _margin(declared: Margin, defaults: tuple[float, str], metric: str, champions: float) -> float:
    """How much worse a metric may be, in its own units; `champions` is the champion's value."""
    usual = defaults[0] if METRICS[metric].higher_is_better else defaults[1]
    margin = usual if declared is None else declared
    return share(margin) * abs(champions) if isinstance(margin, str) else margin


def _passed_over(rule: SliceGate, metric: str, evaluation: Evaluation, each: Slice) -> str | None:
    """Why a slice does not count, if it does not; one of which nobody knows how it compares does."""
    if (found := each.against_champion) is None:
        return None
    if found.rows < rule.rows:
        unseen = " that the champion has not learned from" if evaluation.seen_by_champion else ""
        return f"of fewer than {rule.rows} rows{unseen}"
    if isnan(found.candidate.value) and isnan(found.champion.value):
        return f"on which {metric} says nothing of either model"
    return None


def _worse(rule: SliceGate, metric: str, each: Slice) -> str | None:
    """What is to be said of a slice that is worse, or whose difference nobody knows."""
    if (found := each.against_champion) is None:
        return f"{each.name}: nothing says how it compares, materialize evaluation again"
    margin = _margin(rule.not_worse_by, (SLICE_MARGIN, SLICE_MARGIN_OF_ERRORS), metric, found.champion.value)
    if found.difference.high >= -margin:
        return None
    return (
        f"{each.name}: {metric} {found.difference.value:+.4f}, at best {found.difference.high:+.4f}, needed: at least "
        f"{-margin:+.4f}"
    )


def _told(worse: list[str], compared: int, evaluation: Evaluation) -> str:
    said = f"{len(worse) or 'none'} of {compared} slices {'are' if worse else 'is'} worse than with champion version "
    more = f" and {len(worse) - SHOWN} more" if len(worse) > SHOWN else ""
    return f"{said}{evaluation.champion_version}{': ' if worse else ''}{'; '.join(worse[:SHOWN])}{more}"


def _on_unseen(evaluation: Evaluation) -> str:
    if not evaluation.seen_by_champion:
        return ""
    rest = evaluation.rows - evaluation.seen_by_champion
    return (
        f". The champion has learned from {evaluation.seen_by_champion} of the {evaluation.rows} test rows: this is on "
        f"the other {rest}"
    )
