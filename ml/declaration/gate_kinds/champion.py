"""The gate that compares the candidate with the champion, on the same test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ml.base.text import percent
from ml.declaration.gate_kinds.comparison import Margin, allowed_margin, made_otherwise, nothing_to_compare
from ml.declaration.gate_kinds.kind import GateKind
from ml.verdict import Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation

MARGIN, MARGIN_OF_ERRORS = 0.002, "2%"


class ChampionGate(GateKind):
    """The candidate must not be worse than the champion on the same test rows (paired bootstrap)."""

    name = "champion"
    description = "The comparison with the champion; cannot be off."
    can_be_off = False

    not_worse_by: Margin = Field(
        None,
        description="How much worse the metric may be: in its own units, or, as in 2%, as a share of the champion's "
        f"value. If absent, {MARGIN}, and {MARGIN_OF_ERRORS} of a metric that is better when lower, or your own.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="How sure the comparison must be of that.")
    resamples: int = Field(300, ge=50, le=100_000, description="Bootstrap resamples of the test rows.")
    rows: int = Field(
        100,
        ge=2,
        description="If the champion has learned from some of the test rows, the two are compared on the others, "
        "where there are at least this many.",
    )
    when_incomparable: Literal["refuse", "promote"] = Field(
        "refuse",
        description="What to do if the champion needs features that no longer exist, or has learned from too many of "
        "the test rows.",
    )

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse a candidate that may, at the confidence, be worse than the champion by more than the margin."""
        if (nothing := nothing_to_compare(evaluation)) is not None:
            return Verdict(self.name, True, nothing)
        if (comparison := evaluation.comparison) is None:
            passed = self.when_incomparable == "promote" and evaluation.incomparable is not None
            why = evaluation.incomparable or "nobody knows why"
            return Verdict(self.name, passed, f"cannot compare with the champion: {why}")
        if reason := made_otherwise(comparison, metric, self.confidence):
            return Verdict(self.name, False, reason)
        margin = allowed_margin(self.not_worse_by, (MARGIN, MARGIN_OF_ERRORS), metric, comparison.against)
        return Verdict(
            self.name,
            comparison.lower >= -margin,
            f"{evaluation.label(comparison.metric)} is {comparison.difference:+.4f} against champion version "
            f"{evaluation.champion_version} (positive is better), with {percent(comparison.confidence)} confidence at "
            f"least {comparison.lower:+.4f}; needed: at least {-margin:+.4f}{_on_unseen(evaluation)}",
            {"difference": comparison.difference, "lower": comparison.lower, "needed": -margin},
        )


def _on_unseen(evaluation: Evaluation) -> str:
    if not evaluation.seen_by_champion:
        return ""
    rest = evaluation.rows - evaluation.seen_by_champion
    return (
        f". The champion has learned from {evaluation.seen_by_champion} of the {evaluation.rows} test rows: this is on "
        f"the other {rest}"
    )
