"""Associations of columns: how much two of them tell of each other, whatever they hold."""

import numpy as np
import pandas as pd

from ml.profile.columns import Column
from ml.profile.distribution import most_frequent
from ml.profile.record import Pair

LEAST = 30  # rows in which both columns have a value
TEXTS = 20  # of a column, the most frequent ones; all others are one
SPEARMAN, RATIO, CRAMER = "Spearman's correlation", "correlation ratio of ranks", "Cramér's V"


class Associations:
    """The associations of some columns over some rows: Spearman's correlation of two numbers, the correlation ratio of
    a text and the ranks of a number, and Cramér's V of two texts. NaN where fewer than LEAST rows have both values."""

    def __init__(self, columns: list[Column], rows: np.ndarray) -> None:
        self.names = [column.name for column in columns]
        self.texts = {place: _codes(column, rows) for place, column in enumerate(columns) if column.is_text}
        numbers = [place for place, column in enumerate(columns) if not column.is_text]
        self.matrix = np.full((len(columns), len(columns)), np.nan)
        ranks = np.array([_ranks(columns[place].values[rows]) for place in numbers]).reshape(len(numbers), len(rows))
        if numbers:
            self.matrix[np.ix_(numbers, numbers)] = spearman(ranks)
        for place, codes in self.texts.items():
            for at, of_number in zip(numbers, ranks, strict=True):
                self._set(place, at, correlation_ratio(codes, of_number))
            for other, codes_too in self.texts.items():
                if place <= other:
                    self._set(place, other, cramers_v(codes, codes_too))

    def _set(self, one: int, other: int, value: float) -> None:
        self.matrix[one, other] = self.matrix[other, one] = value

    def measure(self, one: int, other: int) -> str:
        """Return the name of the measure of two columns, by their places."""
        return (SPEARMAN, RATIO, CRAMER)[(one in self.texts) + (other in self.texts)]

    def pairs(self, least: float) -> list[Pair]:
        """Return the pairs with an association of at least so much, the closest first."""
        size = np.abs(np.nan_to_num(np.triu(self.matrix, 1)))
        pairs = [
            Pair(
                one=self.names[one],
                other=self.names[other],
                association=float(self.matrix[one, other]),
                measure=self.measure(one, other),
            )
            for one, other in np.argwhere(size >= least).tolist()
        ]
        return sorted(pairs, key=lambda pair: (-round(abs(pair.association), 12), pair.one, pair.other))


def in_blocks(matrix: np.ndarray) -> np.ndarray:
    """Return an order of columns in which those that tell of each other are neighbours (average linkage)."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(matrix) < 3:
        return np.arange(len(matrix))
    apart = 1 - np.abs(np.nan_to_num((matrix + matrix.T) / 2))
    np.fill_diagonal(apart, 0)
    order: np.ndarray = leaves_list(linkage(squareform(np.clip(apart, 0, 1), checks=False), "average"))
    return order


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return twice the rank of each value, which is whole also where values are equal; NaN of a missing one."""
    doubled: np.ndarray = 2 * pd.Series(values).rank().to_numpy()
    return doubled


def _codes(column: Column, rows: np.ndarray) -> np.ndarray:
    """Return the texts of some rows as codes, all but the most frequent ones being one; -1 is missing."""
    place = np.full(len(column.labels) + 1, TEXTS)
    first = most_frequent(column, rows, TEXTS)
    place[first], place[-1] = np.arange(len(first)), -1
    codes: np.ndarray = place[column.values[rows]]
    return codes


def spearman(ranks: np.ndarray) -> np.ndarray:
    """Return the correlations of doubled ranks [n_columns, n_rows], each over the rows that have both.

    All sums are of whole numbers that a double holds, so that no order of adding them up decides a digit.
    """
    there = (~np.isnan(ranks)).astype(np.float64)
    filled = np.nan_to_num(ranks)
    rows, both = there @ there.T, filled @ filled.T
    sums, squares = filled @ there.T, (filled**2) @ there.T  # of the first, over the rows that have both
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = rows * both - sums * sums.T
        spread = rows * squares - sums**2
        correlation: np.ndarray = np.clip(covariance / np.sqrt(spread * spread.T), -1, 1)
    correlation[(rows < LEAST) | (spread <= 0) | (spread.T <= 0)] = np.nan
    return correlation


def correlation_ratio(codes: np.ndarray, numbers: np.ndarray) -> float:
    """Return how much codes tell of numbers: the root of the share of their variance that lies between the codes."""
    there = (codes >= 0) & ~np.isnan(numbers)
    codes, numbers = codes[there], numbers[there]
    if len(codes) < LEAST or (numbers == numbers[0]).all() or (codes == codes[0]).all():
        return float("nan")
    rows, middle = np.bincount(codes), numbers.mean()
    means = np.bincount(codes, weights=numbers - middle) / np.maximum(rows, 1)
    return float(np.sqrt(min(1.0, (rows * means**2).sum() / ((numbers - middle) ** 2).sum())))


def cramers_v(one: np.ndarray, other: np.ndarray) -> float:
    """Return Cramér's V of two columns of codes."""
    from scipy.stats.contingency import association

    there = (one >= 0) & (other >= 0)
    (_, one), (_, other) = (np.unique(codes[there], return_inverse=True) for codes in (one, other))
    size = (int(one.max(initial=0)) + 1, int(other.max(initial=0)) + 1)
    if there.sum() < LEAST or min(size) < 2:
        return float("nan")
    table = np.bincount(one * size[1] + other, minlength=size[0] * size[1]).reshape(size)
    return float(association(table, method="cramer"))
