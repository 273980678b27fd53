from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.plan.parts import WindowFeature
from service.windows.aggregates import aggregate_of
from service.windows.series import Event, Series, Totals
from service.windows.sums import LIMIT
from service.windows.vectors import vector_of

FEATURES = [
    WindowFeature("f", "lookup", name, None if name in ("count", "time_since_last") else "v", 1.0)
    for name in ("count", "time_since_last", "sum", "mean", "std", "first", "last")
]
VALUES = st.none() | st.integers(-1000, 1000) | st.sampled_from([LIMIT - 1, 1 - LIMIT])


def series_of(values: list[int | None]) -> Series:
    events = [Event(7 * number, f"e{number}", {"v": value}) for number, value in enumerate(values)]
    return Series.empty({"v": Totals(sums=True, squares=True)}).edit([], events)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.aggregation)
@settings(max_examples=60, deadline=None)
@given(values=st.lists(VALUES, max_size=12), scale=st.sampled_from([0, 1, 6, 18]), data=st.data())
def test_ranges_together_have_the_values_of_each_alone(
    feature: WindowFeature, values: list[int | None], scale: int, data: st.DataObject
) -> None:
    series = series_of(values)
    bounds = st.integers(0, len(values))
    stops = data.draw(st.lists(bounds, min_size=1, max_size=5))
    starts = [[data.draw(st.integers(0, stop)) for stop in stops] for _ in range(2)]
    cutoffs = data.draw(st.lists(st.integers(-(2**55), 2**55), min_size=len(stops), max_size=len(stops)))
    vector, aggregate = vector_of(feature, scale), aggregate_of(feature, scale)
    assert vector is not None

    together = vector(series, np.array(starts), np.array(stops), np.array(cutoffs))

    if together is not None:
        alone = [
            [aggregate(series, *asked) for asked in zip(of_window, stops, cutoffs, strict=True)] for of_window in starts
        ]
        np.testing.assert_array_equal(together, np.array(alone), strict=True)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.aggregation)
def test_ordinary_numbers_are_not_left_to_each_alone(feature: WindowFeature) -> None:
    series = series_of([5, None, 7, 9])
    vector = vector_of(feature, 2)
    assert vector is not None

    assert vector(series, np.array([[0, 1]]), np.array([4, 4]), np.array([30, 30])) is not None
