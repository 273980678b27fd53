"""The shapes that a network's modules follow from: enough to build it again around stored weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml.tasks.task import Task


@dataclass(frozen=True)
class TabularSizes:
    """`blocks` hidden layers, or residual blocks, of `width` units."""

    width: int
    blocks: int
    dropout: float


@dataclass(frozen=True)
class ImageSizes:
    """Images of height x width x channels; `filters` is how many the first convolution has.

    `place[i]` is the column of value i of an image in the order row, column, channel; the number of columns where
    there is none.
    """

    height: int
    width: int
    channels: int
    place: tuple[int, ...]
    filters: int
    dropout: float


@dataclass(frozen=True)
class Shape:
    """A network for `numbers` numeric columns and then one column of codes for each of `cardinalities`."""

    kind: Literal["mlp", "resnet", "cnn"]
    numbers: int
    cardinalities: tuple[int, ...]
    task: Task
    sizes: TabularSizes | ImageSizes

    @property
    def features(self) -> int:
        """The number of columns of the encoded matrix."""
        return self.numbers + len(self.cardinalities)
