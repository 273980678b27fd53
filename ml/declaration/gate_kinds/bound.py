"""The gate of a metric, which is on where its limits are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ml.declaration.part import Part
from ml.verdict import MISSING, Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation


class Bound(Part):
    """Limits for one metric on the test split."""

    at_least: float | None = Field(None, description="The gate refuses a value below this.")
    at_most: float | None = Field(None, description="The gate refuses a value above this.")

    @model_validator(mode="after")
    def _some_limit(self) -> Bound:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a bound needs at_least, at_most or both")
        return self

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse a value of `metric` outside of the limits, or none at all, be it that of one of several targets."""
        value = evaluation.metrics.get(metric, MISSING)
        high_enough = self.at_least is None or value >= self.at_least
        low_enough = self.at_most is None or value <= self.at_most
        declared = {"at least": self.at_least, "at most": self.at_most}
        limits = {word: limit for word, limit in declared.items() if limit is not None}
        needed = " and ".join(f"{word} {limit:g}" for word, limit in limits.items())
        why = evaluation.undefined.get(metric)
        what = (
            f"{evaluation.label(metric)} is {value:.4f} on the {evaluation.rows} test rows"
            if why is None
            else f"{evaluation.label(metric)} is undefined: {why}"
        )
        blank = [
            f"; of {target} it is undefined: {alone.undefined[metric]}"
            for target, alone in evaluation.targets.items()
            if metric in alone.undefined
        ]
        return Verdict(
            metric.rpartition(":")[2],
            high_enough and low_enough and value == value and not blank,
            f"{what}, needed: {needed}{''.join(blank)}",
            {metric: value, **limits},
        )
