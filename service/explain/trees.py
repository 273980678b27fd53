"""Shapley values of sums of trees, exactly: against rows that stand in for what is unknown of a feature.

The game of a row x and a row z of the background: a player of a coalition has the values of x, any other those of z. A
leaf counts in a coalition that holds all players whose values lead x alone to it, p of them, and none of those that
lead z alone to it, q of them; its number is shared among them in the closed form of such a game (Lundberg et al. 2020,
From local explanations to global understanding with explainable AI for trees, Nature Machine Intelligence 2, algorithm
3). Only the leaves that some coalition reaches are visited, of all trees and all rows of the background at once.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.explain.document import Trees, unpack
from service.records.deadline import check_time

MOST_PATHS = 200_000  # that are followed at once: memory has a bound
Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]


class GrownTrees:
    """Trees over encoded rows; `players` has the player that each encoded column belongs to."""

    def __init__(self, trees: Trees, players: NDArray[np.int64]) -> None:
        self._scale = trees.scale
        self._roots, self._feature, self._group, self._yes, self._no = (
            unpack(content, np.int32) for content in (trees.roots, trees.feature, trees.group, trees.yes, trees.no)
        )
        self._at, self._missing = unpack(trees.at, np.float32), unpack(trees.missing, np.bool_)
        self._weights = unpack(trees.weights, np.float32).reshape(-1, trees.width)
        self._first = unpack(trees.first, np.int32)
        self._sets = unpack(trees.sets, np.uint8).reshape(-1, trees.set_bytes)
        self._player = players[self._feature]
        self._leaf = self._feature < 0
        self._outputs: dict[int, tuple[NDArray[np.int32], Floats]] = {}

    def values(self, X: Matrix, output: int) -> Floats:
        """Return what the trees add to an output, [n_rows]."""
        roots, numbers = self._of(output)
        rows, nodes = np.repeat(np.arange(len(X)), len(roots)), np.tile(roots, len(X))
        while len(moving := np.flatnonzero(~self._leaf[nodes])):
            at = nodes[moving]
            nodes[moving] = np.where(self._goes_yes(X, rows[moving], at), self._yes[at], self._no[at])
        summed: Floats = numbers[self._yes[nodes]].reshape(len(X), len(roots)).sum(axis=1)
        return summed

    def shapley(
        self, x: Matrix, background: Matrix, output: int, players: int, deadline: float | None = None
    ) -> Floats:
        """Return what each player adds to an output for a row x [n_columns], [players].

        Raises OutOfTimeError once the deadline is over.
        """
        roots, numbers = self._of(output)
        X, words = np.concatenate([x[None], background]), -(-players // 64)
        total = np.zeros(players)
        start = np.tile(np.arange(1, len(X), dtype=np.int32), len(roots))
        nobody = np.zeros((len(start), words), np.uint64)
        waiting = [(np.repeat(roots, len(background)), start, nobody, nobody)]
        while waiting:
            check_time(deadline)
            paths = waiting.pop()
            if len(paths[0]) > MOST_PATHS:
                waiting += zip(*(np.array_split(part, 2) for part in paths), strict=True)
                continue
            ended = self._leaf[paths[0]]
            leaves, _, with_x, with_z = _taken(paths, np.flatnonzero(ended))
            _share(total, numbers[self._yes[leaves]], with_x, with_z)
            if not ended.all():
                waiting.append(self._further(X, _taken(paths, np.flatnonzero(~ended))))
        return total / len(background)

    def _further(self, X: Matrix, paths: Paths) -> Paths:
        """Return paths one node on: two of one where a player who is with neither row parts them. It changes them."""
        nodes, rows, with_x, with_z = paths
        x_yes, z_yes = self._goes_yes(X, np.zeros_like(rows), nodes), self._goes_yes(X, rows, nodes)
        after_x, after_z = (np.where(yes, self._yes[nodes], self._no[nodes]) for yes in (x_yes, z_yes))
        parting = np.flatnonzero(x_yes != z_yes)
        player = self._player[nodes[parting]]
        word, bit = player // 64, np.uint64(1) << (player % 64).astype(np.uint64)
        is_with_x, is_with_z = (side[parting, word] & bit > 0 for side in (with_x, with_z))
        following = parting[is_with_z]
        after_x[following] = after_z[following]
        fresh = ~(is_with_x | is_with_z)
        two, word, bit = parting[fresh], word[fresh], bit[fresh]
        other_x, other_z = with_x[two], with_z[two]
        with_x[two, word] |= bit
        other_z[np.arange(len(two)), word] |= bit
        grown = ((after_x, after_z[two]), (rows, rows[two]), (with_x, other_x), (with_z, other_z))
        more, of_rows, of_x, of_z = (np.concatenate(pair) for pair in grown)
        return more, of_rows, of_x, of_z

    def _goes_yes(self, X: Matrix, rows: NDArray[Any], nodes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which rows go to `yes` at nodes that are splits."""
        values = X[rows, self._feature[nodes]]
        yes = values <= self._at[nodes]
        if len(self._sets):
            group = self._group[nodes]
            of_set = np.flatnonzero((group >= 0) & ~np.isnan(values))
            code = values[of_set].astype(np.int64)
            known = code < 8 * self._sets.shape[1]
            code = np.where(known, code, 0)
            yes[of_set] = known & (self._sets[group[of_set], code // 8] >> (code % 8).astype(np.uint8) & 1 > 0)
        return np.where(np.isnan(values), self._missing[nodes], yes)

    def _of(self, output: int) -> tuple[NDArray[np.int32], Floats]:
        """Return the roots of the trees that add to an output, and the number of each leaf."""
        if output not in self._outputs:
            self._outputs[output] = self._adding_to(output)
        return self._outputs[output]

    def _adding_to(self, output: int) -> tuple[NDArray[np.int32], Floats]:
        place = output - self._first
        adds = (place >= 0) & (place < self._weights.shape[1])
        numbers = np.where(adds, self._weights[np.arange(len(place)), np.where(adds, place, 0)], 0) * self._scale
        adding = self._leaf & adds[np.where(self._leaf, self._yes, 0)]
        return self._roots[np.logical_or.reduceat(adding, self._roots)], numbers.astype(np.float64)


Paths = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint64], NDArray[np.uint64]]


def _taken(paths: Paths, which: NDArray[np.int64]) -> Paths:
    nodes, rows, with_x, with_z = paths
    return nodes[which], rows[which], with_x.take(which, axis=0), with_z.take(which, axis=0)


def _share(total: Floats, numbers: Floats, with_x: NDArray[np.uint64], with_z: NDArray[np.uint64]) -> None:
    """Add the shares of leaves with these numbers, which the players of two sets lead to: bits, [n_leaves, words]."""
    p, q = (np.bitwise_count(players).sum(axis=1) for players in (with_x, with_z))
    ways = _ways(int(p.max(initial=0)), int(q.max(initial=0)))[p, q]
    gains, losses = (numbers / (np.maximum(side, 1) * ways) for side in (p, q))
    for word, bits in enumerate(np.bitwise_or.reduce(with_x | with_z, axis=0, initial=np.uint64(0)).tolist()):
        for place in range(bits.bit_length()):
            if bits >> place & 1:
                bit = np.uint64(1 << place)
                gained = gains[with_x[:, word] & bit > 0].sum()
                total[64 * word + place] += gained - losses[with_z[:, word] & bit > 0].sum()


@lru_cache(maxsize=64)
def _ways(most_p: int, most_q: int) -> Floats:
    """Return in how many ways p of p + q can be chosen, for each p and q up to these."""
    return np.array([[comb(p + q, p) for q in range(most_q + 1)] for p in range(most_p + 1)], np.float64)
