"""The gate of the time that an answer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ml.declaration.gate_kinds.kind import GateKind
from ml.verdict import MISSING, Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation


class LatencyGate(GateKind):
    """The exported model must answer fast enough."""

    name = "latency"
    description = "The time for one row."

    at_most_ms: float = Field(50.0, gt=0, description="The median time for one row, on one thread.")

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse a median time for one row above the limit."""
        value = evaluation.serving.latency_ms if evaluation.serving else MISSING
        return self._up_to(self.at_most_ms, value, "the median time for one row", " ms")
