"""The part that all families of torch networks share: preparation, the training loop, answers and ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.family import IR_VERSION, OPSETS, Family, Training, require_device, require_task
from ml.models.networks.options import LoopOptions
from ml.models.networks.shapes import Shape
from ml.models.progress import CheckpointFolder, Progress

if TYPE_CHECKING:
    import onnx
    import optuna

    from ml.models.networks.modules import Network

SMALL = 20  # steps that an epoch has at least: small data needs more steps than it has large batches
LARGEST_BATCH, SMALLEST_BATCH = 2048, 32
EPOCHS, EPOCHS_OF_SMALL_DATA = 12, 48
ANSWER_ROWS = 65_536  # at a time, to bound the memory of activations

_OPTIONS = {field.name for field in fields(LoopOptions)} - {"seed", "device", "threads"}


class NetworkFamily(Family):
    """A kind of network; a subclass says its name, its search space and the shape that data and parameters give it.

    Every field of LoopOptions but seed, device and threads may be a parameter too.
    """

    near_zero = True
    takes_weights = True
    devices = ("cpu", "cuda")
    tasks = ("binary", "multiclass", "regression")

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest regularization and step size; a subclass adds its capacity."""
        return {
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "learning_rate": trial.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
        }

    def shape(self, data: Training, params: Mapping[str, Any]) -> Shape:
        """Return the network's shape; raises ValueError for data that it cannot learn from."""
        raise NotImplementedError

    def statistics(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean, standard deviation and median of each numeric column; 0, 1, 0 where all is missing."""
        return column_statistics(numbers)

    def settled(self, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """Return as many epochs as the model's best one, of a schedule of the same length, and no early stopping."""
        assert isinstance(model, FittedNetwork)
        return {**settings, "epochs": model.schedule, "stop_after": model.epochs}

    def begin(self, network: Network, params: Mapping[str, Any]) -> None:
        """Change fresh weights before training: not at all, unless a subclass does."""

    def fit(
        self,
        data: Training,
        params: Mapping[str, Any],
        *,
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        checkpoints: CheckpointFolder | None = None,
        report: Callable[[Progress], None] | None = None,
        watch: Callable[[float, float], None] | None = None,
    ) -> FittedNetwork:
        """Fit the weights of the best epoch; on a CPU the same seed, threads and processes give the same weights.

        A fit that was killed goes on from its latest checkpoint, to the same weights. `watch` hears of epochs and the
        validation loss.
        """
        import torch

        from ml.models.networks.loop import train
        from ml.models.networks.modules import build

        require_device(self, device)
        require_task(self, data.task)
        options, shape = loop_options(data, params, seed, device, threads), self.shape(data, params)
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        network = build(shape)
        self.begin(network, params)
        self._standardize(network, data)
        rows, validation = (
            (*network.prepare(torch.from_numpy(X)), network.target(y, weights)) for X, y, weights in data.parts
        )
        history = train(network, rows, validation, options, checkpoints=checkpoints, report=report, watch=watch)
        weights = {name: value.numpy() for name, value in sorted(network.state_dict().items())}
        epochs = options.stop_after or history.best_epoch + 1
        return FittedNetwork(shape, weights, epochs, options.epochs)

    def _standardize(self, network: Network, data: Training) -> None:
        """Put the statistics of the training rows into the network."""
        import torch

        statistics = self.statistics(data.X[:, : data.encoder.n_numeric])
        values = dict(zip(("mean", "deviation", "median"), statistics, strict=True))
        if data.task.kind == "regression":
            values |= {"target_mean": data.y.mean(), "target_deviation": data.y.std()}
        for name, value in values.items():
            network.get_buffer(name).copy_(torch.as_tensor(value))


@dataclass(frozen=True)
class FittedNetwork:
    """A network's shape, and its weights by name, after `epochs` of the `schedule` that the learning rate followed."""

    shape: Shape
    weights: Mapping[str, np.ndarray]
    epochs: int
    schedule: int

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities or numbers as FittedModel says, for X float32 [n_rows, n_features]."""
        import torch

        network = self._network()
        with torch.inference_mode():
            parts = [
                network.answer(network(*network.prepare(torch.from_numpy(part)))).numpy()
                for start in range(0, max(1, len(X)), ANSWER_ROWS)
                for part in [np.ascontiguousarray(X[start : start + ANSWER_ROWS])]
            ]
        answers: np.ndarray = np.concatenate(parts).astype(np.float64)
        if self.shape.task.kind == "multiclass":
            answers /= answers.sum(axis=1, keepdims=True)  # in float32 a sum can miss 1 by 1e-7
            return answers
        return answers[:, 0]

    def to_onnx(self) -> onnx.ModelProto:
        """Return the network as torch exports it, with any number of rows."""
        import torch

        from ml.models.networks.modules import Answering

        program = torch.onnx.export(
            Answering(self._network()).eval(),
            (torch.zeros(2, self.shape.features),),
            input_names=["X"],
            output_names=["score"],
            dynamic_shapes={"X": {0: torch.export.Dim("rows")}},
            opset_version=OPSETS[""],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        assert program is not None
        model: onnx.ModelProto = program.model_proto
        model.ir_version = IR_VERSION
        return model

    def save_weights(self, path: Path) -> None:
        """Write the weights as a file that a `checkpoint` option can start from: tensors by name, by torch.save."""
        import torch

        torch.save({name: torch.from_numpy(value) for name, value in self.weights.items()}, path)

    def _network(self) -> Network:
        """Build the network around its weights."""
        import torch

        from ml.models.networks.modules import build

        network = build(self.shape)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in self.weights.items()})
        return network.eval()


def loop_options(data: Training, params: Mapping[str, Any], seed: int, device: str, threads: int) -> LoopOptions:
    """Return the parameters that the loop knows; epochs and batch suit the number of rows unless they are stated."""
    batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, len(data.X) // SMALL))
    epochs = EPOCHS if batch == LARGEST_BATCH else EPOCHS_OF_SMALL_DATA
    stated = {name: value for name, value in params.items() if name in _OPTIONS}
    stated["unfreeze"] = tuple(stated.get("unfreeze", ()))
    return LoopOptions(**{"epochs": epochs, "batch": batch, **stated}, seed=seed, device=device, threads=threads)


def column_statistics(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, standard deviation and median of each column [n_rows, n_columns]; 0, 1, 0 where all is missing."""
    numbers = numbers.astype(np.float64)
    seen = ~np.isnan(numbers)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, numbers, 0).sum(axis=0) / count
    deviation = np.sqrt((np.where(seen, numbers - mean, 0) ** 2).sum(axis=0) / count)
    median = np.array(
        [np.median(column[ok]) if ok.any() else 0.0 for column, ok in zip(numbers.T, seen.T, strict=True)]
    )
    return mean, np.where(deviation > 0, deviation, 1.0), median
