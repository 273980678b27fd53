"""Confidence intervals by the stratified bootstrap, of many metrics and models on the same resamples.

Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 16: the percentile interval. A resample
gives each row as a weight how often it was drawn. Rows are drawn within their class, so that each resample has as many
of a class as the data; the rows of a regression are drawn from all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.tasks.targets import strata
from ml.tasks.weighted import Weighted

CELLS = 1 << 16  # weights that are held at once: more do not fit a core's cache


@dataclass(frozen=True)
class Resampling:
    """The making of intervals: the number of resamples, the share of them between both ends, and the seed."""

    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def ends(self, values: np.ndarray) -> np.ndarray:
        """Return both ends of the interval [2, ...] of resampled values [resamples, ...]; NaN if all of these are."""
        beyond = (1 - self.confidence) / 2
        return quantiles(values, [beyond, 1 - beyond])


def quantiles(values: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Return quantiles [n_shares, ...] of resampled values [resamples, ...] that are not NaN; NaN where all are."""
    some = ~np.isnan(values).all(axis=0)
    of_all = np.full((len(shares), *values.shape[1:]), np.nan)
    if some.any():
        of_all[:, some] = np.nanquantile(values[:, some], shares, axis=0)
    return of_all


def weights(y: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the resamples' weights of the rows of `y`, float64 [some, n_rows], as many at once as fit the cache.

    They depend on the labels and the seed alone, and not on how many come at once.
    """
    rng, rows = np.random.default_rng(seed), len(y)
    strata = strata_of(y)
    step = max(1, CELLS // max(rows, 1))
    for start in range(0, resamples, step):
        chunk = np.empty((min(step, resamples - start), rows))
        for resample in chunk:
            for stratum in strata:
                drawn = rng.integers(0, len(stratum), len(stratum))
                resample[stratum] = np.bincount(drawn, minlength=len(stratum))
        yield chunk


def strata_of(y: np.ndarray) -> list[np.ndarray]:
    """Return the positions of the rows of each class, or of all rows where labels are numbers.

    Of several targets, y [n_rows, n_targets], those of a class are the rows with the same rarest one that is true.
    """
    if y.dtype.kind == "f":
        return [np.arange(len(y))]
    if y.ndim == 2:
        return strata_of(strata(y))
    return [np.flatnonzero(y == code) for code in np.unique(y)]


def resampled_values(y: np.ndarray, functions: Mapping[str, Weighted], resampling: Resampling) -> dict[str, np.ndarray]:
    """Apply each function to every resample of the rows of `y`: [resamples] or [resamples, ...].

    All of them see the same resamples, so that their differences are paired.
    """
    chunks: dict[str, list[np.ndarray]] = {name: [] for name in functions}
    for chunk in weights(y, resampling.resamples, resampling.seed):
        for name, function in functions.items():
            chunks[name].append(function(chunk))
    return {name: np.concatenate(values) for name, values in chunks.items()}


class Estimate(BaseModel):
    """A value with both ends of its bootstrap confidence interval, NaN where there is none."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float


def estimates(y: np.ndarray, functions: Mapping[str, Weighted], resampling: Resampling) -> dict[str, Estimate]:
    """Estimate each function of the weights of the rows of `y`, value and interval, all on the same resamples."""
    ones, values = np.ones(len(y)), resampled_values(y, functions, resampling)
    return {name: estimate(function(ones), values[name], resampling) for name, function in functions.items()}


def estimate(value: Any, values: np.ndarray, resampling: Resampling) -> Estimate:
    """Return a value with the interval of its resampled values [resamples]."""
    low, high = resampling.ends(values)
    return Estimate(value=float(value), low=float(low), high=float(high))
