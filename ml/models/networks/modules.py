"""The networks as torch modules; only what trains, answers or exports one imports this."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.models.networks.shapes import ImageSizes, Shape, TabularSizes

CLIP = 5.0  # standard deviations; a network extrapolates badly beyond what it has seen


class Network(nn.Module):
    """From the encoded matrix to answers, in three parts.

    `prepare` has nothing that learns, so training runs it once; `forward` learns; `answer` makes probabilities or
    numbers of what `forward` says. `stages` are the parts that can be frozen, from input to output.
    """

    stages: Sequence[nn.Module] = ()
    mean: Tensor
    deviation: Tensor
    median: Tensor
    target_mean: Tensor
    target_deviation: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.kind = shape.task.kind
        for name, value in (("mean", 0.0), ("deviation", 1.0), ("median", 0.0)):
            self.register_buffer(name, torch.full((shape.numbers,), value))
        for name, value in (("target_mean", 0.0), ("target_deviation", 1.0)):
            self.register_buffer(name, torch.tensor(value))

    def prepare(self, X: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs of `forward`: numbers standardized within `CLIP`, missing ones as the median, and codes."""
        raise NotImplementedError

    def numbers(self, X: Tensor) -> Tensor:
        """Return the numeric columns, float32 [n_rows, n_numeric], as `prepare` describes them."""
        numbers = X[:, : len(self.mean)]
        numbers = torch.where(torch.isnan(numbers), self.median, numbers)
        return ((numbers - self.mean) / self.deviation).clamp(-CLIP, CLIP)

    def answer(self, raw: Tensor) -> Tensor:
        """Return probabilities of the positive class [n_rows, 1] or of every class [n_rows, n_classes], or numbers."""
        if self.kind == "regression":
            return raw * self.target_deviation + self.target_mean
        return raw.softmax(dim=1) if self.kind == "multiclass" else raw.sigmoid()

    def target(self, y: np.ndarray, weights: np.ndarray | None = None) -> Tensor:
        """Return labels as `loss` takes them: float32, standardized if they are numbers, or int64 codes.

        With weights float32 [n_rows, 2]: the label, and the weight.
        """
        if self.kind == "multiclass":
            labels = torch.from_numpy(y.astype(np.int64))
        else:
            numbers = (y.astype(np.float64) - float(self.target_mean)) / float(self.target_deviation)
            labels = torch.from_numpy(numbers.astype(np.float32))
        if weights is None:
            return labels
        return torch.stack([labels.float(), torch.from_numpy(weights.astype(np.float32))], dim=1)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the log loss, or half the squared error of the standardized number, summed over the rows."""
        if target.ndim == 2:
            return (self._losses(raw, target[:, 0]) * target[:, 1]).sum()
        if self.kind == "multiclass":
            return functional.cross_entropy(raw, target, reduction="sum")
        if self.kind == "regression":
            return functional.mse_loss(raw[:, 0], target, reduction="sum") / 2
        return functional.binary_cross_entropy_with_logits(raw[:, 0], target, reduction="sum")

    def _losses(self, raw: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each row, [n_rows]."""
        if self.kind == "multiclass":
            return functional.cross_entropy(raw, labels.long(), reduction="none")
        if self.kind == "regression":
            return functional.mse_loss(raw[:, 0], labels, reduction="none") / 2
        return functional.binary_cross_entropy_with_logits(raw[:, 0], labels, reduction="none")


class Answering(nn.Module):
    """A network from the encoded matrix to its answers: what is exported."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, X: Tensor) -> Tensor:
        return self.network.answer(self.network(*self.network.prepare(X)))


class Dropout(nn.Dropout):
    """Dropout whose chance is rounded to a 256th on a CPU, where a random byte takes a tenth of torch's time."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        dropped = round(self.p * 256)
        words = torch.empty(x.numel() // 8 + 1, dtype=torch.int64).random_(-(2**63), None)
        mask = (words.view(torch.uint8)[: x.numel()] >= dropped).to(x.dtype).view(x.shape)
        return x * mask.mul_(256 / (256 - dropped))


class Tabular(Network):
    """Numbers, and categories embedded: index 0 of a column is missing and unseen.

    All columns share one table, each with rows of its own, so that one lookup serves them all.
    """

    start: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        levels = shape.cardinalities
        width = min(16, 1 + math.ceil(max(levels, default=0) ** 0.5))
        self.register_buffer("start", torch.tensor([sum(levels[:column]) + column for column in range(len(levels))]))
        self.embedding = nn.Embedding(sum(levels) + len(levels), width) if levels else None
        assert isinstance(shape.sizes, TabularSizes)
        self.layers = self._layers(shape.numbers + len(levels) * width, shape.sizes, shape.task.outputs)

    def _layers(self, inputs: int, sizes: TabularSizes, outputs: int) -> nn.Module:
        raise NotImplementedError

    def prepare(self, X: Tensor) -> tuple[Tensor, ...]:
        if self.embedding is None:
            return (self.numbers(X),)
        codes = X[:, len(self.mean) :]
        index = torch.where(torch.isnan(codes), torch.full_like(codes, -1.0), codes).long() + 1
        return self.numbers(X), index + self.start

    def forward(self, numbers: Tensor, codes: Tensor | None = None) -> Tensor:
        if codes is not None and self.embedding is not None:
            numbers = torch.cat([numbers, self.embedding(codes).flatten(1)], dim=1)
        raw: Tensor = self.layers(numbers)
        return raw


class Perceptron(Tabular):
    """Hidden layers of one width."""

    def _layers(self, inputs: int, sizes: TabularSizes, outputs: int) -> nn.Module:
        layers: list[nn.Module] = []
        for number in range(sizes.blocks):
            layers += [nn.Linear(sizes.width if number else inputs, sizes.width), nn.ReLU(), Dropout(sizes.dropout)]
        return nn.Sequential(*layers, nn.Linear(sizes.width, outputs))


class Residual(Tabular):
    """The ResNet for tables of Gorishniy et al. 2021, Revisiting deep learning models for tabular data (section 3.2).

    With layer norm in place of batch norm, so that a row's gradient does not depend on the rows beside it: parts of a
    batch, worked off one by one or in several processes, then add up to the whole.
    """

    def _layers(self, inputs: int, sizes: TabularSizes, outputs: int) -> nn.Module:
        blocks = [_TabularBlock(sizes.width, sizes.dropout) for _ in range(sizes.blocks)]
        end = [nn.LayerNorm(sizes.width), nn.ReLU(), nn.Linear(sizes.width, outputs)]
        return nn.Sequential(nn.Linear(inputs, sizes.width), *blocks, *end)


class _TabularBlock(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        inner = [nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), Dropout(dropout)]
        self.branch = nn.Sequential(*inner, nn.Linear(2 * width, width), Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.branch(x)
        return result


class Convolutional(Network):
    """A residual network for small images (He et al. 2016, Identity mappings in deep residual networks).

    With group norm (Wu and He 2018) in place of batch norm, for the reason that `Residual` gives. The second stage
    halves the image's height and width and doubles the channels.
    """

    place: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        sizes = shape.sizes
        assert isinstance(sizes, ImageSizes)
        self.image = (sizes.height, sizes.width, sizes.channels)
        self.register_buffer("place", torch.tensor(sizes.place))
        narrow, wide = sizes.filters, 2 * sizes.filters
        self.stem = nn.Conv2d(sizes.channels, narrow, 3, padding=1, bias=False)
        self.stage1 = _ImageBlock(narrow, narrow, stride=1)
        self.stage2 = _ImageBlock(narrow, wide, stride=2)
        self.head = nn.Sequential(_norm(wide), nn.ReLU(), _Pool(), Dropout(sizes.dropout))
        self.head.append(nn.Linear(wide, shape.task.outputs))
        self.stages = [self.stem, self.stage1, self.stage2, self.head]

    def prepare(self, X: Tensor) -> tuple[Tensor, ...]:
        """Return the images, float32 [n_rows, channels, height, width]; a pixel without a column is 0, the mean."""
        padded = functional.pad(self.numbers(X), (0, 1))
        images = padded.index_select(1, self.place).reshape(-1, *self.image)
        return (images.permute(0, 3, 1, 2).contiguous(),)

    def forward(self, images: Tensor) -> Tensor:
        raw: Tensor = self.head(self.stage2(self.stage1(self.stem(images))))
        return raw


class _ImageBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _norm(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            _norm(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.skip(x) + self.branch(x)
        return result


class _Pool(nn.Module):
    """The mean over all places, [n_rows, channels]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(8, channels), channels)


_KINDS: dict[str, type[Network]] = {"mlp": Perceptron, "resnet": Residual, "cnn": Convolutional}


def build(shape: Shape) -> Network:
    """Build a network of this shape with fresh weights from torch's global random numbers."""
    return _KINDS[shape.kind](shape)
