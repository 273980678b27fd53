"""The options of the training loop, and its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from ml.declaration.families import Precision


@dataclass(frozen=True)
class LoopOptions:
    """All that decides a training beside the network and the data; raises ValueError for values that make no sense."""

    epochs: int = 12
    batch: int = 2048  # rows behind one step, over all processes
    learning_rate: float = 2e-3  # the highest, at the end of the warm-up
    weight_decay: float = 1e-3  # of matrices and kernels; never of biases and norms
    warm_up: float = 0.1  # share of all steps in which the learning rate rises from 0
    clip_norm: float = 1.0  # the gradient is scaled down to this norm where it is longer
    accumulate: int = 1  # parts that a batch is worked off in, to need less memory
    precision: Precision = "auto"  # "auto" is bfloat16 or float16 where a GPU has them, else float32
    compile: bool = False
    patience: int = 3  # epochs in a row without a better validation loss after which it stops
    stop_after: int | None = None  # epochs, of all that the schedule is made for, after which it ends; no patience then
    freeze: bool = False  # only the network's last stage learns from the start
    unfreeze: tuple[int, ...] = ()  # epochs, from 0, from which the stage before it learns, the one before that, ...
    seed: int = 0
    device: str = "cpu"
    threads: int = 1  # of each process
    processes: int = 1
    log_every: int = 50  # steps

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "accumulate", "patience", "threads", "processes", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}={getattr(self, name)}` must be at least 1.")
        if self.stop_after is not None and not 1 <= self.stop_after <= self.epochs:
            raise ValueError(f"`stop_after={self.stop_after}` must be from 1 to `epochs={self.epochs}`.")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}={getattr(self, name)}` must be above 0.")
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"`warm_up={self.warm_up}` must be a share of all steps in [0, 1).")
        if self.precision not in get_args(Precision):
            raise ValueError(f"There is no precision {self.precision!r}. Allowed: {list(get_args(Precision))}.")
        if self.precision == "16-mixed" and self.device == "cpu":
            raise ValueError("`precision='16-mixed'` needs a GPU. On a CPU: '32-true' or 'bf16-mixed'.")
        if self.processes > 1 and self.device != "cpu":
            raise ValueError(
                f"`processes={self.processes}` share the work on a CPU only. Got the device {self.device!r}, which is"
                " one: set processes to 1, or gpu to never."
            )
        if self.unfreeze and not self.freeze:
            raise ValueError(f"`unfreeze={list(self.unfreeze)}` needs `freeze=True`: nothing is frozen.")
        if list(self.unfreeze) != sorted(self.unfreeze) or not all(0 < epoch < self.epochs for epoch in self.unfreeze):
            raise ValueError(
                f"`unfreeze={list(self.unfreeze)}` must be rising epochs from 1 to {self.epochs - 1}: the stages"
                " nearest to the output come first."
            )


@dataclass(frozen=True)
class History:
    """The validation loss after each epoch, and the epoch, from 0, whose weights were kept."""

    validation: tuple[float, ...]

    @property
    def best_epoch(self) -> int:
        return self.validation.index(min(self.validation))
