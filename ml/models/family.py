"""What a family of models takes, makes and must be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ml.tasks.encoding import Encoder
from ml.tasks.metrics import BINARY, Kind, Task
from ml.tasks.sampling import sampled_rows

if TYPE_CHECKING:
    import onnx
    import optuna

OPSETS = {"": 18, "ai.onnx.ml": 3}  # one pair for all families, so that their graphs can be joined to others
IR_VERSION = 10


@dataclass(frozen=True)
class Training:
    """The rows that a model learns from and those that its early stopping and tuning watch.

    X float32 [n_rows, n_features] as `encoder.encode` makes it, y [n_rows] as `task.labels` makes it: int8 of 0 and 1,
    int16 codes of `task.classes`, or float64.
    """

    X: np.ndarray
    y: np.ndarray
    X_valid: np.ndarray
    y_valid: np.ndarray
    encoder: Encoder
    task: Task = BINARY

    def __post_init__(self) -> None:
        width = len(self.encoder.features)
        for part, X, y in (("training", self.X, self.y), ("validation", self.X_valid, self.y_valid)):
            if X.shape != (len(y), width):
                raise ValueError(
                    f"The {part} rows have shape {X.shape}. Expected ({len(y)}, {width}): labels, features."
                )
            if X.dtype != np.float32:
                raise ValueError(f"The {part} rows are {X.dtype}. Expected float32: use Encoder.encode.")
            if expected := _wrong_labels(self.task, y, part == "training"):
                raise ValueError(
                    f"The {part} labels are {np.unique(y).tolist()[:5]}. Expected {expected}: check target and split."
                )

    def sample(self, rows: int, seed: int) -> Training:
        """The same problem with those of the training rows that `sampled_rows` says, in their order."""
        kept = sampled_rows(self.y, self.task, rows, seed)
        return self if len(kept) == len(self.y) else replace(self, X=self.X[kept], y=self.y[kept])


def _wrong_labels(task: Task, y: np.ndarray, training: bool) -> str | None:
    """What labels were expected, if these are others."""
    found = np.unique(y)
    if task.kind == "binary":
        return None if found.tolist() == [0, 1] else "both 0 and 1"
    if task.kind == "regression":
        varied = len(found) > (1 if training else 0)
        return None if y.dtype == np.float64 and np.isfinite(y).all() and varied else "different, finite float64"
    codes = np.arange(len(task.classes))
    right = np.isin(found, codes).all() and len(found) > 0 and (not training or len(found) == len(codes) > 1)
    return None if right else f"the codes 0 to {len(codes) - 1} of at least two classes, each in training"


class FittedModel(Protocol):
    """A model that can answer, be pickled and be exported.

    A model may also have `thresholds() -> Mapping[int, np.ndarray]`, per numeric column the float32 values at which
    its answer jumps; parity is then measured right beside them.
    """

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Answers to X float32 [n_rows, n_features], in float64.

        Probabilities of the positive class or numbers [n_rows], or probabilities [n_rows, n_classes] that sum to 1.
        """
        ...

    def to_onnx(self) -> onnx.ModelProto:
        """The model as a graph from `X` float32 [n_rows, n_features] to `score` float32 [n_rows, task.outputs]."""
        ...


class Family(Protocol):
    """One kind of model: its search space and how it is fitted.

    It may also have `good() -> list[dict[str, Any]]`: settings known to be good, which a search tries after the
    defaults. What they lack is taken from the defaults, and what lies outside of the space becomes the nearest inside.
    """

    @property
    def name(self) -> str:
        """The name that configs use."""
        ...

    @property
    def devices(self) -> tuple[str, ...]:
        """Kinds of device it can train on: "cpu", "cuda"."""
        ...

    @property
    def tasks(self) -> tuple[Kind, ...]:
        """The kinds of task that it can learn."""
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
        """A model fitted on the training rows; the same arguments give the same model.

        It may take more by keyword, and is given what it has: `prepared` is what the family's `prepare` made of `data`;
        `watch` wants to hear of (progress, validation loss) after each round or epoch and may end the fit by an
        exception; `checkpoints` is where to leave what a killed fit goes on from; `report` hears how training goes.
        """
        ...


class NeverStops:
    """A family whose training looks at no validation rows."""

    def settled(self, settings: Mapping[str, Any], model: FittedModel) -> dict[str, Any]:
        """The same settings: nothing stops by the validation rows."""
        return dict(settings)


class StopsByRounds:
    """A boosting family, stopped early by the validation rows unless the parameter `rounds` says how many there are."""

    def settled(self, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """As many rounds as the model has, and no early stopping."""
        return {**settings, "rounds": model.rounds}

    @staticmethod
    def of_library(params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that the library itself knows."""
        return {name: value for name, value in params.items() if name != "rounds"}


def require_device(family: Family, device: str) -> None:
    """Raises ValueError unless `family` can train on `device`, such as "cpu" or "cuda:0"."""
    if device.partition(":")[0] not in family.devices:
        raise ValueError(f"The family {family.name!r} cannot train on {device!r}. It allows {list(family.devices)}.")


def require_task(family: Family, task: Task) -> None:
    """Raises ValueError unless `family` can learn a task of this kind."""
    if task.kind not in family.tasks:
        raise ValueError(f"The family {family.name!r} cannot learn {task.kind!r}. It allows {list(family.tasks)}.")
