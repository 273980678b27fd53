"""The gate that compares the slices of the test rows with the champion's."""

from __future__ import annotations

from collections import Counter
from math import isnan
from typing import TYPE_CHECKING

from pydantic import Field

from ml.declaration.gate_kinds.comparison import Margin, allowed_margin, nothing_to_compare
from ml.declaration.gate_kinds.kind import GateKind
from ml.verdict import Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation, Slice

SLICE_MARGIN, SLICE_MARGIN_OF_ERRORS = 0.05, "10%"
SHOWN = 5  # slices that a reason names


class SliceGate(GateKind):
    """No slice of the test rows may have become worse than with the champion."""

    name = "slices"
    description = "No slice worse than with the champion."

    not_worse_by: Margin = Field(
        None,
        description="How much worse the metric may be in a slice, written as for the champion. If absent, "
        f"{SLICE_MARGIN}, and {SLICE_MARGIN_OF_ERRORS} of a metric that is better when lower, or your own.",
    )
    rows: int = Field(100, ge=2, description="Slices of fewer rows do not count: chance moves their metric too far.")

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse a candidate that is, with confidence, worse by more than the margin on a slice of enough rows."""
        nothing = nothing_to_compare(evaluation) or (
            f"cannot compare with the champion: {evaluation.incomparable}" if evaluation.comparison is None else None
        )
        if nothing:
            return Verdict(self.name, True, f"no slice is compared: {nothing}")
        reasons = [self._reason_to_pass_over(metric, evaluation, part) for part in evaluation.slices]
        compared = [part for part, reason in zip(evaluation.slices, reasons, strict=True) if reason is None]
        passed_over = ", ".join(f"{count} {reason}" for reason, count in Counter(filter(None, reasons)).items())
        if not compared:
            return Verdict(self.name, True, f"no slice is compared: {passed_over or 'there are none'}")
        worse = [problem for part in compared if (problem := self._problem(metric, evaluation, part)) is not None]
        summary = _summary(worse, len(compared), evaluation) + (f"; not compared: {passed_over}" if passed_over else "")
        figures = {part.name: part.against_champion.difference.value for part in compared if part.against_champion}
        return Verdict(self.name, not worse, summary, figures)

    def _reason_to_pass_over(self, metric: str, evaluation: Evaluation, part: Slice) -> str | None:
        """Return why a slice does not count, None if it does; one of which nobody knows how it compares does."""
        if (compared := part.against_champion) is None:
            return None
        if compared.rows < self.rows:
            unseen = " that the champion has not learned from" if evaluation.seen_by_champion else ""
            return f"of fewer than {self.rows} rows{unseen}"
        if isnan(compared.candidate.value) and isnan(compared.champion.value):
            return f"on which {evaluation.label(metric)} says nothing of either model"
        if isnan(compared.difference.high) and not isnan(compared.difference.value):
            return "of too few groups for an interval"
        return None

    def _problem(self, metric: str, evaluation: Evaluation, part: Slice) -> str | None:
        """Describe a slice that is worse, or whose difference nobody knows; None if it is neither."""
        if (compared := part.against_champion) is None:
            return f"{part.name}: nothing says how it compares, materialize evaluation again"
        defaults = SLICE_MARGIN, SLICE_MARGIN_OF_ERRORS
        margin = allowed_margin(self.not_worse_by, defaults, metric, compared.champion.value)
        if compared.difference.high >= -margin:
            return None
        return (
            f"{part.name}: {evaluation.label(metric)} {compared.difference.value:+.4f}, at best "
            f"{compared.difference.high:+.4f}, needed: at least {-margin:+.4f}"
        )


def _summary(worse: list[str], compared: int, evaluation: Evaluation) -> str:
    count = f"{len(worse) or 'none'} of {compared} slices {'are' if worse else 'is'} worse than with champion version "
    more = f" and {len(worse) - SHOWN} more" if len(worse) > SHOWN else ""
    return f"{count}{evaluation.champion_version}{': ' if worse else ''}{'; '.join(worse[:SHOWN])}{more}"
