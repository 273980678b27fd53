"""Confidence intervals by the stratified bootstrap, of many metrics and models on the same resamples.

Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 16: the percentile interval. A resample
gives each row as a weight how often it was drawn. Rows are drawn within their class, so that each resample has as many
of a class as the data; the rows of a regression are drawn from all. Where rows are ranked within groups, whole groups
are drawn instead (Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8), as many as there
are: the rows of one have in common what makes their values alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.tasks.targets import strata
from ml.tasks.weighted import Weighted

CELLS = 1 << 16  # weights that are held at once: more do not fit a core's cache


@dataclass(frozen=True)
class Resampling:
    """The making of intervals: the number of resamples, the share of them between both ends, and the seed.

    Where the rows have `groups` [n_rows], these are drawn as wholes.
    """

    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0
    groups: np.ndarray | None = field(default=None, compare=False)

    def at(self, rows: np.ndarray) -> "Resampling":
        """Return the making of intervals for some of the rows, by their positions or a mask."""
        return self if self.groups is None else replace(self, groups=self.groups[rows])

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


def weights(y: np.ndarray, resamples: int, seed: int, groups: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield the resamples' weights of the rows of `y`, float64 [some, n_rows], as many at once as fit the cache.

    They depend on the labels, the groups and the seed alone, and not on how many come at once.
    """
    rng, rows = np.random.default_rng(seed), len(y)
    drawn_once = _drawn_rows(y, rng) if groups is None else _drawn_groups(groups, rng)
    step = max(1, CELLS // max(rows, 1))
    for start in range(0, resamples, step):
        chunk = np.empty((min(step, resamples - start), rows))
        for resample in chunk:
            drawn_once(resample)
        yield chunk


def _drawn_rows(y: np.ndarray, rng: np.random.Generator) -> Callable[[np.ndarray], None]:
    """Return the function that writes how often each row is drawn in one resample."""
    strata = strata_of(y)

    def draw(resample: np.ndarray) -> None:
        for stratum in strata:
            drawn = rng.integers(0, len(stratum), len(stratum))
            resample[stratum] = np.bincount(drawn, minlength=len(stratum))

    return draw


def _drawn_groups(groups: np.ndarray, rng: np.random.Generator) -> Callable[[np.ndarray], None]:
    """Return the function that writes how often the group of each row is drawn in one resample."""
    distinct, codes = np.unique(groups, return_inverse=True)

    def draw(resample: np.ndarray) -> None:
        drawn = rng.integers(0, len(distinct), len(distinct)) if len(distinct) else np.empty(0, dtype=int)
        resample[:] = np.bincount(drawn, minlength=len(distinct))[codes]

    return draw


def independent_draws(y: np.ndarray, groups: np.ndarray | None) -> int:
    """Return how many rows of the smallest class, or how many groups, a resample draws independently."""
    return min(map(len, strata_of(y))) if groups is None else len(np.unique(groups))


def strata_of(y: np.ndarray) -> list[np.ndarray]:
    """Return the positions of the rows of each class, or of all rows where labels are numbers.

    Of several targets, y [n_rows, n_targets], it is those of the rows that have the same rarest class of any.
    """
    if y.dtype.kind == "f":
        return [np.arange(len(y))]
    if y.ndim == 2:
        return strata_of(strata(y))
    return [np.flatnonzero(y == code) for code in np.unique(y)]


def resampled_values(y: np.ndarray, functions: Mapping[str, Weighted], resampling: Resampling) -> dict[str, np.ndarray]:
    """Apply each function to every resample of the rows of `y`: [resamples] or [resamples, ...].

    All of them see the same resamples, so that their differences are paired. The rows of one group alone are drawn
    together each time, which tells nothing: NaN.
    """
    chunks: dict[str, list[np.ndarray]] = {name: [] for name in functions}
    for chunk in weights(y, resampling.resamples, resampling.seed, resampling.groups):
        for name, function in functions.items():
            chunks[name].append(function(chunk))
    whole = {name: np.concatenate(values) for name, values in chunks.items()}
    if resampling.groups is not None and len(np.unique(resampling.groups)) == 1:
        return {name: np.full_like(values, np.nan, dtype=np.float64) for name, values in whole.items()}
    return whole


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
