"""A small neural network for tables."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.base import IR_VERSION, OPSETS, Training, require_device

if TYPE_CHECKING:
    import onnx
    import optuna
    import torch

MAX_EPOCHS = 12
PATIENCE = 2  # epochs without a better validation loss
BATCH = 2048
CLIP = 5.0  # standard deviations; a network extrapolates badly beyond what it has seen


@dataclass(frozen=True)
class MLP:
    """A torch network of two hidden layers with embeddings for categories, stopped early on the validation rows."""

    name: str = "mlp"
    devices: tuple[str, ...] = ("cpu", "cuda")

    def defaults(self) -> dict[str, Any]:
        """A width and rate that suit tens of columns."""
        return {"width": 128, "dropout": 0.2, "learning_rate": 2e-3, "weight_decay": 1e-3}

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Capacity, regularization and step size."""
        return {
            "width": trial.suggest_categorical("width", [64, 128, 256]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "learning_rate": trial.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
        }

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> FittedMLP:
        """The weights of the best epoch; on a CPU the same seed and threads give the same weights."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits as loss_of

        require_device(self, device)
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        network = _network(_statistics(data), data.encoder.cardinalities, params["width"], params["dropout"]).to(device)
        X, y = torch.from_numpy(data.X).to(device), torch.from_numpy(data.y).float().to(device)
        X_valid, y_valid = torch.from_numpy(data.X_valid).to(device), torch.from_numpy(data.y_valid).float().to(device)
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=params["learning_rate"], weight_decay=params["weight_decay"]
        )
        batch = min(BATCH, max(32, len(X) // 20))  # small data needs more steps than it has large batches
        epochs = MAX_EPOCHS if batch == BATCH else 4 * MAX_EPOCHS
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=params["learning_rate"], total_steps=epochs * math.ceil(len(X) / batch)
        )
        order = torch.Generator().manual_seed(seed)
        best, best_loss, waited = copy.deepcopy(network.state_dict()), math.inf, 0
        for _ in range(epochs):
            network.train()
            for rows in torch.randperm(len(X), generator=order).to(device).split(batch):  # type: ignore[no-untyped-call]
                optimizer.zero_grad(set_to_none=True)
                loss_of(network(X[rows])[:, 0], y[rows]).backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            network.eval()
            with torch.no_grad():
                loss = float(loss_of(network(X_valid)[:, 0], y_valid))
            if loss < best_loss:
                best, best_loss, waited = copy.deepcopy(network.state_dict()), loss, 0
            elif (waited := waited + 1) > PATIENCE:
                break
        weights = {name: value.cpu().numpy() for name, value in sorted(best.items())}
        return FittedMLP(weights, data.encoder.cardinalities, int(params["width"]), data.X.shape[1])


@dataclass(frozen=True)
class FittedMLP:
    """The network's weights as arrays, and what its shape follows from."""

    weights: Mapping[str, np.ndarray]
    cardinalities: tuple[int, ...]
    width: int
    n_features: int

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Probability of the positive class, float64 [n_rows]."""
        import torch

        with torch.no_grad():
            logits = self._network()(torch.from_numpy(np.ascontiguousarray(X)))
        scores: np.ndarray = torch.sigmoid(logits)[:, 0].numpy().astype(np.float64)
        return scores

    def to_onnx(self) -> onnx.ModelProto:
        """The network as torch exports it, with any number of rows."""
        import torch

        class Scored(torch.nn.Module):
            def __init__(self, network: torch.nn.Module) -> None:
                super().__init__()
                self.network = network

            def forward(self, X: torch.Tensor) -> torch.Tensor:
                return torch.sigmoid(self.network(X))

        program = torch.onnx.export(
            Scored(self._network()).eval(),
            (torch.zeros(2, self.n_features),),
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

    def _network(self) -> torch.nn.Module:
        import torch

        numbers = self.n_features - len(self.cardinalities)
        network = _network(
            (np.zeros(numbers), np.ones(numbers), np.zeros(numbers)), self.cardinalities, self.width, 0.0
        )
        network.load_state_dict({name: torch.from_numpy(value) for name, value in self.weights.items()})
        return network.eval()


def _statistics(data: Training) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation and median of each numeric column of the training rows; 0, 1, 0 where all is missing."""
    numbers = data.X[:, : data.encoder.n_numeric].astype(np.float64)
    seen = ~np.isnan(numbers)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, numbers, 0).sum(axis=0) / count
    deviation = np.sqrt((np.where(seen, numbers - mean, 0) ** 2).sum(axis=0) / count)
    median = np.array(
        [np.median(column[ok]) if ok.any() else 0.0 for column, ok in zip(numbers.T, seen.T, strict=True)]
    )
    return mean, np.where(deviation > 0, deviation, 1.0), median


def _network(
    statistics: tuple[np.ndarray, np.ndarray, np.ndarray], cardinalities: tuple[int, ...], width: int, dropout: float
) -> torch.nn.Module:
    """Numbers: median for missing, standardized. Categories: embedded, index 0 for missing and unseen."""
    import torch
    from torch import nn

    class Network(nn.Module):
        mean: torch.Tensor
        deviation: torch.Tensor
        median: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            for name, values in zip(("mean", "deviation", "median"), statistics, strict=True):
                self.register_buffer(name, torch.tensor(values, dtype=torch.float32))
            sizes = [min(16, 1 + math.ceil(size**0.5)) for size in cardinalities]
            self.embeddings = nn.ModuleList(
                nn.Embedding(levels + 1, size) for levels, size in zip(cardinalities, sizes, strict=True)
            )
            self.layers = nn.Sequential(
                nn.Linear(len(statistics[0]) + sum(sizes), width),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(width, width),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(width, 1),
            )

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            numbers, codes = X[:, : len(self.mean)], X[:, len(self.mean) :]
            numbers = torch.where(torch.isnan(numbers), self.median, numbers)
            parts = [((numbers - self.mean) / self.deviation).clamp(-CLIP, CLIP)]
            index = torch.where(torch.isnan(codes), torch.full_like(codes, -1.0), codes).long() + 1
            parts += [embedding(index[:, column]) for column, embedding in enumerate(self.embeddings)]
            result: torch.Tensor = self.layers(torch.cat(parts, dim=1))
            return result

    return Network()
