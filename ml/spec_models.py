"""What a use case declares of its models."""

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from ml.declaration import Part
from ml.loop_options import Precision
from ml.metrics import Kind
from ml.spec_search import Range

# What each family can learn, as its attribute `tasks` says. Declarations do not import the families, or the code of
# each would be part of what every asset is made by.
TASKS: Mapping[str, tuple[Kind, ...]] = {
    "logistic": ("binary", "multiclass"),
    "ridge": ("regression",),
    "random_forest": ("binary", "multiclass", "regression"),
    "extra_trees": ("binary", "multiclass", "regression"),
    "hist_boosting": ("binary", "multiclass", "regression"),
    "lightgbm": ("binary", "multiclass", "regression"),
    "xgboost": ("binary", "multiclass", "regression"),
    "catboost": ("binary", "multiclass", "regression"),
    "mlp": ("binary", "multiclass", "regression"),
    "resnet": ("binary", "multiclass", "regression"),
    "cnn": ("binary", "multiclass", "regression"),
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
    search: dict[str, Range | list[bool | int | float | str] | bool | int | float | str] = Field(
        default_factory=dict,
        description="Where to search, by parameter, instead of where the family does: a range, a list, or one value.",
    )
    warm_start: Literal["never", "last"] = Field(
        "never", description="`last` first tries what was best when this model was last made, instead of the defaults."
    )
    refit: Literal["train", "train_and_validation"] = Field(
        "train", description="The rows that the winner is fitted on in the end; it is judged on validation before."
    )
    refit_seeds: int = Field(
        1, ge=1, le=100, description="Refits of the winner, to see how much of its score is luck; the first is kept."
    )

    @field_validator("search")
    @classmethod
    def _choices(cls, search: dict[str, Any]) -> dict[str, Any]:
        if empty := sorted(name for name, value in search.items() if value == []):
            raise ValueError(f"the lists of {empty} are empty: write what to try")
        return search

    @property
    def space(self) -> dict[str, Any]:
        """The overrides of the search space as plain values."""
        plain: dict[str, Any] = self.model_dump(include={"search"})["search"]
        return plain

    @property
    def fixed(self) -> dict[str, Any]:
        """Parameters of the model that the declaration states, which the search leaves as they are."""
        return {}


class TorchFamily(Family):
    """How a family of torch networks is tuned and trained; what is not stated suits the number of rows."""

    epochs: int | None = Field(None, ge=1, description="How often training sees each row, at most.")
    batch: int | None = Field(None, ge=1, description="Rows behind one step, over all processes.")
    accumulate: int | None = Field(
        None, ge=1, description="Parts that a batch is worked off in, which need less memory; the result is the same."
    )
    patience: int | None = Field(
        None, ge=1, description="Epochs in a row without a better validation loss after which training stops."
    )
    warm_up: float | None = Field(
        None, ge=0, lt=1, description="Share of all steps in which the learning rate rises; then it falls as a cosine."
    )
    clip_norm: float | None = Field(None, gt=0, description="The gradient is scaled down to this norm.")
    precision: Precision | None = Field(
        None, description="`auto` is mixed precision where a GPU has it, and 32-true elsewhere."
    )
    compile: bool | None = Field(
        None, description="Compiles the network first: takes a minute, pays for large networks and much data."
    )
    processes: int | None = Field(
        None, ge=1, description="Processes that share each batch, on a CPU; their number is part of the result."
    )

    @model_validator(mode="after")
    def _processes_on_a_cpu(self) -> "TorchFamily":
        if (self.processes or 1) > 1 and self.gpu != "never":
            raise ValueError("several processes share the work on a CPU only; set gpu: never, or processes: 1")
        return self

    @property
    def fixed(self) -> dict[str, Any]:
        return self.model_dump(exclude=set(Family.model_fields), exclude_none=True)


class StartingWeights(Part):
    """A file of weights, as `FittedNetwork.save_weights` writes it."""

    path: str = Field(description="Where the file is, relative to the working directory.")
    sha256: str = Field(
        pattern="^[0-9a-f]{64}$", description="Its SHA-256, which is verified: so the declaration decides the result."
    )


class ImageFamily(TorchFamily):
    """How a network for images is tuned and trained; its columns are pixels."""

    height: int | None = Field(
        None, ge=1, description="Rows of an image, where the names of the columns do not tell and it is no square."
    )
    checkpoint: StartingWeights | None = Field(None, description="Weights to start from.")
    freeze: bool = Field(False, description="Only the last stage, the head, learns from the start.")
    unfreeze: tuple[int, ...] = Field(
        (), max_length=3, description="Epochs, from 0, from which the stage before the head learns, the one before, ..."
    )

    @model_validator(mode="after")
    def _unfreeze_what_is_frozen(self) -> "ImageFamily":
        if self.unfreeze and not self.freeze:
            raise ValueError("unfreeze is stated, but nothing is frozen; set freeze: true")
        return self

    @property
    def fixed(self) -> dict[str, Any]:
        given = {name: value for name, value in super().fixed.items() if value not in (False, ())}
        start = given.pop("checkpoint", None)
        return given | ({"checkpoint": start["path"], "checkpoint_sha256": start["sha256"]} if start else {})


class CustomFamily(Family):
    """How a family of your own is tuned, which is a class that `ml.models.base.Family` describes."""


class Ensemble(Part):
    """How the other families are blended."""

    rounds: int = Field(50, ge=1, le=1000, description="How often the selection adds a family, at most.")


REFERENCE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


def _described_extras(schema: dict[str, Any]) -> None:
    """In the schema for editors, a key of any other form than a reference is a mistake."""
    schema["patternProperties"] = {REFERENCE: schema["additionalProperties"]}
    schema["additionalProperties"] = False


class Models(Part, extra="allow", json_schema_extra=_described_extras):
    """The model families that compete, at least one; `package.module:Class` is one of your own."""

    __pydantic_extra__: dict[str, CustomFamily] = Field(init=False)

    logistic: Family | None = Field(None, description="Regularized logistic regression, for classes.")
    ridge: Family | None = Field(None, description="Regularized linear regression, for numbers.")
    random_forest: Family | None = Field(None, description="Trees on bootstrap samples.")
    extra_trees: Family | None = Field(None, description="Trees with thresholds drawn at random.")
    hist_boosting: Family | None = Field(None, description="Gradient-boosted trees of scikit-learn.")
    lightgbm: Family | None = Field(None, description="Gradient-boosted trees.")
    xgboost: Family | None = Field(None, description="Gradient-boosted trees; needs the extra `boosters`.")
    catboost: Family | None = Field(None, description="Gradient-boosted oblivious trees; needs the extra `boosters`.")
    mlp: TorchFamily | None = Field(None, description="A small torch network with embeddings for categories.")
    resnet: TorchFamily | None = Field(None, description="A residual torch network with embeddings for categories.")
    cnn: ImageFamily | None = Field(None, description="A small residual torch network for images; columns are pixels.")

    ensemble: Ensemble | None = Field(None, description="A blend of the others, at least two.")

    @model_validator(mode="wrap")
    @classmethod
    def _known_or_references(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        given = values if isinstance(values, Mapping) else {}
        wrong = [name for name in given if name not in cls.model_fields and not re.match(REFERENCE, str(name))]
        if not wrong:
            return handler(values)
        told: list[ErrorDetails] = []
        if rest := {name: value for name, value in given.items() if name not in wrong}:
            try:
                handler(rest)
            except ValidationError as error:
                told = error.errors()
        told += [ErrorDetails(type="extra_forbidden", loc=(name,), msg="", input=given[name]) for name in wrong]
        raise ValidationError.from_exception_data(cls.__name__, list(map(cls._explained, told)))

    @model_validator(mode="after")
    def _at_least_one(self) -> "Models":
        if not self.families:
            raise ValueError(f"no model family is declared; allowed: {sorted(type(self).model_fields)}")
        if self.ensemble and len(self.families) == 1:
            raise ValueError(f"an ensemble blends at least two families; declared: {sorted(self.families)}")
        names = [*type(self).model_fields, *map(short_name, self.model_extra or {})]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"several families would be called {twice}: rename your class, whose name in lower case it is"
            )
        return self

    @model_validator(mode="after")
    def _a_gpu_only_where_it_is_used(self) -> "Models":
        for name, declared in self.families.items():
            if declared.gpu != "never" and not isinstance(declared, TorchFamily | CustomFamily):
                raise ValueError(f"{name} trains on the CPU only, so its gpu must be never; networks can use a GPU")
            if declared.gpu == "never" and declared.gpu_share != 1:
                raise ValueError(f"{name} states a gpu_share, but gpu: never; set gpu: preferred or required")
        return self

    @property
    def families(self) -> dict[str, Family]:
        """The declared families by name, without the ensemble of them."""
        given = {name: getattr(self, name) for name in type(self).model_fields if name != "ensemble"}
        own = {short_name(reference): declared for reference, declared in (self.model_extra or {}).items()}
        return {name: family for name, family in (given | own).items() if family is not None}

    @property
    def references(self) -> dict[str, str]:
        """The families of the user's own as `package.module:Class`, by name."""
        return {short_name(reference): reference for reference in self.model_extra or {}}

    @property
    def names(self) -> list[str]:
        """The families and, last, their ensemble, if there is one: one model each."""
        return [*self.families, *(["ensemble"] if self.ensemble else [])]


def short_name(reference: str) -> str:
    """`package.module:MyModel` is called my_model."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", reference.partition(":")[2]).lower()
