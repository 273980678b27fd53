from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.plan.parts import CALENDAR
from service.predict.calendar import PARTS, calendar_part
from service.predict.rows import Column
from service.records.reader import to_us

ODD = [dt.datetime.min, dt.datetime.max, dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), dt.datetime(2000, 2, 29)]
YEAR_ENDS = [dt.datetime(year, month, day) for year in range(1995, 2012) for month, day in [(1, 1), (12, 31)]]


@pytest.mark.parametrize("primitive", sorted(CALENDAR))
@given(st.lists(st.datetimes()))
def test_the_parts_of_many_times_are_those_of_each(primitive: str, times: list[dt.datetime]) -> None:
    times = [*times, *ODD, *YEAR_ENDS]

    parts = calendar_part(primitive, Column(np.array([to_us(time) for time in times])))

    assert parts.tolist() == [float(CALENDAR[primitive](time)) for time in times]


def test_there_are_the_same_parts_and_a_missing_time_has_none() -> None:
    assert PARTS.keys() == CALENDAR.keys()

    parts = calendar_part("year", Column(np.array([0, 0]), np.array([True, False])))

    np.testing.assert_array_equal(parts, [np.nan, 1970.0])
