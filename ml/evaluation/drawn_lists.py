"""Lists of as many rows as a slice has of each group, drawn from all rows.

How good the order of a list can be depends on how many rows it has: where a slice cuts one, precision among the first
ten falls with the rows that are left, and NDCG rises, whatever the answers. So the metric of a slice is compared with
that of lists that are as long.
"""

import numpy as np


class DrawnLists:
    """Draws lists from rows by the numbers of their groups [n_rows]."""

    def __init__(self, groups: np.ndarray, seed: int) -> None:
        codes = np.unique(groups, return_inverse=True)[1]
        shuffled = np.random.default_rng(seed).permutation(len(codes))
        self._rows = shuffled[np.argsort(codes[shuffled], kind="stable")]  # group by group, each in a random order
        self._sizes = np.bincount(codes)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._largest_first = np.argsort(-self._sizes, kind="stable")
        self._as_large = np.cumsum(np.bincount(self._sizes)[::-1])[::-1]  # groups of at least so many rows

    def like(self, groups: np.ndarray, repeats: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return positions of rows and the numbers of their lists, `repeats` for each of the groups of a slice's rows.

        Each list is a random part of one of the groups that are as large, each of which is as likely.
        """
        wanted = np.tile(np.unique(groups, return_counts=True)[1], repeats)
        which, where = np.random.default_rng(seed).random((2, len(wanted)))
        chosen = self._largest_first[(which * self._as_large[wanted]).astype(int)]
        begin = (where * self._sizes[chosen]).astype(int)
        numbers = np.repeat(np.arange(len(wanted)), wanted)
        place = np.arange(len(numbers)) - (np.cumsum(wanted) - wanted)[numbers]
        of_list = chosen[numbers]
        return self._rows[self._starts[of_list] + (begin[numbers] + place) % self._sizes[of_list]], numbers
