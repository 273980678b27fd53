"""The gate that compares the candidate with a trivial answer, the same for every row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ml.base.text import percent
from ml.declaration.gate_kinds.comparison import made_otherwise
from ml.declaration.gate_kinds.kind import GateKind
from ml.verdict import Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation


class BaselineGate(GateKind):
    """The candidate must be better than an answer that knows no feature, on the same test rows (paired bootstrap)."""

    name = "baseline"
    description = "Better than an answer that knows no feature."

    better_by: float = Field(0.0, ge=0, description="How much better the metric must be, in its own units.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="How sure the comparison must be of that.")

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse a candidate that is not, with confidence, better by the margin."""
        comparison = evaluation.over_baseline
        if comparison is None:
            return Verdict(
                self.name, False, f"nothing says how {evaluation.label(metric)} compares with that of a trivial answer"
            )
        if reason := made_otherwise(comparison, metric, self.confidence):
            return Verdict(self.name, False, reason)
        return Verdict(
            self.name,
            comparison.lower > self.better_by,
            f"{evaluation.label(metric)} is {comparison.difference:+.4f} against a trivial answer (positive is "
            f"better), with {percent(comparison.confidence)} confidence at least {comparison.lower:+.4f}; "
            f"needed: more than {self.better_by:+.4f}",
            {"difference": comparison.difference, "lower": comparison.lower, "needed": self.better_by},
        )
