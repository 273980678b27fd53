"""Shapley values of any model, sampled: players take their values of a row one after the other, in random orders.

Each row of the background gets an order and its reverse (Castro, Gomez and Tejada 2009, Polynomial calculation of the
Shapley value based on sampling, Computers & Operations Research 36). What the players of one order add is exactly what
lies between the two answers, so that the mean over orders adds up, too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from service.records.deadline import check_time

MOST_ANSWERS = 40_000  # for one explanation: of many features fewer rows of the background are gone through
FEWEST_ROWS = 5
MOST_CELLS = 1_000_000  # of the rows that are answered at once
Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Answer = Callable[[Matrix], Floats]  # of encoded rows, [n_rows]
Walk = tuple[NDArray[np.int64], Matrix, float]  # the players in their order, the rows between, the first one's answer


def rows_for(players: int, rows: int) -> int:
    """Return how many rows of a background of so many are gone through for so many players."""
    return min(rows, max(FEWEST_ROWS, MOST_ANSWERS // (2 * max(players, 1))))


def shapley(
    answer: Answer,
    x: Matrix,
    score: float,
    background: Matrix,
    scores: Floats,
    players: NDArray[np.int64],
    deadline: float | None = None,
) -> Floats:
    """Return what each player adds to the `score` of a row x [n_columns] beyond those of the background, [players].

    Raises OutOfTimeError once the deadline is over.
    """
    random, count = np.random.default_rng(0), int(players.max(initial=-1)) + 1
    total, together = np.zeros(count), max(1, MOST_CELLS // (2 * len(x) * max(count, 1)))
    for begin in range(0, len(background), together):
        check_time(deadline)
        walks = list[Walk]()
        part = slice(begin, begin + together)
        for row, at_first in zip(background[part], scores[part].tolist(), strict=True):
            unlike = ~((x == row) | (np.isnan(x) & np.isnan(row)))
            order = random.permutation(np.unique(players[unlike]))
            walks += [(turn, _steps(x, row, players, turn), at_first) for turn in (order, order[::-1])]
        _add(total, answer, walks, score)
    return total / (2 * len(background))


def _steps(x: Matrix, row: Matrix, players: NDArray[np.int64], order: NDArray[np.int64]) -> Matrix:
    """Return the rows between two: after each player but the last has taken its values of x."""
    turn = np.full(int(players.max(initial=-1)) + 1, len(order))
    turn[order] = np.arange(len(order))
    taken = turn[players][None] <= np.arange(max(len(order) - 1, 0))[:, None]
    return np.where(taken, x, row)


def _add(total: Floats, answer: Answer, walks: list[Walk], score: float) -> None:
    """Add what the players of some walks add, whose steps are answered together."""
    steps = [rows for _, rows, _ in walks]
    answers = answer(np.concatenate(steps)) if any(map(len, steps)) else np.empty(0)
    ends = np.cumsum([len(rows) for rows in steps])[:-1]
    for (order, _, at_first), between in zip(walks, np.split(answers, ends), strict=True):
        if len(order):
            total[order] += np.diff([at_first, *between, score])
