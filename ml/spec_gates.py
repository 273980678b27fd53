"""What a use case declares of the gates before its production model."""

from typing import Literal

from pydantic import Field, model_validator

from ml.declaration import Part


class Bound(Part):
    """Limits for one metric on the test split."""

    at_least: float | None = Field(None, description="The gate refuses a value below this.")
    at_most: float | None = Field(None, description="The gate refuses a value above this.")

    @model_validator(mode="after")
    def _some_limit(self) -> "Bound":
        if self.at_least is None and self.at_most is None:
            raise ValueError("a bound needs at_least, at_most or both")
        return self


class ChampionGate(Part):
    """The candidate must not be worse than the champion on the same test rows (paired bootstrap)."""

    not_worse_by: float = Field(0.002, ge=0, description="How much worse the metric may be, in its own units.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="How sure the comparison must be of that.")
    resamples: int = Field(300, ge=50, le=100_000, description="Bootstrap resamples of the test rows.")
    when_incomparable: Literal["refuse", "promote"] = Field(
        "refuse", description="What to do if the champion needs features that no longer exist."
    )


class Gates(Part):
    """What a candidate must pass before it becomes the champion."""

    roc_auc: Bound | None = Field(None, description="Limits for the area under the ROC curve.")
    average_precision: Bound | None = Field(None, description="Limits for the average precision.")
    log_loss: Bound | None = Field(None, description="Limits for the log loss.")
    brier: Bound | None = Field(None, description="Limits for the Brier score.")
    accuracy: Bound | None = Field(None, description="Limits for the share of rows whose likeliest class is right.")
    f1_macro: Bound | None = Field(None, description="Limits for the mean F1 of the classes.")
    rmse: Bound | None = Field(None, description="Limits for the root of the mean squared error.")
    mae: Bound | None = Field(None, description="Limits for the mean absolute error.")
    r2: Bound | None = Field(None, description="Limits for the share of the target's variance that is explained.")
    champion: ChampionGate = Field(default_factory=ChampionGate, description="The comparison with the champion.")

    @property
    def bounds(self) -> dict[str, Bound]:
        given = {name: getattr(self, name) for name in type(self).model_fields if name != "champion"}
        return {name: bound for name, bound in given.items() if bound is not None}
