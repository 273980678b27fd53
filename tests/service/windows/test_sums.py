from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.windows.sums import LIMIT, Sums

VALUES = st.lists(st.integers(-LIMIT + 1, LIMIT - 1) | st.sampled_from([LIMIT - 1, 1 - LIMIT, 0, -1]), max_size=30)


def summed(values: list[int], *, squared: bool) -> Sums:
    return Sums.empty().continue_from(0, np.array(values, np.int64), squared=squared)


@pytest.mark.parametrize("squared", [False, True])
@given(head=VALUES, tail=VALUES, more=VALUES)
def test_sums_are_exact_however_they_were_made(
    squared: bool, head: list[int], tail: list[int], more: list[int]
) -> None:
    at = len(head) // 2
    sums = summed(head, squared=squared).continue_from(at, np.array(tail, np.int64), squared=squared)
    values = head[:at] + tail
    part = sums.part(at, len(values)).continue_from(len(tail), np.array(more, np.int64), squared=squared)

    exact = list(accumulate((v * v if squared else v for v in values + more), initial=0))
    for stop in range(len(values) + 1):
        assert sums.between(0, stop) == exact[stop]
        assert sums.between(stop // 2, stop) == exact[stop] - exact[stop // 2]
    for stop in range(len(tail + more) + 1):
        assert part.between(0, stop) == exact[at + stop] - exact[at]


@pytest.mark.slow
@pytest.mark.parametrize("largest", [LIMIT - 1, 1 - LIMIT])
def test_sums_beyond_64_bits_are_exact(largest: int) -> None:
    count = 2**22 + 1

    assert summed([largest] * count, squared=False).between(0, count) == largest * count
    assert summed([largest] * count, squared=True).between(1, count) == largest**2 * (count - 1)


def test_sums_that_fit_64_bits_take_no_more() -> None:
    assert summed([-3, 5], squared=False).high is None
    assert summed([LIMIT - 1], squared=True).high is not None


@pytest.mark.parametrize("squared", [False, True])
@given(head=VALUES, tail=VALUES)
def test_one_value_more_is_added_exactly(squared: bool, head: list[int], tail: list[int]) -> None:
    sums = before = summed(head, squared=squared)
    for at, value in enumerate(tail, start=len(head)):
        sums = sums.append(at, value * value if squared else value)

    exact = list(accumulate((v * v if squared else v for v in head + tail), initial=0))
    assert [sums.between(0, stop) for stop in range(len(exact))] == exact
    assert [before.between(0, stop) for stop in range(len(head) + 1)] == exact[: len(head) + 1]
