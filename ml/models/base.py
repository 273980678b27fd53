"""What a family of models takes, makes and must be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ml.encoding import Encoder

if TYPE_CHECKING:
    import onnx
    import optuna

OPSETS = {"": 18, "ai.onnx.ml": 3}  # one pair for all families, so that their graphs can be joined to others
IR_VERSION = 10


@dataclass(frozen=True)
class Training:
    """The rows that a model learns from and those that its early stopping and tuning watch.

    X float32 [n_rows, n_features] as `encoder.encode` makes it, y int8 [n_rows] of 0 and 1.
    """

    X: np.ndarray
    y: np.ndarray
    X_valid: np.ndarray
    y_valid: np.ndarray
    encoder: Encoder

    def __post_init__(self) -> None:
        width = len(self.encoder.features)
        for part, X, y in (("training", self.X, self.y), ("validation", self.X_valid, self.y_valid)):
            if X.shape != (len(y), width):
                raise ValueError(
                    f"The {part} rows have shape {X.shape}. Expected ({len(y)}, {width}): labels, features."
                )
            if X.dtype != np.float32:
                raise ValueError(f"The {part} rows are {X.dtype}. Expected float32: use Encoder.encode.")
            if (classes := np.unique(y).tolist()) != [0, 1]:
                raise ValueError(f"The {part} labels are {classes[:5]}. Expected both 0 and 1: check target and split.")

    def sample(self, rows: int, seed: int) -> Training:
        """The same problem with at most `rows` training rows, in their order and with the same share of positives."""
        if rows < 2:
            raise ValueError(f"`{rows=}` must be at least 2: one row of each class.")
        if rows >= len(self.y):
            return self
        rng = np.random.default_rng(seed)
        positive, negative = np.flatnonzero(self.y == 1), np.flatnonzero(self.y == 0)
        n_positive = min(max(round(rows * len(positive) / len(self.y)), 1), rows - 1)
        kept = np.concatenate(
            [
                rng.choice(positive, n_positive, replace=False),
                rng.choice(negative, min(rows - n_positive, len(negative)), replace=False),
            ]
        )
        kept.sort()
        return replace(self, X=self.X[kept], y=self.y[kept])


class FittedModel(Protocol):
    """A model that can answer, be pickled and be exported.

    A model may also have `thresholds() -> Mapping[int, np.ndarray]`, per numeric column the float32 values at which
    its answer jumps; parity is then measured right beside them.
    """

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Probability of the positive class, float64 [n_rows], for X float32 [n_rows, n_features]."""
        ...

    def to_onnx(self) -> onnx.ModelProto:
        """The model as a graph from `X` float32 [n_rows, n_features] to `score` float32 [n_rows, 1]."""
        ...


class Family(Protocol):
    """One kind of model: its search space and how it is fitted."""

    @property
    def name(self) -> str:
        """The name that configs use."""
        ...

    @property
    def devices(self) -> tuple[str, ...]:
        """Kinds of device it can train on: "cpu", "cuda"."""
        ...

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Parameters for one trial of a study."""
        ...

    def defaults(self) -> dict[str, Any]:
        """Parameters that are good without tuning; the first trial of every study."""
        ...

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> FittedModel:
        """A model fitted on the training rows; the same arguments give the same model."""
        ...


def require_device(family: Family, device: str) -> None:
    """Raises ValueError unless `family` can train on `device`, such as "cpu" or "cuda:0"."""
    if device.partition(":")[0] not in family.devices:
        raise ValueError(f"The family {family.name!r} cannot train on {device!r}. It allows {list(family.devices)}.")
