"""A small residual network for images whose pixels are numeric columns."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.family import Training
from ml.models.networks.family import NetworkFamily, column_statistics
from ml.models.networks.shapes import ImageSizes, Shape

if TYPE_CHECKING:
    import optuna

    from ml.models.networks.modules import Network

STAGES = 4  # of the network: stem, two residual stages, head
SPARSE = 4  # values of an image for each column at most; more means that the names' numbers are no places
_END = re.compile(r"(?:\d+_){0,2}\d+$")

_log = logging.getLogger(__name__)


class CNN(NetworkFamily):
    """A small residual convolutional network, which can start from weights in a file and learn stage by stage.

    Parameters beside the tuned ones: `height` of the image where the names of the columns do not tell it;
    `checkpoint`, the path of weights to start from, and `checkpoint_sha256`, the hash of that file; `freeze` and
    `unfreeze` as in LoopOptions.
    """

    name = "cnn"
    takes_texts = False

    def defaults(self) -> dict[str, Any]:
        """Return sizes that suit images of some hundred pixels."""
        return {"filters": 16, "dropout": 0.1, "learning_rate": 5e-3, "weight_decay": 1e-2}

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest capacity, regularization and step size."""
        return {"filters": trial.suggest_categorical("filters", [8, 16, 32]), **super().suggest(trial)}

    def shape(self, data: Training, params: Mapping[str, Any]) -> Shape:
        """Return the image's shape; raises ValueError for categories, and for columns that make no image."""
        if others := [name for name in data.encoder.columns if name not in data.encoder.numeric]:
            raise ValueError(
                f"The family 'cnn' takes pixels, which are numbers. Got the columns {sorted(others)[:5]} of categories"
                " or texts: use another family, or leave them out."
            )
        height, width, channels, place = pixel_places(data.encoder.numeric, params.get("height"))
        sizes = ImageSizes(height, width, channels, place, int(params["filters"]), float(params["dropout"]))
        return Shape("cnn", data.encoder.n_numeric, (), data.task, sizes)

    def statistics(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return one mean and deviation of all pixels, so that light and dark stay what they are; a median of each."""
        mean, deviation, _ = column_statistics(numbers.reshape(-1, 1))
        _, _, median = column_statistics(numbers)
        return np.full_like(median, mean[0]), np.full_like(median, deviation[0]), median

    def begin(self, network: Network, params: Mapping[str, Any]) -> None:
        """Put the weights of the checkpoint file into the network, if there is one."""
        if (path := params.get("checkpoint")) is not None:
            start_from(network, Path(path), params["checkpoint_sha256"])
        if len(params.get("unfreeze", ())) >= STAGES:
            raise ValueError(
                f"`unfreeze={list(params['unfreeze'])}` names {STAGES} epochs or more: 3 stages are frozen."
            )


def pixel_places(names: Sequence[str], height: int | None = None) -> tuple[int, int, int, tuple[int, ...]]:
    """Return height, width and channels of the image that columns make, and the column of each of its values.

    A column's place is in its name: `…_<row>_<column>`, `…_<row>_<column>_<channel>`, or `…_<number>` counted row by
    row, in an image of `height` rows or else a square one. Columns whose names do not end in numbers are counted in
    their order. A place without a column, such as a pixel that feature selection dropped because it never changes, has
    the number `len(names)`. Raises ValueError for columns that make no image.
    """
    grid = np.array(_places(names, height))
    size = grid.max(axis=0) + 1
    if math.prod(size.tolist()) > SPARSE * len(names):
        raise _no_image(names, f"they would fill few places of {' x '.join(map(str, size))}")
    place = np.full(size, len(names))
    place[tuple(grid.T)] = np.arange(len(names))
    rows, columns, channels = size.tolist()
    return rows, columns, channels, tuple(place.ravel().tolist())


def _places(names: Sequence[str], height: int | None) -> list[tuple[int, int, int]]:
    """Return row, column and channel of each column."""
    ends = [end[0].split("_") for name in names if (end := _END.search(name))]
    if len(ends) < len(names):
        ends = [[str(number)] for number in range(len(names))]
    lengths = {len(end) for end in ends}
    if len(lengths) > 1 or len(set(map(tuple, ends))) < len(names):
        raise _no_image(names, "the numbers at the ends of their names are no places, each another one")
    if lengths == {1}:
        return _by_rows(names, [int(end) for (end,) in ends], height)
    return [(int(end[0]), int(end[1]), int(end[2]) if len(end) == 3 else 0) for end in ends]


def _by_rows(names: Sequence[str], numbers: list[int], height: int | None) -> list[tuple[int, int, int]]:
    """Return the places of pixels that are counted row by row, from 0, or from 1 where only that fills the image."""
    for first in (0, 1):
        pixels = max(numbers) + 1 - first
        rows = height or math.isqrt(pixels)
        width = pixels // max(1, rows)
        if rows * width == pixels and min(numbers) >= first and (height or rows == width):
            return [((number - first) // width, (number - first) % width, 0) for number in numbers]
    wanted = f"an image of {height} rows" if height else "a square image"
    raise _no_image(names, f"{max(numbers) + 1} pixels do not fill {wanted}")


def _no_image(names: Sequence[str], reason: str) -> ValueError:
    """Return the error for columns that make no image."""
    return ValueError(
        f"The {len(names)} numeric columns {list(names[:3])} make no image: {reason}. Name them …_<row>_<column>, or"
        " state a height that divides their number."
    )


def start_from(network: Network, path: Path, expected: str) -> None:
    """Copy the weights of a file by `FittedNetwork.save_weights` into a network of the same stages.

    The last layer is left as it is where the file's answers other classes; standardization is that of the new data.
    Raises ValueError if the file has another SHA-256 than `expected`, or other weights than the network.
    """
    import torch

    if (actual := sha256(path.read_bytes()).hexdigest()) != expected:
        raise ValueError(f"The checkpoint {path} has the SHA-256 {actual}. Declared: {expected}. Use the right file.")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    weights = dict(network.named_parameters())
    last = {name for name in weights if name.startswith("head.")} & set(list(weights)[-2:])
    if any(name in stored and stored[name].shape != weights[name].shape for name in last):
        _log.info("The checkpoint %s answers something else: the last layer starts anew", path)
        weights = {name: weight for name, weight in weights.items() if name not in last}
    if wrong := sorted(name for name in weights if name not in stored or stored[name].shape != weights[name].shape):
        raise ValueError(f"The checkpoint {path} does not fit: missing or of another shape are {wrong[:5]}.")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(stored[name])
