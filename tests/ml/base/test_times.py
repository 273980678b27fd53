"""Times become the microseconds that they are, over the whole range, whatever their unit and zone."""

import datetime as dt

import pyarrow as pa
import pytest

from ml.base.times import microseconds


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_units_and_zones_make_no_difference(unit: str, zone: str | None) -> None:
    column = pa.chunked_array([pa.array([-1, None, 2], pa.timestamp("s")).cast(pa.timestamp(unit, zone))])

    assert microseconds(column).tolist() == [-1_000_000, 0, 2_000_000]


@pytest.mark.parametrize("year", [1, 1677, 2262, 9999])
def test_no_year_wraps(year: int) -> None:
    moment = dt.datetime(year, 12, 31, 23, 59, 59, 999999)

    assert microseconds(pa.chunked_array([[moment]])).tolist() == [
        (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
    ]
