"""Intervals around predicted numbers by split conformal prediction, and how many test rows lie in them.

Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018, Distribution-free predictive inference for regression, Journal of
the American Statistical Association 113, section 2.2.
"""

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.intervals.bootstrap import Estimate, Resampling, estimates
from ml.tasks.weighted import mean_of


class ConformalInterval(BaseModel):
    """The interval around each predicted number, `half_width` to both sides; `wanted` is the share that it is to hold.

    `half_width` is None where validation has too few rows for such a share.
    """

    model_config = ConfigDict(frozen=True)

    wanted: float
    half_width: float | None
    rows: int


class Coverage(BaseModel):
    """The share of test rows inside of the interval, against what was wanted."""

    model_config = ConfigDict(frozen=True)

    wanted: float
    half_width: float
    covered: Estimate


def conformal_interval(y: np.ndarray, p: np.ndarray, wanted: float) -> ConformalInterval:
    """Derive the interval from residuals of validation rows [n_rows]: the ceil((n + 1) wanted)-th smallest of them.

    The model's early stopping and tuning have seen these rows, so that it can be a little too narrow.
    """
    place = math.ceil((len(y) + 1) * wanted)
    width = float(np.sort(np.abs(y - p))[place - 1]) if place <= len(y) else None
    return ConformalInterval(wanted=wanted, half_width=width, rows=len(y))


def coverage(y: np.ndarray, p: np.ndarray, interval: ConformalInterval, resampling: Resampling) -> Coverage | None:
    """Measure the share of the test rows [n_rows] inside of the interval; None where there is no interval."""
    if interval.half_width is None:
        return None
    width = interval.half_width
    covered = mean_of(lambda truth, answer: np.abs(truth - answer) <= width)
    share = estimates(y, {"covered": covered(y, p)}, resampling)["covered"]
    return Coverage(wanted=interval.wanted, half_width=width, covered=share)
