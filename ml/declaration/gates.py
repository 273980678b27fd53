"""What a use case declares of the gates before its production model."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from ml.declaration.models import REFERENCE
from ml.declaration.part import Part
from ml.tasks.metrics import MetricName

_PERCENTAGE = re.compile(r"^(\d+(?:\.\d+)?)\s*%$")
MARGIN, MARGIN_OF_ERRORS = 0.002, "2%"  # of the champion's gate
SLICE_MARGIN, SLICE_MARGIN_OF_ERRORS = 0.05, "10%"


def _check_margin(margin: float | str | None) -> float | str | None:
    if isinstance(margin, str) and not _PERCENTAGE.match(margin):
        raise ValueError(f"{margin!r} is no margin: write a number such as 0.002, or a share such as 2%")
    if isinstance(margin, float) and not margin >= 0:
        raise ValueError(f"a margin is at least 0, given {margin}")
    return margin


def share(margin: str) -> float:
    """`2%` is 0.02."""
    match = _PERCENTAGE.match(margin)
    assert match is not None
    return float(match[1]) / 100


Margin = Annotated[float | str | None, AfterValidator(_check_margin)]


class Bound(Part):
    """Limits for one metric on the test split."""

    at_least: float | None = Field(None, description="The gate refuses a value below this.")
    at_most: float | None = Field(None, description="The gate refuses a value above this.")

    @model_validator(mode="after")
    def _some_limit(self) -> "Bound":
        if self.at_least is None and self.at_most is None:
            raise ValueError("a bound needs at_least, at_most or both")
        return self


class BaselineGate(Part):
    """The candidate must be better than an answer that knows no feature, on the same test rows (paired bootstrap)."""

    better_by: float = Field(0.0, ge=0, description="How much better the metric must be, in its own units.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="How sure the comparison must be of that.")


class ChampionGate(Part):
    """The candidate must not be worse than the champion on the same test rows (paired bootstrap)."""

    not_worse_by: Margin = Field(
        None,
        description="How much worse the metric may be: in its own units, or, as in 2%, as a share of the champion's "
        f"value. If absent, {MARGIN}, and {MARGIN_OF_ERRORS} of a metric that is better when lower.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="How sure the comparison must be of that.")
    resamples: int = Field(300, ge=50, le=100_000, description="Bootstrap resamples of the test rows.")
    rows: int = Field(
        100,
        ge=2,
        description="If the champion has learned from some of the test rows, the two are compared on the others, "
        "where there are at least this many.",
    )
    when_incomparable: Literal["refuse", "promote"] = Field(
        "refuse",
        description="What to do if the champion needs features that no longer exist, or has learned from too many of "
        "the test rows.",
    )


class SliceGate(Part):
    """No slice of the test rows may have become worse than with the champion."""

    not_worse_by: Margin = Field(
        None,
        description="How much worse the metric may be in a slice, written as for the champion. If absent, "
        f"{SLICE_MARGIN}, and {SLICE_MARGIN_OF_ERRORS} of a metric that is better when lower.",
    )
    rows: int = Field(100, ge=2, description="Slices of fewer rows do not count: chance moves their metric too far.")


class LeakGate(Part):
    """No feature of the model may tell, of a sample of the test rows, what comes after their cutoff."""


class CalibrationGate(Part):
    """Probabilities must be what they say."""

    at_most: float = Field(
        0.1, gt=0, le=1, description="The expected calibration error, beyond what chance alone gives so many rows."
    )


class ParityGate(Part):
    """The exported model must answer as the native one does."""

    at_most: float = Field(
        1e-5, gt=0, description="The largest difference of answers; of numbers, as a share of their spread."
    )


class LatencyGate(Part):
    """The exported model must answer fast enough."""

    at_most_ms: float = Field(50.0, gt=0, description="The median time for one row, on one thread.")


class SizeGate(Part):
    """The exported model must be small enough to ship."""

    at_most_mb: float = Field(500.0, gt=0, description="The size of the ONNX file.")


def _off_in_schema(schema: dict[str, Any]) -> None:
    for name in SWITCHES:
        schema["properties"][name]["anyOf"].append({"enum": [False, "off"]})


SWITCHES = ("baseline", "slices", "leaks", "calibration", "parity", "latency", "size")


class Gates(Part):
    """What a candidate must pass before it becomes the champion. What has a default is on unless it is `off`."""

    model_config = ConfigDict(json_schema_extra=_off_in_schema)

    roc_auc: Bound | None = Field(None, description="Limits for the area under the ROC curve.")
    average_precision: Bound | None = Field(None, description="Limits for the average precision.")
    log_loss: Bound | None = Field(None, description="Limits for the log loss.")
    brier: Bound | None = Field(None, description="Limits for the Brier score.")
    accuracy: Bound | None = Field(None, description="Limits for the share of rows whose likeliest class is right.")
    f1_macro: Bound | None = Field(None, description="Limits for the mean F1 of the classes.")
    rmse: Bound | None = Field(None, description="Limits for the root of the mean squared error.")
    mae: Bound | None = Field(None, description="Limits for the mean absolute error.")
    r2: Bound | None = Field(None, description="Limits for the share of the target's variance that is explained.")
    baseline: BaselineGate | None = Field(BaselineGate(), description="Better than an answer that knows no feature.")
    champion: ChampionGate = Field(ChampionGate(), description="The comparison with the champion; cannot be off.")
    slices: SliceGate | None = Field(SliceGate(), description="No slice worse than with the champion.")
    leaks: LeakGate | None = Field(LeakGate(), description="No feature knows what comes after the cutoff.")
    calibration: CalibrationGate | None = Field(CalibrationGate(), description="Probabilities that are what they say.")
    parity: ParityGate | None = Field(ParityGate(), description="The exported model answers as the native one.")
    latency: LatencyGate | None = Field(LatencyGate(), description="The time for one row.")
    size: SizeGate | None = Field(SizeGate(), description="The size of the exported model.")
    own: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Gates of your own: `package.module:function` and its options. The function takes the evaluation "
        "and the options and returns a verdict; its name is that of the gate.",
    )

    @model_validator(mode="before")
    @classmethod
    def _off(cls, given: Any) -> Any:
        """YAML reads `off` as false."""
        if not isinstance(given, Mapping):
            return given
        off = {name: None for name in SWITCHES if given.get(name) is False or given.get(name) == "off"}
        return {**given, **off}

    @field_validator("own")
    @classmethod
    def _references(cls, own: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if wrong := [reference for reference in own if not re.match(REFERENCE, reference)]:
            raise ValueError(f"a gate of your own reads `package.module:function`; given: {wrong}")
        names = [*cls.model_fields, *(reference.partition(":")[2] for reference in own)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several gates would be called {twice}: rename your function")
        return own

    @property
    def bounds(self) -> dict[str, Bound]:
        """The limits of metrics, by metric."""
        given = {name: getattr(self, name) for name in get_args(MetricName)}
        return {name: bound for name, bound in given.items() if bound is not None}

    @property
    def modules(self) -> list[str]:
        """The modules of the gates of one's own: part of the code that decides."""
        return sorted({reference.partition(":")[0] for reference in self.own})


class Production(Part):
    """Who decides that a candidate becomes the champion, and whether it does."""

    approval: Literal["automatic", "required"] = Field(
        "automatic",
        description="Whether passing the gates is enough, or the candidate waits as `challenger` until somebody "
        "approves it with a reason.",
    )
    dry_run: bool = Field(False, description="Whether production_model only says what it would do, and does nothing.")
