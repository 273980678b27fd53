"""The search for a sum of few columns, with constant factors, that is a target up to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

SEARCHED = 2_000  # rows in which it is searched for, or four for each column
TELLING = 5  # rows, and two for each column, in which y is not its most frequent value: a constant holds in others
LEAST = 30  # rows that it must hold in, and ten for each of its columns
HOLDS = 0.95  # of the rows in which its columns have values, at least
MOST = 64  # columns of a sum
CORE = 0.75  # of the rows, those nearest to a sum, are what it is fitted to: others may have gaps or corrections
STEPS = 10  # fits, each to the core of the one before
NEARER = 0.95  # of the distance before, or no further fit comes nearer
EVEN = 9  # digits in which factors of copies are equal
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

    In rows that are `telling` y is not its most frequent value. `noise` is that of each column in its spread; `most` is
    what y may be off by in any case.
    """

    X: np.ndarray
    y: np.ndarray
    telling: np.ndarray
    allowed: np.ndarray
    noise: np.ndarray
    most: float

    def at(self, rows: np.ndarray) -> _Rows:
        return _Rows(self.X[rows], self.y[rows], self.telling[rows], self.allowed[rows], self.noise, self.most)

    def complete(self, places: np.ndarray) -> _Rows:
        return self.at(~np.isnan(self.X[:, places]).any(axis=1))

    def filled(self) -> _Rows:
        return replace(self, X=np.nan_to_num(self.X))

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
    rows = _Rows((X - centre) / scale, y, _telling(y), allowed, noise, most)
    found = _few(rows.at(_balanced(rows.telling)))
    if found is None:
        return None
    few, factors = found
    tried = rows.complete(few)
    holds = tried.off(few, factors) <= 1
    if not _suffices(holds, tried.telling, len(few)):
        return None
    raw = factors[:-1] / scale[few]
    return Sum(usable[few], raw, float(factors[-1] - raw @ centre[few]), int(holds.sum()), len(holds))


def _telling(y: np.ndarray) -> np.ndarray:
    """Return in which rows y is not its most frequent value, [n_rows] of booleans."""
    _, numbers = np.unique(y, return_inverse=True)
    telling: np.ndarray = numbers != np.bincount(numbers).argmax()
    return telling


def _balanced(telling: np.ndarray) -> np.ndarray:
    """Return the places of the telling rows and of at most as many others, but of a few in any case."""
    others = np.flatnonzero(~telling)[: max(int(telling.sum()), 4 * LEAST - int(telling.sum()))]
    return np.sort(np.concatenate([np.flatnonzero(telling), others]))


def _suffices(holds: np.ndarray, telling: np.ndarray, columns: int) -> bool:
    """Return whether a sum of so many columns holds in enough rows, and in enough of the telling ones."""
    return bool(
        holds.sum() >= max(LEAST, 10 * (columns + 1), HOLDS * len(holds))
        and holds[telling].sum() >= max(TELLING, 2 * columns, HOLDS * telling.sum())
    )


def _varies(column: np.ndarray) -> bool:
    values = column[~np.isnan(column)]
    if len(values) < 2:
        return False
    spread = np.std(values)
    return bool(np.isfinite(spread) and spread > 1e-12 * np.abs(values).max())


def _searched(rows: _Rows) -> _Rows:
    """Return the rows in which every column has a value, if they are enough; else all, with the means."""
    columns = rows.X.shape[1]
    complete = rows.complete(np.arange(columns))
    return complete if len(complete.y) >= max(2 * LEAST, 4 * columns) else rows.filled()


def _few(rows: _Rows) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the columns of a sum that is y, as few as can be, and its factors; None if there is none.

    Columns are tried in the order of their factors in the sum of all, which rows that say something else, or are filled
    with means, blur but do not turn round; each few of them on the rows in which these have values.
    """
    some = rows.at(np.arange(min(len(rows.y), max(SEARCHED, 4 * rows.X.shape[1]))))
    searched = _searched(some)
    places = _likely(searched)
    nearest = _core(searched, places) or searched
    sizes = np.abs(nearest.fit(places)[:-1])
    rounded = np.round(sizes / sizes.max(), EVEN)  # so that the first of equal ones comes first
    order = places[np.argsort(-rounded, kind="stable")]
    for few in _first_ones(order):
        known = some.complete(few)
        core = _core(known, few) if len(known.y) >= max(LEAST, 2 * len(few)) else None
        if core is not None:
            fewest = np.sort(_without_needless(core, few))
            if (factors := _factors(rows.complete(fewest), fewest)) is not None:
                return fewest, factors
    return None


def _first_ones(order: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the first column, the first two, four and so on, up to `MOST` or all."""
    size = 1
    while size < min(MOST, len(order)):
        yield order[:size]
        size *= 2
    yield order[: min(MOST, len(order))]


def _without_needless(core: _Rows, few: np.ndarray) -> np.ndarray:
    """Return the columns of a sum without those that it does not need."""
    for place in few[::-1]:
        fewer = few[few != place]
        if len(fewer) and _is_exact(core, fewer):
            few = fewer
    return few


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
    if _is_exact(rows, places):
        return rows
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
    core = _core(rows, places) if len(rows.y) >= LEAST else None
    if core is None:
        return None
    factors = core.fit(places)
    return factors if _suffices(rows.off(places, factors) <= 1, rows.telling, len(places)) else None
