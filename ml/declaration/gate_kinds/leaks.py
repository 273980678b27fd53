"""The gate against features that know the future."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.declaration.gate_kinds.kind import GateKind
from ml.verdict import Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation


class LeakGate(GateKind):
    """No feature of the model may tell, of a sample of the test rows, what comes after their cutoff."""

    name = "leaks"
    description = "No feature knows what comes after the cutoff."

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse a model that failed the leak audit, or that had none though its rows have a cutoff."""
        audit = evaluation.leak_audit
        if audit is not None:
            failed = "" if audit.passed else "the leak audit failed: "
            return Verdict(self.name, audit.passed, f"{failed}{audit.reason}")
        if evaluation.period is None:
            return Verdict(self.name, True, "the rows have no cutoff, so that nothing comes after it")
        unknown = "nothing says whether the features of the test rows tell of what comes after them"
        return Verdict(self.name, False, unknown)
