"""The declaration of a model family: how it is tuned and trained."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ml.declaration.part import Part
from ml.declaration.search import Range

Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class Family(Part):
    """Settings of one model family and of its search."""

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
    refit_seeds: int = Field(1, ge=1, le=100, description="Refits of the winner, to see how much of its score is luck.")
    keep: Literal["first", "mean"] = Field(
        "first",
        description="Which of the refits answers: the first, or the `mean` of all, which is steadier and as many times "
        "as large.",
        exclude_if=lambda keep: keep == "first",  # so that what keeps the first is recorded as ever
    )

    @field_validator("search")
    @classmethod
    def _choices(cls, search: dict[str, Any]) -> dict[str, Any]:
        if empty := sorted(name for name, value in search.items() if value == []):
            raise ValueError(f"the lists of {empty} are empty: write what to try")
        return search

    @model_validator(mode="after")
    def _a_mean_of_several(self) -> "Family":
        if self.keep == "mean" and self.refit_seeds == 1:
            raise ValueError("keep: mean needs several refits; given refit_seeds: 1, write 3 or 5")
        return self

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
    """Settings of a family of torch networks and of its search; what is not stated suits the number of rows."""

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

    @model_validator(mode="after")
    def _float16_on_a_gpu(self) -> "TorchFamily":
        if self.precision == "16-mixed" and self.gpu != "required":
            raise ValueError(
                f"precision: 16-mixed needs a GPU, but with gpu: {self.gpu} this may run on a CPU; set gpu: required, "
                "or precision: auto, which is mixed where there is a GPU"
            )
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
    """Settings of a network for images, its search and its training; its columns are pixels."""

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
    """Settings of a family of your own and of its search, which is a class that `ml.models.family.Family` describes."""
