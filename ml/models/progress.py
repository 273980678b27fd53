"""Progress that a training reports, and checkpoints that it can be taken up from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    """The course of a training over the steps since the last such record, or since it started."""

    step: int
    epoch: int
    loss: float  # the mean over these steps
    gradient_norm: float  # at the last of them, before clipping
    learning_rate: float  # at the last of them
    rows_per_s: float
    validation_loss: float | None  # after the latest whole epoch

    def curves(self) -> dict[str, float]:
        """Return the values that can be drawn over the steps, by a name for people."""
        return {
            "training loss": self.loss,
            "gradient norm": self.gradient_norm,
            "learning rate": self.learning_rate,
            "rows per second": self.rows_per_s,
            **({} if self.validation_loss is None else {"validation loss": self.validation_loss}),
        }


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder from which a training that is killed can be taken up again; the result does not depend on it.

    It is saved after the first epoch that ends `every_s` seconds or more after the last save.
    """

    path: Path
    every_s: float = 30.0
