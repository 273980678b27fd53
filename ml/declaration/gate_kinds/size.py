"""The gate of the exported model's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ml.declaration.gate_kinds.kind import GateKind
from ml.verdict import MISSING, Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation


class SizeGate(GateKind):
    """The exported model must be small enough to ship."""

    name = "size"
    description = "The size of the exported model."

    at_most_mb: float = Field(500.0, gt=0, description="The size of the ONNX file.")

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse an ONNX file above the limit."""
        value = evaluation.serving.size_mb if evaluation.serving else MISSING
        return self._up_to(self.at_most_mb, value, "the exported model's size", " MB")
