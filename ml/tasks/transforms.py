"""Transforms of a target: what a model learns instead of a number, and the exact way back to it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

COLUMN = r'[A-Za-z_]\w*|"[^"]+"'


@dataclass(frozen=True)
class Transform:
    """The logarithm to a base of a number, or of one more; or its square root, where there is no base."""

    base: float | None
    more: float = 0.0

    def __str__(self) -> str:
        """Return its name."""
        names = [name for name, transform in TRANSFORMS.items() if transform == self]
        return names[-1] if names else "a transform"

    def forward(self, y: np.ndarray) -> np.ndarray:
        """Return what is learned of numbers [n_rows]."""
        if self.base is None:
            roots: np.ndarray = np.sqrt(y)
            return roots
        logarithms: np.ndarray = np.log(y + self.more) / math.log(self.base)
        return logarithms

    def inverse(self, learned: np.ndarray) -> np.ndarray:
        """Return the numbers of which that is learned; a root below 0 is one of 0."""
        if self.base is None:
            roots: np.ndarray = np.maximum(learned, 0.0)
            squares: np.ndarray = roots * roots
            return squares
        numbers: np.ndarray = np.exp(learned * math.log(self.base)) - self.more
        return numbers

    def problem(self, y: np.ndarray) -> str | None:
        """Say which numbers cannot be transformed, with their count; None where all can."""
        wrong = int((y < 0).sum() if self.base is None else (y + self.more <= 0).sum())
        allowed = "0 or more" if self.base is None else f"above {0 - self.more:g}"
        return f"is not {allowed} in {wrong} of {len(y)} rows" if wrong else None


TRANSFORMS: Mapping[str, Transform] = {  # as DuckDB calls them, and log1p, which it lacks
    "ln": Transform(math.e),
    "log": Transform(10.0),
    "log10": Transform(10.0),
    "log2": Transform(2.0),
    "log1p": Transform(math.e, 1.0),
    "sqrt": Transform(None),
}
_APPLIED = re.compile(rf"\s*({'|'.join(TRANSFORMS)})\s*\(\s*({COLUMN})\s*\)\s*", re.IGNORECASE)


def applied(expression: str | None) -> tuple[str, str] | None:
    """Return the transform and the column of an expression such as `ln(price)`; None for any other."""
    match = _APPLIED.fullmatch(expression or "")
    return (match[1].lower(), match[2]) if match else None


def number_of(expression: str) -> str:
    """Return the expression of the number that is predicted where a target such as `ln(price)` is learned: `price`."""
    of_column = applied(expression)
    return of_column[1] if of_column else expression


def learned_as(expression: str | None) -> Transform | None:
    """Return the transform that a target of a regression names; None where it is learned as it is."""
    of_column = applied(expression)
    return TRANSFORMS[of_column[0]] if of_column else None
