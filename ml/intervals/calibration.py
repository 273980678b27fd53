"""Calibration: the agreement of probabilities with what happened."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.tasks.weighted import Groups, most_likely

BINS = 10
ROWS_OF_A_BIN = 30  # below, a bin's share of hits says little
SIMULATED = 500


class Calibration(BaseModel):
    """Expected calibration error over bins of about equally many rows (Guo et al. 2017, section 2, ICML).

    `predicted`, `observed` and `rows` are those of the bins. Of many classes, it is about the likeliest one.
    `by_chance` is the error that 95 of 100 models with true probabilities stay below on as many rows; `low` and `high`
    are where `observed` then lies in 95 of 100 (consistency resampling: Broecker and Smith 2007, Weather and
    Forecasting 22).
    """

    model_config = ConfigDict(frozen=True)

    error: float
    by_chance: float = 0.0
    predicted: tuple[float, ...] = ()
    observed: tuple[float, ...] = ()
    rows: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def calibration(y: np.ndarray, p: np.ndarray, seed: int = 0) -> Calibration:
    """Measure the calibration of probabilities p, [n_rows] or [n_rows, n_classes], against labels y [n_rows]."""
    happened, confidence = (y.astype(float), p) if p.ndim == 1 else ((most_likely(p) == y).astype(float), p.max(axis=1))
    confidence = np.clip(confidence, 0.0, 1.0)
    codes = _bins(confidence)
    bins = Groups(codes, int(codes.max()) + 1)
    rows = bins.sums(np.ones(len(y)))
    predicted, observed = bins.sums(confidence) / rows, bins.sums(happened) / rows
    rng = np.random.default_rng(seed)
    simulated = np.array([bins.sums((rng.random(len(y)) < confidence).astype(float)) / rows for _ in range(SIMULATED)])
    low, high = np.quantile(simulated, [0.025, 0.975], axis=0)
    return Calibration(
        error=float(_error(predicted, observed, rows)),
        by_chance=float(np.quantile(_error(predicted, simulated, rows), 0.95)),
        predicted=tuple(predicted.tolist()),
        observed=tuple(observed.tolist()),
        rows=tuple(rows.astype(int).tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )


def _error(predicted: np.ndarray, observed: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.asarray((np.abs(predicted - observed) * rows).sum(axis=-1) / rows.sum())


def _bins(confidence: np.ndarray) -> np.ndarray:
    """Return the bin of each row; bins have about equally many rows, and equal probabilities share one."""
    count = int(np.clip(len(confidence) // ROWS_OF_A_BIN, 1, BINS))
    edges = np.unique(np.quantile(confidence, np.arange(1, count) / count, method="inverted_cdf"))
    codes = np.searchsorted(edges, confidence, side="left")
    return np.unique(codes, return_inverse=True)[1]
