"""Objectives of a regression: the answer that a model is trained to give, and the trivial one beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator

from ml.base.text import plain

Link = Literal["identity", "log"]


@dataclass(frozen=True)
class Kind:
    """A kind of objective: the answer that is best by it, the link of what is added up, and which targets it allows.

    One that `needs` a number, such as a quantile, allows those that `allows` lets pass.
    """

    description: str
    link: Link = "identity"
    least: float = -math.inf
    zero: bool = True
    needs: str | None = None
    allows: Callable[[float], bool] = math.isnan


KINDS: Mapping[str, Kind] = {
    "squared": Kind("the mean"),
    "mae": Kind("the median"),
    "huber": Kind(
        "the mean of what lies near, of the rest the median",
        needs="a distance above 0 from which on errors count by their size, such as huber_1.5",
        allows=lambda distance: 0 < distance < math.inf,
    ),
    "quantile": Kind(
        "the quantile", needs="a quantile between 0 and 1, such as quantile_0.9", allows=lambda share: 0 < share < 1
    ),
    "poisson": Kind("the mean of counts", "log", 0),
    "gamma": Kind("the mean of amounts", "log", 0, zero=False),
    "tweedie": Kind(
        "the mean of amounts of which some are 0",
        "log",
        0,
        needs="a power of the variance between 1 and 2, such as tweedie_1.5",
        allows=lambda power: 1 < power < 2,
    ),
}


@dataclass(frozen=True)
class Objective:
    """The objective of a model of numbers: its kind, and its number where it has one."""

    kind: str = "squared"
    number: float = math.nan

    @classmethod
    def named(cls, name: str | None) -> Objective:
        """Return the objective of a name such as `mae` or `quantile_0.9`; None is `squared`.

        Raises ValueError, which lists the allowed names, for any other.
        """
        if name is None:
            return SQUARED
        kind, _, text = name.partition("_")
        if kind not in KINDS:
            near = [f", did you mean {known!r}" for known in get_close_matches(kind, KINDS, n=1)]
            raise ValueError(f"There is no objective {name!r}{''.join(near)}. Allowed: {', '.join(_examples())}.")
        number = float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else math.nan
        written = kind if math.isnan(number) else f"{kind}_{plain(number)}"
        if name != written or not KINDS[kind].allows(number):
            raise ValueError(f"There is no objective {name!r}: {kind} takes {KINDS[kind].needs or 'no number'}.")
        return cls(kind, number)

    @property
    def link(self) -> Link:
        """The link of what models add up: the answer is that, or its exponential."""
        return KINDS[self.kind].link

    @property
    def name(self) -> str:
        """The name by which a declaration says it."""
        return self.kind if math.isnan(self.number) else f"{self.kind}_{plain(self.number)}"

    def scaled(self, scale: float) -> Objective:
        """Return the objective of the same numbers divided by `scale`."""
        return replace(self, number=self.number / scale) if self.kind == "huber" else self

    def problem(self, y: np.ndarray) -> str | None:
        """Say which targets it cannot learn, with their count; None where it can learn all."""
        kind = KINDS[self.kind]
        wrong = int(((y < kind.least) | ((y == kind.least) & (not kind.zero))).sum())
        if wrong:
            allowed = "of 0 or more" if kind.zero else "above 0"
            return f"the objective {self.name} needs targets {allowed}: {wrong} of {len(y)} are not"
        return None if y.any() or kind.least < 0 else f"the objective {self.name} needs a target above 0: all are 0"

    def trivial(self, y: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Return the best answer that is the same for every row: a mean, a median or another quantile."""
        if self.kind in ("mae", "huber", "quantile"):
            share = self.number if self.kind == "quantile" else 0.5
            return float(np.quantile(y, share) if weights is None else _weighted_quantile(y, weights, share))
        return float(y.mean() if weights is None else np.average(y, weights=weights))

    @property
    def trivial_answer(self) -> str:
        """The trivial answer in words."""
        if self.kind == "quantile":
            return f"the quantile {self.number:g} of the targets"
        return "the median target" if self.kind in ("mae", "huber") else "the mean target"

    @property
    def metric(self) -> str | None:
        """The metric that goes by it where none is declared; None: that of the task."""
        return f"pinball_{plain(self.number)}" if self.kind == "quantile" else "mae" if self.kind == "mae" else None


SQUARED = Objective()


def _examples() -> list[str]:
    """Return the names of the kinds, with a number where they have one."""
    return [str(kind.needs).rpartition(" ")[2] if kind.needs else name for name, kind in KINDS.items()]


def _weighted_quantile(y: np.ndarray, weights: np.ndarray, share: float) -> float:
    order = np.argsort(y, kind="stable")
    reached = np.cumsum(weights[order])
    return float(y[order][np.searchsorted(reached, share * reached[-1])])


def _declared(name: str) -> str:
    Objective.named(name)
    return name


ObjectiveName = Annotated[str, AfterValidator(_declared)]
