"""The gate of answers that are no numbers, or no probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.declaration.gate_kinds.kind import GateKind
from ml.tasks.metrics import kind_of
from ml.verdict import MISSING, Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation


class FiniteGate(GateKind):
    """The candidate must answer every test row with a finite number, of classes with probabilities, by any metric."""

    name = "finite"
    description = "Every answer is a finite number; cannot be off."
    can_be_off = False

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse a model with an answer that is no finite number, or no probability, or of which nobody knows."""
        rows = evaluation.not_finite
        if rows is None:
            unknown = "nothing says whether every answer is a finite number: materialize evaluation again"
            return Verdict(self.name, False, unknown, {"rows": MISSING})
        kind = (
            "no finite number" if kind_of(evaluation.metrics) == "regression" else "no finite number or no probability"
        )
        reason = f"{rows} of the {evaluation.rows} test rows are answered with what is {kind}; needed: 0"
        return Verdict(self.name, rows == 0, reason, {"rows": rows})
