"""A small multilayer perceptron for tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml.models.family import Training
from ml.models.networks.family import NetworkFamily
from ml.models.networks.shapes import Shape, TabularSizes

if TYPE_CHECKING:
    import optuna


class MLP(NetworkFamily):
    """A network of two hidden layers with embeddings for categories."""

    name = "mlp"

    def defaults(self) -> dict[str, Any]:
        """Return a width and rate that suit tens of columns."""
        return {"width": 128, "dropout": 0.2, "learning_rate": 2e-3, "weight_decay": 1e-3}

    def good(self) -> list[dict[str, Any]]:
        """Return a network that is wider, slower and with less dropout: for many rows."""
        return [{"width": 256, "dropout": 0.1, "learning_rate": 1e-3, "weight_decay": 1e-2}]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest capacity, regularization and step size."""
        return {"width": trial.suggest_categorical("width", [64, 128, 256]), **super().suggest(trial)}

    def shape(self, data: Training, params: Mapping[str, Any]) -> Shape:
        """Return two layers of the width that `params` say."""
        sizes = TabularSizes(int(params["width"]), 2, float(params["dropout"]))
        return Shape("mlp", data.encoder.n_numeric, data.encoder.cardinalities, data.task, sizes)
