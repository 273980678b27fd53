"""What a use case declares of its models and of the gates that they must pass."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from ml.declaration import Part
from ml.metrics import Kind

# What each family can learn, as its attribute `tasks` says. Declarations do not import the families, or the code of
# each would be part of what every asset is made by.
TASKS: Mapping[str, tuple[Kind, ...]] = {
    "logistic": ("binary", "multiclass"),
    "ridge": ("regression",),
    "lightgbm": ("binary", "multiclass", "regression"),
    "mlp": ("binary", "multiclass", "regression"),
}


class Family(Part):
    """How one model family is tuned."""

    trials: int = Field(5, ge=1, le=10_000, description="How many settings the search tries.")
    rows: int | None = Field(
        None, ge=100, description="Tune on at most this many training rows; the winner is refitted on all."
    )
    gpu: Literal["required", "preferred", "never"] = Field(
        "never", description="`required` fails without a GPU; `preferred` runs on the CPU instead and records it."
    )
    gpu_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Which share of a GPU it takes: steps whose shares together are at most 1 may use one at a time.",
    )
    tolerance: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="How far a score may lie from the recorded one when the model is reproduced: above 0 only where "
        "training is not exact, as on a GPU.",
    )


class Models(Part):
    """The model families that compete; at least one."""

    logistic: Family | None = Field(None, description="Regularized logistic regression, for classes.")
    ridge: Family | None = Field(None, description="Regularized linear regression, for numbers.")
    lightgbm: Family | None = Field(None, description="Gradient-boosted trees.")
    mlp: Family | None = Field(None, description="A small torch network with embeddings for categories.")

    @model_validator(mode="after")
    def _at_least_one(self) -> "Models":
        if not self.families:
            raise ValueError(f"no model family is declared; allowed: {sorted(type(self).model_fields)}")
        return self

    @model_validator(mode="after")
    def _a_gpu_only_where_it_is_used(self) -> "Models":
        from ml.models import FAMILIES

        for name, declared in self.families.items():
            if declared.gpu != "never" and "cuda" not in FAMILIES[name].devices:
                able = [each for each in sorted(FAMILIES) if "cuda" in FAMILIES[each].devices]
                raise ValueError(f"{name} trains on the CPU only, so `gpu` must be never; on a GPU can train: {able}")
            if declared.gpu == "never" and declared.gpu_share != 1:
                raise ValueError(f"{name} states a gpu_share, but gpu: never; set gpu: preferred or required")
        return self

    @property
    def families(self) -> dict[str, Family]:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: family for name, family in given.items() if family is not None}


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
