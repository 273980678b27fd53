"""A kind of gate: the options that a declaration may give it, and its verdict on an evaluation."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ml.declaration.part import Part
from ml.verdict import Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation


class GateKind(Part):
    """A gate with its options, all of which have defaults; `description` is that of its field in `gates`.

    Unless it `can_be_off`, every candidate must pass it. One that goes `by_target` judges each of several targets.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    can_be_off: ClassVar[bool] = True
    by_target: ClassVar[bool] = False

    @abstractmethod
    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Judge an evaluation; comparisons go by `metric`.

        A value that is missing or not a number never passes. What the gate does not concern, it passes and says so.
        """

    def _up_to(self, limit: float, value: float, subject: str, unit: str = "") -> Verdict:
        """Refuse a value above a limit, or a missing one; `subject` and `unit` say what it is."""
        reason = f"{subject} is {value:.3g}{unit}; needed: at most {limit:g}{unit}"
        return Verdict(self.name, value <= limit, reason, {f"value{unit}": value, "needed": limit})
