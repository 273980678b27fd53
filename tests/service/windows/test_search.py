from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.windows.search import Search
from service.windows.series import Series

TIMES = st.integers(-(10**15), 10**15) | st.integers(-3, 3)


def series_of(times: list[list[int]]) -> tuple[Series, list[tuple[int, int]]]:
    """Return a series in which the times of each key follow those of another, and their ranges."""
    bounds = np.cumsum([0, *map(len, times)]).tolist()
    line = np.array([time for of_key in times for time in sorted(of_key)], np.int64)
    empty = Series.empty({})
    return empty.continue_from(0, line, [], {}), list(pairwise(bounds))


@given(st.lists(st.lists(TIMES, min_size=1, max_size=6), min_size=1, max_size=5), st.lists(TIMES, min_size=1))
def test_cutoffs_are_found_as_by_bisection_of_each_key(times: list[list[int]], cutoffs: list[int]) -> None:
    series, spans = series_of(times)
    search = Search.of(series, spans)
    assert search is not None
    firsts = np.array([[first] for first, _ in spans])

    for after, bisect in [(False, bisect_left), (True, bisect_right)]:
        positions = search.positions(firsts, np.array(cutoffs), after=after)
        expected = [[bisect(series.times, cutoff, *span) for cutoff in cutoffs] for span in spans]
        assert positions.tolist() == expected


def test_no_line_is_made_of_no_events_and_of_what_outgrows_64_bits() -> None:
    assert Search.of(Series.empty({}), []) is None
    assert Search.of(*series_of([[-(2**60), 2**60], [0], [1]])) is None
