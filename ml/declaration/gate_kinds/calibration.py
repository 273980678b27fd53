"""The gate of the calibration of probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ml.declaration.gate_kinds.kind import GateKind
from ml.tasks.metrics import kind_of
from ml.verdict import MISSING, Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation


class CalibrationGate(GateKind):
    """Probabilities must be what they say."""

    name = "calibration"
    description = "Probabilities that are what they say."
    by_target = True

    at_most: float = Field(
        0.1, gt=0, le=1, description="The expected calibration error, beyond what chance alone gives so many rows."
    )

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse an expected calibration error above the limit and what chance gives; numbers have none and pass."""
        if kind_of(evaluation.metrics) == "regression":
            return Verdict(self.name, True, "numbers have no calibration of probabilities")
        measured = evaluation.calibration
        error, by_chance = (measured.error, measured.by_chance) if measured else (MISSING, 0.0)
        limit = self.at_most + by_chance
        return Verdict(
            self.name,
            error <= limit,
            f"the expected calibration error is {error:.4f}; needed: at most {self.at_most:g} beyond the "
            f"{by_chance:.4f} that chance alone may give so many rows",
            {"error": error, "by chance": by_chance, "needed": limit},
        )
