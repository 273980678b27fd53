"""A residual network for tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml.models.family import Training
from ml.models.networks.family import NetworkFamily
from ml.models.networks.shapes import Shape, TabularSizes

if TYPE_CHECKING:
    import optuna


class ResNet(NetworkFamily):
    """Residual blocks with embeddings for categories (Gorishniy et al. 2021): may be deeper than `mlp`."""

    name = "resnet"

    def defaults(self) -> dict[str, Any]:
        """Return two blocks of a width that suits tens of columns."""
        return {"width": 96, "blocks": 2, "dropout": 0.2, "learning_rate": 1e-3, "weight_decay": 1e-3}

    def good(self) -> list[dict[str, Any]]:
        """Return wider blocks and little decay: near the defaults that Gorishniy et al. give for their ResNet."""
        return [{"width": 192, "blocks": 2, "dropout": 0.15, "learning_rate": 1e-3, "weight_decay": 1e-5}]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest capacity, regularization and step size."""
        return {
            "width": trial.suggest_categorical("width", [64, 96, 128, 192]),
            "blocks": trial.suggest_int("blocks", 1, 4),
            **super().suggest(trial),
        }

    def shape(self, data: Training, params: Mapping[str, Any]) -> Shape:
        """Return as many blocks of such a width as `params` say."""
        sizes = TabularSizes(int(params["width"]), int(params["blocks"]), float(params["dropout"]))
        return Shape("resnet", data.encoder.n_numeric, data.encoder.cardinalities, data.task, sizes)
