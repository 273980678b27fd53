"""The declaration of the search for the models' settings."""

from pydantic import Field, field_validator, model_validator

from ml.declaration.part import Part


class Range(Part):
    """From which value to which a parameter is searched, both ends allowed."""

    low: int | float = Field(description="The lowest value.")
    high: int | float = Field(description="The highest value.")
    log: bool | None = Field(
        None,
        description="Whether to search by magnitude, so that 1 to 10 counts as much as 10 to 100; if absent, as the "
        "family does.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        if self.log and self.low <= 0:
            raise ValueError(f"log: true needs a low above 0; given {self.low}")
        return self


class Tuning(Part):
    """The search for the families' settings, and how they are judged."""

    folds: int = Field(
        0,
        ge=0,
        le=100,
        description="What a setting is judged on: 0 is the validation split; 2 or more are folds of the training rows, "
        "by time where the split is by dates, else at random. Each family's `rows` then are the rows that are folded.",
    )
    workers: int = Field(1, ge=1, le=256, description="Processes that evaluate a batch; the result is the same.")
    batch: int = Field(
        2, ge=1, le=1000, description="Trials that are decided together, by the batches before; more workers are idle."
    )
    pruning: bool = Field(
        True,
        description="Whether a trial ends after the fold at which it is worse than the best third of finished ones, "
        "and in a fold where its validation loss is above their median after as many epochs, or rounds times learning "
        "rate.",
    )

    @field_validator("folds")
    @classmethod
    def _not_one(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("1 fold judges nothing: write 0 for the validation split, or 2 or more")
        return folds
