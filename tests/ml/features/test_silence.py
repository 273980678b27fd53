"""How long a silence before a cutoff is usual, for tables of any pace."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.declaration.tables import Table
from ml.features.silence import LEAST_S, sources, usual_silence

START = pd.Timestamp("2024-01-01")
HOUR_S, DAY_S = 3600.0, 86400.0


def us(times: pd.DatetimeIndex) -> np.ndarray:
    return times.as_unit("us").asi8


def spread(start: pd.Timestamp, stop: pd.Timestamp, count: int = 5000) -> pd.Series:
    """Cutoffs at random times."""
    seconds = np.random.default_rng(0).uniform(0, (stop - start).total_seconds(), count)
    return pd.Series(start + pd.to_timedelta(np.sort(seconds), "s"))


@pytest.mark.parametrize(
    ("freq", "periods", "expected"),
    [("h", 500, HOUR_S), ("D", 90, DAY_S), ("MS", 24, 31 * DAY_S), ("10min", 3000, HOUR_S / 6)],
)
def test_twice_the_time_between_two_rows_is_usual_where_they_come_regularly(
    freq: str, periods: int, expected: float
) -> None:
    times = pd.date_range(START, periods=periods, freq=freq)

    usual = usual_silence(us(times), spread(times[0], times[-1]))

    assert usual == pytest.approx(2 * expected, rel=0.01)


def test_cutoffs_at_the_very_times_of_the_rows_are_told_by_what_lies_between_these() -> None:
    midnights = pd.date_range(START, periods=100, freq="D")

    assert usual_silence(us(midnights), pd.Series(midnights)) == 2 * DAY_S


def test_nights_count_and_a_rare_hole_does_not() -> None:
    times = pd.date_range(START, periods=200 * 24 * 6, freq="10min")
    times = times[(times.hour >= 6) & ~((times > "2024-03-01") & (times < "2024-03-04"))]
    cutoffs = spread(times[0], times[-1], 20_000)
    cutoffs = cutoffs[~cutoffs.between("2024-03-01 02:00", "2024-03-04 03:00")]

    usual = usual_silence(us(times), cutoffs)

    assert usual == pytest.approx(2 * 6 * HOUR_S, rel=0.05)


def test_cutoffs_after_the_last_row_tell_nothing() -> None:
    times = pd.date_range(START, periods=100, freq="h")
    later = spread(times[-1] + pd.Timedelta("1h"), times[-1] + pd.Timedelta("90d"))

    assert usual_silence(us(times), pd.concat([spread(times[0], times[-1]), later])) == pytest.approx(7200, rel=0.01)


@pytest.mark.parametrize("periods", [0, 1])
def test_without_two_times_no_silence_is_unusual(periods: int) -> None:
    times = pd.date_range(START, periods=periods, freq="h")

    assert usual_silence(us(times), spread(START, START + pd.Timedelta("9d"))) is None


def test_rows_of_every_second_may_be_minutes_on_their_way() -> None:
    times = pd.date_range(START, periods=10_000, freq="s")

    assert usual_silence(us(times), spread(times[0], times[-1])) == LEAST_S


def described(**declared: Any) -> Any:
    times = pd.date_range(START, periods=240, freq="h")
    table = Table.model_validate({"source": {"path": "x.csv"}, "key": "id", "time": "at", **declared})
    cutoffs = pd.Series([times[100] + pd.Timedelta("5m"), times[200]])
    files = [("weather", "at", "weather.parquet"), ("weather", "at", "weather.rows.parquet")]
    (source,) = sources(
        files, {"weather": pa.table({"at": times})}, {"weather": table}, cutoffs, spread(START, times[-1])
    )
    return source


def test_a_time_of_a_table_is_described_once_with_the_last_row_before_the_first_cutoff() -> None:
    source = described()

    assert (source.table, source.time, source.file) == ("weather", "at", "weather.parquet")
    assert source.before == START + pd.Timedelta("100h")
    assert source.within_s == pytest.approx(7200, rel=0.01)
    assert (source.not_ready_after_s, source.timezone) == (None, "UTC")


def test_what_is_declared_goes_before_what_is_learned() -> None:
    source = described(heard_within="5h", not_ready_after="2d", timezone="America/New_York")

    assert (source.within_s, source.not_ready_after_s) == (5 * HOUR_S, 2 * DAY_S)
    assert source.timezone == "America/New_York"


def test_a_silence_that_ends_the_readiness_is_no_usual_one() -> None:
    source = described(not_ready_after="30m")

    assert (source.within_s, source.not_ready_after_s) == (1800, 1800)
