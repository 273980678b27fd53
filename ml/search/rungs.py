"""Rungs: points of progress at which a fit is compared with earlier ones, and ended if it is not worth going on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


class Pruned(Exception):
    """A fit that was ended because earlier ones had less validation loss when they had come as far."""


def rung(number: int) -> float:
    """Return the progress that rung 0, 1, 2, … takes: 1, 2, 4, … epochs, or rounds times the learning rate."""
    return 2.0**number


@dataclass
class Watch:
    """Hears a fit's validation loss after each round or epoch, and raises Pruned at a rung where it is too high.

    `thresholds[i]` is the highest loss with which a fit passes rung i; beyond the last one all pass. `losses` are the
    least losses that it had at each rung.
    """

    thresholds: Sequence[float] = ()
    losses: list[float] = field(default_factory=list)
    least: float = math.inf

    def __call__(self, progress: float, loss: float) -> None:
        """Take the loss after so much `progress`: epochs, or boosting rounds times the learning rate.

        Rounds with a small step are compared with fewer rounds with a large one: where they have come equally far.
        """
        self.least = min(self.least, float(loss))
        while progress >= rung(len(self.losses)):
            self.losses.append(self.least)
            if len(self.losses) <= len(self.thresholds) and self.least > self.thresholds[len(self.losses) - 1]:
                raise Pruned

    @property
    def whole(self) -> tuple[float, ...]:
        """The losses of a fit that has ended, the last being that of all rungs it did not need."""
        return (*self.losses, self.least) if math.isfinite(self.least) else ()


def rung_thresholds(fits: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return, per rung, the median of the least losses that whole `fits` had there; none if some fit told no losses."""
    if not fits or not all(fits):
        return ()
    longest = max(map(len, fits)) - 1
    columns = ([fit[min(number, len(fit) - 1)] for fit in fits] for number in range(longest))
    return tuple(sorted(column)[len(column) // 2] for column in columns)
