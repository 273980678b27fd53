"""The interface of a family of models: the rows that it takes, the models that it makes, and its abilities."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ml.models.near_zero import moving_fit, moving_prepare, unmoved_settled
from ml.tasks.counting import Counting, RowGroups
from ml.tasks.encoding import Encoder
from ml.tasks.objectives import SQUARED, Objective
from ml.tasks.row_weights import RowWeights
from ml.tasks.sampling import sampled_rows
from ml.tasks.task import BINARY, Kind, Task
from ml.tasks.transforms import Transform

if TYPE_CHECKING:
    import onnx
    import optuna

    from ml.models.parameters import Parameters

OPSETS = {"": 18, "ai.onnx.ml": 3}  # one pair for all families, so that their graphs can be joined to others
IR_VERSION = 10
Monotone = Mapping[str, int]  # by feature: 1 where answers may not fall as it rises, -1 where they may not rise


@dataclass(frozen=True)
class Training:
    """The rows that a model learns from and those that its early stopping and tuning watch.

    X float32 [n_rows, n_features] as `encoder.encode` makes it, y [n_rows] as `task.labels` makes it: int8 of 0 and 1,
    int16 codes of `task.classes`, or float64. With `weights` rows count by them, [n_rows] of both parts; numbers are
    learned by the `objective`; with `transform` it is their transform that is learned, and they themselves answered.
    An answer never falls as a `monotone` feature rises (1), or never rises (-1). Where rows are ranked within groups,
    `ranked` has the numbers of these.
    """

    X: np.ndarray
    y: np.ndarray
    X_valid: np.ndarray
    y_valid: np.ndarray
    encoder: Encoder
    task: Task = BINARY
    weights: RowWeights | None = None
    objective: Objective = SQUARED
    transform: Transform | None = None
    monotone: Monotone = field(default_factory=dict)
    ranked: RowGroups | None = None

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
        if self.weights and (len(self.weights.learned), len(self.weights.watched)) != (len(self.y), len(self.y_valid)):
            raise ValueError(
                f"There are {len(self.weights.learned)} and {len(self.weights.watched)} weights. Expected one for each "
                f"of the {len(self.y)} training and {len(self.y_valid)} validation rows."
            )

    def sample(self, rows: int, seed: int) -> Training:
        """Return the same problem with those of the training rows that `sampled_rows` draws, in their order."""
        drawn = sampled_rows(self.y, self.task, rows, seed, self.ranked.learned if self.ranked else None)
        if len(drawn) == len(self.y):
            return self
        weights, ranked = self.weights and self.weights.of_learned(drawn), self.ranked and self.ranked.of_learned(drawn)
        return replace(self, X=self.X[drawn], y=self.y[drawn], weights=weights, ranked=ranked)

    @property
    def directions(self) -> list[int]:
        """The direction in which answers follow each feature, 0 for any; none where no feature is monotone."""
        return [self.monotone.get(name, 0) for name in self.encoder.features] if self.monotone else []

    @property
    def scoring(self) -> Counting:
        """The counting of the validation rows by metrics."""
        weights = self.weights.scoring if self.weights else None
        return Counting(weights, self.ranked.watched if self.ranked else None)

    @property
    def row_weights(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The weights of the training and of the validation rows in training; None twice: all count the same."""
        return (self.weights.learned, self.weights.watched) if self.weights else (None, None)

    @property
    def parts(self) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray | None], ...]:
        """Rows, labels and weights of what is learned from, and of what is watched."""
        learned, watched = self.row_weights
        return (self.X, self.y, learned), (self.X_valid, self.y_valid, watched)


def _wrong_labels(task: Task, y: np.ndarray, training: bool) -> str | None:
    """Return the labels that were expected, in words, if these are others; None if they are right."""
    values = np.unique(y)
    if task.kind == "binary":
        return None if values.tolist() == [0, 1] else "both 0 and 1"
    if task.kind == "regression":
        varied = len(values) > (1 if training else 0)
        if not (y.dtype == np.float64 and np.isfinite(y).all() and varied):
            return "different, finite float64"
        with np.errstate(over="ignore", under="ignore"):
            squares = np.square(y - y[0]).sum() if training else np.square(y).sum()
        in_double = np.isfinite(squares) and (squares > np.finfo(np.float64).tiny or not training)
        return None if in_double else "numbers of which double holds the squares, with a spread of 1e-150 to 1e150"
    codes = np.arange(len(task.classes))
    right = np.isin(values, codes).all() and len(values) > 0 and (not training or len(values) == len(codes) > 1)
    return None if right else f"the codes 0 to {len(codes) - 1} of at least two classes, each in training"


class FittedModel(Protocol):
    """A model that can answer, be pickled and be exported.

    A model may also have `thresholds() -> Mapping[int, np.ndarray]`, as `thresholds_of` describes them.
    """

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the answers to X float32 [n_rows, n_features], in float64.

        Probabilities of the positive class or numbers [n_rows], or probabilities [n_rows, n_classes] that sum to 1.
        """
        ...

    def to_onnx(self) -> onnx.ModelProto:
        """Return a graph from `X` float32 [n_rows, n_features] to `score` [n_rows, task.outputs], float32 or double."""
        ...


def thresholds_of(model: FittedModel) -> dict[int, np.ndarray]:
    """Return, per numeric column, the float32 values at which a model's answer jumps; none for one that tells none.

    Parity is measured right beside them.
    """
    return dict(getattr(model, "thresholds", dict)())


class Family:
    """One kind of model: its search space and how it is fitted.

    A subclass has `name`, `tasks`, `suggest`, `defaults` and `fit`. What else it is able to do, it says by what it
    overrides: `good`, `settled`, and by the keywords that its `fit` takes beyond those of this class, each of which is
    passed only to those that take it:

    - `prepared`: what the family's `prepare` made of `data`;
    - `watch`: a function that hears of (progress, validation loss) after each round or epoch, and may end the fit by an
      exception;
    - `checkpoints`: a CheckpointFolder, where to leave what a killed fit goes on from;
    - `report`: a function that hears of the training's Progress.
    """

    name: str
    """The name that configs use."""
    tasks: tuple[Kind, ...]
    """The kinds of task that it can learn."""
    devices: tuple[str, ...] = ("cpu",)
    """Kinds of device it can train on: "cpu", "cuda"."""
    takes_texts: bool = True
    """Whether it takes the numbers that texts become, which stand among the numeric columns."""
    requires: tuple[str, ...] = ()
    """Packages that a family of the user's own needs; of any other, the catalogue knows."""

    objectives: tuple[str, ...] = ("squared",)
    """The kinds of objective that it can learn the numbers of a regression by."""

    takes_monotone: bool = False
    """Whether its `fit` keeps to the `monotone` features of a binary task or a regression."""
    unlike_monotone: tuple[str, ...] = ()
    """The kinds of objective by which it cannot, though it learns by them and takes `monotone` features by others."""

    takes_weights: bool = False
    """Whether its `fit` goes by the `weights` of the rows, in what is learned and in what stops it."""

    unweighed: tuple[str, ...] = ()
    """The kinds of objective by which it cannot go by weights, though it learns by them and takes weights by others."""

    near_zero: bool | None = None
    """Whether it learns the numbers of a regression less their mean, which is added to its answers in double.

    None: only numbers far from zero, for which float32 has no digits. False: never, for a loss or a link that needs
    them as they are.
    """

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        for name, around in (("fit", moving_fit), ("prepare", moving_prepare), ("settled", unmoved_settled)):
            if name in vars(cls):
                setattr(cls, name, around(vars(cls)[name]))

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return parameters for one trial of a study."""
        raise NotImplementedError

    def defaults(self) -> dict[str, Any]:
        """Return parameters that are good without tuning; the first trial of every study."""
        raise NotImplementedError

    def require_settings(self, settings: Mapping[str, Any], task: Task) -> None:
        """Raise ValueError, which names an option, for settings with which it can make or export no model of a task.

        A use case whose search may come to such settings is refused when it is loaded.
        """

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> FittedModel:
        """Return a model fitted on the training rows; the same arguments give the same model."""
        raise NotImplementedError

    def parameters(self) -> Parameters | None:
        """Return the parameters of the installed library that a declaration may name beside those it suggests."""
        return None

    def good(self) -> list[dict[str, Any]]:
        """Return settings known to be good, which a search tries after the defaults.

        What they lack is taken from the defaults, and what lies outside of the space becomes the nearest inside.
        """
        return []

    def prepare(self, data: Training) -> Any:
        """Return what every fit on the same data can share, of a family whose `fit` takes `prepared`.

        The model is the same with and without.
        """
        return None

    def settled(self, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """Return settings that train as long as `model` was trained, and look at no validation rows.

        Raises TypeError for a family that cannot do without them, which does not override this.
        """
        raise TypeError(f"The training of the family {self.name!r} stops by the validation rows.")

    def keeps_monotone_by(self, objective: str) -> bool:
        """Return True if it can keep to `monotone` features by a kind of objective."""
        return self.takes_monotone and objective not in self.unlike_monotone

    def weighs_by(self, objective: str) -> bool:
        """Return True if it can go by weights where it learns by a kind of objective."""
        return self.takes_weights and objective not in self.unweighed

    @property
    def settles(self) -> bool:
        """True for a family that can learn as long as it did without validation rows to tell it when to stop."""
        return type(self).settled is not Family.settled

    def takes(self, keyword: str) -> bool:
        """Return True if `fit` has this argument."""
        return keyword in inspect.signature(self.fit).parameters


def require_device(family: Family, device: str) -> None:
    """Raise ValueError unless `family` can train on `device`, such as "cpu" or "cuda:0"."""
    if device.partition(":")[0] not in family.devices:
        raise ValueError(f"The family {family.name!r} cannot train on {device!r}. It allows {list(family.devices)}.")


def require_task(family: Family, task: Task) -> None:
    """Raise ValueError unless `family` can learn a task of this kind."""
    if task.kind not in family.tasks:
        raise ValueError(f"The family {family.name!r} cannot learn {task.kind!r}. It allows {list(family.tasks)}.")
