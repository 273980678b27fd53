"""Metrics of the order within groups: that which predictions give to the rows of a query, a user or a day.

Each is the mean over groups, of which one counts by the mean weight of its rows, as in LightGBM. Rows of a group that
are predicted alike have each order among themselves equally often: the value is the mean over these orders (McSherry
and Najork 2008, Computing information retrieval performance measures efficiently in the presence of tied scores, ECIR).
So it is no matter how rows are sorted, and what answers every row alike is worth as much as chance.

A row is relevant if its label is above 0, as whole grades are in trec_eval and ranx. Groups of one row and groups
without a relevant row are left out, for no order of their rows is better than another: of the first, scikit-learn's
`ndcg_score` says that too, and raises; of the second, gain and average precision are 0 of 0, which scikit-learn, ranx
and trec_eval count as 0 and LightGBM as 1, to every model alike. A group of rows that are all equally relevant is worth
the same to every model too, and counts, as in all of these; where there is no other, the metric says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from ml.tasks.weighted import Groups, Weighted, ratio

PrepareGroups = Callable[[np.ndarray, np.ndarray, np.ndarray], Weighted]


class _Lists:
    """Rows of labels y, predictions p and group numbers [n_rows], sorted into the list of each group.

    `place` is that in the list, from 0 on; `begin` and `size` are of the rows that are predicted alike.
    """

    def __init__(self, y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> None:
        _, self.codes = np.unique(groups, return_inverse=True)
        order = np.lexsort((-p, self.codes))
        self.y, self.group = y[order].astype(np.float64), self.codes[order]
        self.sizes = np.bincount(self.codes)
        starts = np.cumsum(self.sizes) - self.sizes
        self.place = np.arange(len(y)) - starts[self.group]
        changes = np.diff(p[order], prepend=np.nan) != 0
        first = np.flatnonzero(changes | (self.place == 0))
        self.tie = np.cumsum(changes | (self.place == 0)) - 1
        self.begin, self.size = self.place[first][self.tie], np.diff(first, append=len(y))[self.tie]
        self.relevant = (self.y > 0).astype(np.float64)
        self.relevant_rows = self.of_groups(self.relevant)

    def of_groups(self, values: np.ndarray) -> np.ndarray:
        """Add up the values of sorted rows in each group, [n_groups]."""
        sums: np.ndarray = np.bincount(self.group, values, minlength=len(self.sizes))
        return sums

    def of_ties(self, values: np.ndarray) -> np.ndarray:
        """Add up the values of sorted rows over those that are predicted alike, [n_rows]."""
        sums: np.ndarray = np.bincount(self.tie, values)[self.tie]
        return sums

    @cached_property
    def tied(self) -> np.ndarray:
        """The relevant rows among those that are predicted alike, [n_rows]."""
        return self.of_ties(self.relevant)

    @cached_property
    def before(self) -> np.ndarray:
        """The relevant rows of the group that are predicted higher, [n_rows]."""
        above = np.cumsum(self.relevant) - self.relevant  # in all lists up to here
        of_tie = above[np.flatnonzero(np.diff(self.tie, prepend=-1))][self.tie]
        earlier: np.ndarray = of_tie - (np.cumsum(self.relevant_rows) - self.relevant_rows)[self.group]
        return earlier

    @property
    def telling(self) -> np.ndarray:
        """The groups of which some order is better than another, [n_groups] of booleans."""
        some: np.ndarray = (self.sizes > 1) & (self.relevant_rows > 0)
        return some

    def mean(self, values: np.ndarray) -> Weighted:
        """Return the mean of values of groups [n_groups] as a function of the weights of the rows, as they came."""
        rows, counted = Groups(self.codes, len(self.sizes)), self.telling
        of_counted = values[counted]

        def weighted(weights: np.ndarray) -> np.ndarray:
            of_groups = (rows.sums(weights) / self.sizes)[..., counted]
            return ratio((of_groups * of_counted).sum(axis=-1), of_groups.sum(axis=-1))

        return weighted


def ndcg(k: int) -> PrepareGroups:
    """Return the discounted gain of the first `k` rows, as a share of what the best order has.

    Jaervelin and Kekaelaeinen 2002, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20: the gain is the
    label, the discount the binary logarithm of one more than the place, as in scikit-learn's `ndcg_score`.
    """

    def prepare(y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> Weighted:
        reached, best = _Lists(y, p, groups), _Lists(y, y, groups)
        discount = np.where(reached.place < k, 1 / np.log2(reached.place + 2.0), 0.0)
        gains = reached.of_groups(reached.of_ties(reached.y) / reached.size * discount)
        return reached.mean(_share(gains, best.of_groups(best.y * discount)))

    return prepare


def mean_average_precision(k: int) -> PrepareGroups:
    """Return the precision at each relevant row among the first `k`, added up and divided by all relevant rows.

    As `map_cut` of trec_eval and `map@k` of ranx: a group of more than `k` relevant rows does not reach 1. (LightGBM
    and XGBoost divide by `k` there.)
    """

    def prepare(y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> Weighted:
        lists = _Lists(y, p, groups)
        likely = lists.tied / lists.size
        others = (lists.place - lists.begin) * (lists.tied - 1) / np.maximum(lists.size - 1, 1)
        precision = likely * (lists.before + 1 + others) / (lists.place + 1)
        return lists.mean(_share(lists.of_groups(np.where(lists.place < k, precision, 0.0)), lists.relevant_rows))

    return prepare


def mean_reciprocal_rank(k: int) -> PrepareGroups:
    """Return one over the place of the first relevant row, 0 where it is not among the first `k`."""

    def prepare(y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> Weighted:
        from scipy.special import gammaln

        lists = _Lists(y, p, groups)
        left = lists.size - (lists.place - lists.begin)  # of those predicted alike, from here on
        may_be_first = (lists.before == 0) & (lists.place < k) & (lists.tied > 0) & (left >= lists.tied)
        n, r = lists.size, lists.tied
        with np.errstate(all="ignore"):  # of rows that cannot be the first
            none_yet = gammaln(left + 1) - gammaln(left - r + 1) - gammaln(n + 1) + gammaln(n - r + 1)
            chance = np.exp(none_yet) * r / left
        return lists.mean(lists.of_groups(np.where(may_be_first, chance, 0.0) / (lists.place + 1)))

    return prepare


def mean_precision(k: int) -> PrepareGroups:
    """Return the share of relevant rows among the first `k`, as `P` of trec_eval: of fewer rows it stays below 1."""

    def prepare(y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> Weighted:
        lists = _Lists(y, p, groups)
        return lists.mean(lists.of_groups(np.where(lists.place < k, lists.tied / lists.size, 0.0)) / k)

    return prepare


def nothing_to_order(y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> str | None:
    """Say that no order is better than another where no group has a row that is relevant and one that is not."""
    relevance = (y > 0).astype(np.float64)
    lists = _Lists(relevance, relevance, groups)
    return None if lists.begin.any() else f"none of {len(lists.sizes)} groups has a row that is relevant and another"


def nothing_to_gain(y: np.ndarray, p: np.ndarray, groups: np.ndarray) -> str | None:
    """Say that a number below 0 is no gain, or that no order is better than another where no group has two gains."""
    if wrong := int((y < 0).sum()):
        return f"{wrong} of {len(y)} true numbers are below 0, which is no relevance"
    lists = _Lists(y, y, groups)
    return None if lists.begin.any() else f"none of {len(lists.sizes)} groups has rows of different relevance"


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)
    return shares
