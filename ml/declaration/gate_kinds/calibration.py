"""The gate of the calibration of probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ml.declaration.gate_kinds.kind import GateKind
from ml.tasks.metrics import kind_of
from ml.verdict import MISSING, Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Calibration, Evaluation


def _aside(measured: Calibration) -> str:
    """Say where all probabilities lie to one side, as those of a model that learned from other shares of classes do."""
    if not measured.rows:
        return ""
    predicted, observed = (
        sum(share * rows for share, rows in zip(shares, measured.rows, strict=True)) / sum(measured.rows)
        for shares in (measured.predicted, measured.observed)
    )
    if abs(predicted - observed) < measured.error / 2:
        return ""
    return (
        f". On average {predicted:.1%} are predicted and {observed:.1%} happen, as where examples.weights balances "
        "rare classes: that leaves the order of answers and the decisions at the threshold as good; with gates: "
        "{calibration: off} these alone count"
    )


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
        binary = kind_of(evaluation.metrics) == "binary"
        aside = _aside(measured) if measured and binary and error > limit else ""
        return Verdict(
            self.name,
            error <= limit,
            f"the expected calibration error is {error:.4f}; needed: at most {self.at_most:g} beyond the "
            f"{by_chance:.4f} that chance alone may give so many rows{aside}",
            {"error": error, "by chance": by_chance, "needed": limit},
        )
