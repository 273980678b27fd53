"""Confidence intervals by the stratified bootstrap, of many metrics and models on the same resamples.

Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 16: the percentile interval. A resample
gives each row as a weight how often it was drawn. Rows are drawn within their class, so that each resample has as many
of a class as the data; the rows of a regression are drawn from all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.tasks.weighted import Weighted

CELLS = 1 << 16  # weights that are held at once: more do not fit a core's cache


@dataclass(frozen=True)
class Resampling:
    """How intervals are made: the number of resamples, the share of them between both ends, and the seed."""

    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def ends(self, values: np.ndarray) -> np.ndarray:
        """Both ends of the interval [2, ...] of the resampled values [resamples, ...]; NaN if all of these are."""
        beyond = (1 - self.confidence) / 2
        if np.isnan(values).all():
            return np.full((2, *values.shape[1:]), np.nan)
        return np.asarray(np.nanquantile(values, [beyond, 1 - beyond], axis=0))


def weights(y: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """The resamples' weights of the rows of `y`, float64 [some, n_rows], as many at once as fit the cache.

    They depend on the labels and the seed alone, and not on how many come at once.
    """
    rng, rows = np.random.default_rng(seed), len(y)
    strata = strata_of(y)
    step = max(1, CELLS // max(rows, 1))
    for start in range(0, resamples, step):
        some = np.empty((min(step, resamples - start), rows))
        for each in some:
            for stratum in strata:
                drawn = rng.integers(0, len(stratum), len(stratum))
                each[stratum] = np.bincount(drawn, minlength=len(stratum))
        yield some


def strata_of(y: np.ndarray) -> list[np.ndarray]:
    """The positions of the rows of each class, or of all rows where labels are numbers."""
    if y.dtype.kind == "f":
        return [np.arange(len(y))]
    return [np.flatnonzero(y == code) for code in np.unique(y)]


def resampled(y: np.ndarray, measured: Mapping[str, Weighted], how: Resampling) -> dict[str, np.ndarray]:
    """What each function gives of every resample of the rows of `y`: [resamples] or [resamples, ...].

    All of them see the same resamples, so that their differences are paired.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in measured}
    for some in weights(y, how.resamples, how.seed):
        for name, function in measured.items():
            found[name].append(function(some))
    return {name: np.concatenate(values) for name, values in found.items()}


def percent(share: float) -> str:
    """A share as it was declared: 0.95 is `95%`, 0.995 is `99.5%`."""
    return f"{100 * share:.10g}%"


class Estimate(BaseModel):
    """A value with both ends of its bootstrap confidence interval, NaN where there is none."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float


def estimates(y: np.ndarray, measured: Mapping[str, Weighted], how: Resampling) -> dict[str, Estimate]:
    """The value and the interval of each function of the weights of the rows of `y`, all on the same resamples."""
    ones = np.ones(len(y))
    return {name: estimate(measured[name](ones), values, how) for name, values in resampled(y, measured, how).items()}


def estimate(value: Any, values: np.ndarray, how: Resampling) -> Estimate:
    """A value with the interval of its resampled values [resamples]."""
    low, high = how.ends(values)
    return Estimate(value=float(value), low=float(low), high=float(high))
