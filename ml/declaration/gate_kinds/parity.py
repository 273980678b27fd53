"""The gate that compares the exported model with the native one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from ml.declaration.gate_kinds.kind import GateKind
from ml.verdict import MISSING, Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation


class ParityGate(GateKind):
    """The exported model must answer as the native one does."""

    name = "parity"
    description = "The exported model answers as the native one."

    at_most: float = Field(
        1e-5, gt=0, description="The largest difference of answers; of numbers, as a share of their spread."
    )

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse a difference to the native model above the limit."""
        serving = evaluation.serving
        value, where = (serving.parity, serving.parity_case) if serving else (MISSING, "nowhere measured")
        verdict = self._up_to(self.at_most, value, "the largest difference to the native model")
        return replace(verdict, reason=f"{verdict.reason} ({where})")
