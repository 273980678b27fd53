"""The declaration of the evaluation on the test split."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from ml.declaration.part import Part
from ml.tasks.metrics import MetricName


class Cost(Part):
    """Costs of wrong decisions, in any unit; a right one costs nothing."""

    false_positive: float = Field(1, ge=0, description="The cost of a yes that should be a no.")
    false_negative: float = Field(1, ge=0, description="The cost of a no that should be a yes.")


class LeastCost(Part):
    """The threshold of the least cost."""

    cost: Cost = Field(description="What a wrong yes and a wrong no cost.")


class PrecisionAtRecall(Part):
    """The threshold of the greatest precision among those that reach a recall."""

    precision_at_recall: float = Field(gt=0, le=1, description="The recall to reach.")


def _kind(threshold: Any) -> str:
    """Return which objective is meant, so that a mistake is reported of that one alone."""
    if isinstance(threshold, LeastCost) or (isinstance(threshold, Mapping) and "cost" in threshold):
        return "cost"
    if isinstance(threshold, PrecisionAtRecall):
        return "recall"
    recall = isinstance(threshold, Mapping) and "precision_at_recall" in threshold
    return "recall" if recall else "f1"


Objective = Annotated[
    Annotated[Literal["f1"], Tag("f1")]
    | Annotated[LeastCost, Tag("cost")]
    | Annotated[PrecisionAtRecall, Tag("recall")],
    Discriminator(_kind),
]


class EvaluationPlan(Part):
    """The subjects of the report on the test split, and how closely it looks at them."""

    metrics: list[MetricName] = Field(
        default_factory=list,
        exclude_if=lambda metrics: not metrics,  # so that what names none is recorded as ever
        description="What is measured beside the usual metrics of the task, and beside `metric` and those of gates.",
    )
    resamples: int = Field(1000, ge=50, le=100_000, description="Bootstrap resamples behind each interval.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="How often an interval holds the true value.")
    threshold: Objective | None = Field(
        None,
        description="What the threshold of a binary task is chosen by, on validation rows: `f1` (default), "
        "`{cost: {false_positive: 1, false_negative: 5}}` or `{precision_at_recall: 0.8}`.",
    )
    interval: float = Field(
        0.9, gt=0.5, lt=1, description="The share of rows that the interval around a predicted number is to hold."
    )
    slices: list[str] = Field(
        default_factory=list,
        description="Columns of the examples' table, or features, by whose values rows are judged apart; numbers and "
        "times are cut at quantiles.",
    )
    slice_rows: int = Field(30, ge=10, description="Test rows that a slice needs; smaller ones are put together.")
    worst_slices: int = Field(5, ge=0, le=50, description="The most slices that are looked for beside those declared.")
    sensitive: list[str] = Field(
        default_factory=list, description="Columns like those of `slices` whose groups are to be treated alike."
    )
    importance_rows: int = Field(1000, ge=50, description="Test rows, at most, of the permutation importance.")
    shap_rows: int = Field(100, ge=10, description="Test rows, at most, whose answers are taken apart by SHAP.")

    @property
    def objective(self) -> Objective:
        """The objective that the threshold of a binary task is chosen by."""
        return self.threshold or "f1"

    @field_validator("threshold", mode="before")
    @classmethod
    def _known_objective(cls, threshold: Any) -> Any:
        if threshold is not None and threshold != "f1" and _kind(threshold) == "f1":
            raise ValueError(
                f"threshold reads `f1`, `{{cost: …}}` or `{{precision_at_recall: …}}`; given: {threshold!r}"
            )
        return threshold
