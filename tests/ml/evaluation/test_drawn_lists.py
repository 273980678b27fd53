"""Lists that are drawn are as long as those of the slice, and each is a part of one group."""

import numpy as np

from ml.evaluation.drawn_lists import DrawnLists

GROUPS = np.repeat([7, 3, 9, 5], [4, 1, 6, 2])


def test_lists_are_parts_of_groups_and_as_long_as_those_of_the_slice() -> None:
    rows, numbers = DrawnLists(GROUPS, seed=0).like(np.array([9, 9, 9, 5, 7, 7]), 3, seed=1)

    lists = [rows[numbers == number] for number in range(numbers.max() + 1)]
    assert sorted(map(len, lists)) == sorted([3, 1, 2] * 3)
    for positions in lists:
        assert len(set(positions)) == len(positions)
        assert len(set(GROUPS[positions])) == 1


def test_each_row_of_the_groups_that_are_large_enough_is_drawn_as_often() -> None:
    drawn = np.zeros(len(GROUPS))
    for seed in range(300):
        rows, _ = DrawnLists(GROUPS, seed).like(np.repeat(np.arange(50), 4), 4, seed)
        drawn += np.bincount(rows, minlength=len(GROUPS))

    of_groups = {group: drawn[group == GROUPS] / drawn.sum() for group in np.unique(GROUPS)}
    assert (of_groups[3] == 0).all()
    assert (of_groups[5] == 0).all()
    assert np.abs(of_groups[7] - 1 / 8).max() < 0.01
    assert np.abs(of_groups[9] - 1 / 12).max() < 0.01
