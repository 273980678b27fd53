"""The search for a sum of few columns, with constant factors, that is a target up to rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEARCHED = 2_000  # rows in which it is searched for, or four for each column
LEAST = 30  # rows that it must hold in, and ten for each of its columns
HOLDS = 0.95  # of the rows in which its columns have values, at least
MOST = 64  # columns of a sum
CORE = 0.75  # of the rows, those nearest to a sum, are what it is fitted to: others may have gaps or corrections
STEPS = 10  # fits, each to the core of the one before
NEARER = 0.95  # of the distance before, or no further fit comes nearer
NOISE = 1e-7  # of a number of 32 bits


@dataclass(frozen=True)
class Sum:
    """A sum: the places of its columns, their factors, what is added, and in how many of the rows it holds."""

    places: np.ndarray
    factors: np.ndarray
    added: float
    holds: int
    rows: int


@dataclass(frozen=True)
class _Rows:
    """Rows with columns X [n_rows, n_columns] around 0 with spread 1, NaN for no value, and what y may be off by.

    `noise` is that of each column in its spread; `most` is what y may be off by in any case.
    """

    X: np.ndarray
    y: np.ndarray
    allowed: np.ndarray
    noise: np.ndarray
    most: float

    def at(self, rows: np.ndarray) -> _Rows:
        return _Rows(self.X[rows], self.y[rows], self.allowed[rows], self.noise, self.most)

    def complete(self, places: np.ndarray) -> _Rows:
        return self.at(~np.isnan(self.X[:, places]).any(axis=1))

    def filled(self) -> _Rows:
        return _Rows(np.nan_to_num(self.X), self.y, self.allowed, self.noise, self.most)

    def fit(self, places: np.ndarray) -> np.ndarray:
        """Return the factors of some columns, and last what is added, by least squares."""
        known = np.column_stack([self.X[:, places], np.ones(len(self.y))])
        factors: np.ndarray = np.linalg.lstsq(known, self.y, rcond=None)[0]
        return factors

    def off(self, places: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """Return by how much a sum is off in each row, as a share of what it may be."""
        noise = float(np.abs(factors[:-1]) @ self.noise[places])
        wrong = np.abs(self.y - self.X[:, places] @ factors[:-1] - factors[-1])
        share: np.ndarray = wrong / np.minimum(self.allowed + noise, self.most)
        return share


def find_sum(X: np.ndarray, y: np.ndarray, allowed: np.ndarray, most: float) -> Sum | None:
    """Return a sum of some columns of X [n_rows, n_columns] that is y [n_rows], of as few as can be; None for none.

    It may be off by `allowed` [n_rows], and by the noise of columns of 32 bits, but never by more than `most`. X has
    NaN where there is no value; such rows, and a few others, may say something else.
    """
    usable = np.array([place for place, column in enumerate(X.T) if _varies(column)], dtype=int)
    if len(usable) == 0 or len(y) < LEAST or not _varies(y):
        return None
    X = X[:, usable]
    centre, scale = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    noise = NOISE * (np.abs(centre) / scale + 1)
    rows = _Rows((X - centre) / scale, y, allowed, noise, most)
    few = _few(_searched(rows))
    if few is None:
        return None
    tried = rows.complete(few)
    factors = _factors(tried, few)
    if factors is None:
        return None
    raw = factors[:-1] / scale[few]
    return Sum(
        usable[few],
        raw,
        float(factors[-1] - raw @ centre[few]),
        int((tried.off(few, factors) <= 1).sum()),
        len(tried.y),
    )


def _varies(column: np.ndarray) -> bool:
    values = column[~np.isnan(column)]
    if len(values) < 2:
        return False
    spread = np.std(values)
    return bool(np.isfinite(spread) and spread > 1e-12 * np.abs(values).max())


def _searched(rows: _Rows) -> _Rows:
    """Return some of the rows: those in which every column has a value, if they are enough; else with the means."""
    columns = rows.X.shape[1]
    some = rows.at(np.arange(min(len(rows.y), max(SEARCHED, 4 * columns))))
    complete = some.complete(np.arange(columns))
    return complete if len(complete.y) >= max(2 * LEAST, 4 * columns) else some.filled()


def _few(rows: _Rows) -> np.ndarray | None:
    """Return the columns of a sum that is y in the core of the rows, as few as can be; None if there is none."""
    places = _likely(rows)
    core = _core(rows, places)
    if core is None:
        return None
    order = places[np.argsort(-np.abs(core.fit(places)[:-1]), kind="stable")]
    size = 1
    while not _is_exact(core, order[:size]):
        if size >= min(MOST, len(order)):
            return None
        size *= 2
    few = order[:size]
    for place in few[::-1]:
        fewer = few[few != place]
        if len(fewer) and _is_exact(core, fewer):
            few = fewer
    return np.sort(few)


def _likely(rows: _Rows) -> np.ndarray:
    """Return the columns that go with y most: all, or half as many as there are rows."""
    labels = rows.y - rows.y.mean()
    strength = np.abs(rows.X.T @ labels)
    return np.sort(np.argsort(-strength, kind="stable")[: len(labels) // 2])


def _core(rows: _Rows, places: np.ndarray) -> _Rows | None:
    """Return the rows in which a sum of all columns is y, at least a `CORE` of them; None if there is no such sum.

    Each fit is made to the rows that were nearest to the one before (Rousseeuw and Van Driessen 2006, Computing LTS
    regression for large data sets).
    """
    core, before = rows, np.inf
    for _ in range(STEPS):
        off = rows.off(places, core.fit(places))
        farthest = float(np.quantile(off, CORE))
        core = rows.at(off <= farthest)
        if _is_exact(core, places):
            return core
        if farthest > NEARER * before:
            return None
        before = farthest
    return None


def _is_exact(rows: _Rows, places: np.ndarray) -> bool:
    return bool((rows.off(places, rows.fit(places)) <= 1).all())


def _factors(rows: _Rows, places: np.ndarray) -> np.ndarray | None:
    """Return the factors of a sum, and what is added; None if it does not hold in enough rows."""
    least = max(LEAST, 10 * (len(places) + 1))
    core = _core(rows, places) if len(rows.y) >= least else None
    if core is None:
        return None
    factors = core.fit(places)
    holds = int((rows.off(places, factors) <= 1).sum())
    return factors if holds >= max(least, HOLDS * len(rows.y)) else None
