from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.history import heard as heard_module
from service.history.heard import Heard, heard_of, warn_of_silence, zone_of
from service.plan.document import BundleError
from service.plan.parts import Source
from service.records.reader import Record, to_us

SOURCE = Source("weather", "seen", "weather.parquet", within_s=3600.0)
DAILY = Source("weather", "seen", "weather.parquet", within_s=3600.0, not_ready_after_s=86400.0, timezone="Europe/Rome")
SECONDS = st.lists(st.integers(0, 60), max_size=8)
ROWS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 60) | st.none(), max_size=8)  # by name


def at(text: str) -> int:
    return to_us(dt.datetime.fromisoformat(text))


def heard(*texts: str, source: Source = SOURCE) -> Heard:
    return Heard.of(source, np.array([at(text) for text in texts], np.int64))


@settings(max_examples=200, deadline=None)
@given(SECONDS, st.lists(ROWS, max_size=6), st.integers(1, 20), st.integers(-5, 90), st.sampled_from([0, 100]))
def test_whatever_is_heard_and_corrected_in_whatever_order_a_silence_is_that_since_the_last_time(
    first: list[int], later: list[dict[str, int | None]], within: int, cutoff: int, few: int
) -> None:
    at_first = Heard.of(Source("t", "at", "f", within_s=float(within)), np.array(first, np.int64) * 1_000_000)
    known, sent = at_first, dict[str, int | None]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heard_module, "FEW", few)
        for rows in later:
            gone = {name: None for name, second in rows.items() if second is None and name in "abc"}
            times = {name: {"at": None if second is None else second * 1_000_000} for name, second in rows.items()}
            known = known.hear({**times, **gone})
            sent |= rows

    in_one_go = at_first.with_times({name: None if time is None else time * 1_000_000 for name, time in sent.items()})
    assert (known.firsts, known.lasts, known.sent) == (in_one_go.firsts, in_one_go.lasts, in_one_go.sent)
    before = [time for time in [*first, *sent.values()] if time is not None and time <= cutoff]
    is_usual = bool(before) and cutoff - max(before) <= within
    assert (known.warning(cutoff * 1_000_000) is None) == is_usual
    first_us, last_us = known.usual
    assert is_usual or not first_us <= cutoff * 1_000_000 <= last_us
    if not is_usual and before:
        assert known.silence(cutoff * 1_000_000) == (cutoff - max(before)) * 1_000_000


def test_a_warning_names_table_newest_time_and_limit() -> None:
    known = heard("2024-01-02T11:00", "2024-01-02T12:00")

    assert known.warning(at("2024-01-02T13:00")) is None
    assert known.warning(at("2024-02-06T12:30")) == (
        "weather by seen: nothing was heard since 2024-01-02T12:00:00, 35 days, 0:30:00 before the cutoff "
        "2024-02-06T12:30:00; up to 1:00:00 are usual"
    )
    assert known.warning(at("2024-01-02T10:59")) == (
        "weather by seen: nothing was heard before the cutoff 2024-01-02T10:59:00; up to 1:00:00 are usual"
    )


def test_a_row_of_the_future_hides_no_silence_before_it() -> None:
    known = heard("2024-01-02T12:00", "2099-01-01T00:00")

    assert "since 2024-01-02T12:00:00" in str(known.warning(at("2024-01-05T12:00")))


def test_news_end_a_silence_and_change_nothing_that_is_there() -> None:
    known = heard("2024-01-02T12:00")

    after = known.hear({"a": {"seen": at("2024-01-05T12:00")}})

    assert after.warning(at("2024-01-05T12:30")) is None
    assert "2024-01-02T12:00:00, 2 days" in str(after.warning(at("2024-01-05T11:00")))
    assert "3 days, 0:30:00" in str(known.warning(at("2024-01-05T12:30")))


def test_a_source_without_a_limit_never_warns() -> None:
    known = heard("2024-01-02T12:00", source=Source("weather", "seen", "weather.parquet"))

    assert known.warning(at("2034-01-01T00:00")) is None
    assert known.usual == (-np.inf, np.inf)


def test_after_too_long_on_the_clock_of_the_table_nobody_is_to_be_answered() -> None:
    known = heard("2024-07-02T12:00", source=DAILY)  # at 10:00 in UTC

    assert known.refusal(dt.datetime(2024, 7, 3, 10, 0, tzinfo=dt.UTC)) is None
    assert known.refusal(dt.datetime(2024, 7, 3, 10, 0, 1, tzinfo=dt.UTC)) == (
        "weather by seen: nothing was heard since 2024-07-02T12:00:00, 1 day, 0:00:01 before now, 2024-07-03T12:00:01 "
        "in Europe/Rome; up to 1 day, 0:00:00 are allowed"
    )
    assert heard("2024-07-02T12:00").refusal(dt.datetime(2034, 1, 1, tzinfo=dt.UTC)) is None
    assert heard(source=DAILY).refusal(dt.datetime(2024, 1, 1, tzinfo=dt.UTC)) is not None


def test_the_newest_time_is_unix_time_by_the_clock_of_the_table() -> None:
    assert heard("1970-01-02T01:00", source=DAILY).newest_seconds == 86400.0
    assert heard("1970-01-02T01:00").newest_seconds == 90000.0
    assert heard().newest_seconds is None


def test_a_bundle_has_heard_the_times_of_its_file_and_the_last_before(tmp_path: Path) -> None:
    times = pa.array([dt.datetime(2024, 1, 2), None, dt.datetime(2024, 1, 1)], pa.timestamp("ns"))
    pq.write_table(pa.table({"seen": times}), tmp_path / "weather.parquet")
    source = Source("weather", "seen", "weather.parquet", dt.datetime(2023, 12, 1), 3600.0)

    known = heard_of(source, tmp_path)

    assert list(known.lasts) == [at("2023-12-01"), at("2024-01-01"), at("2024-01-02")]


def test_a_zone_that_is_not_known_is_refused() -> None:
    with pytest.raises(
        BundleError, match=r"the time zone 'Mars/Olympus' of 'weather' is not known here; install tzdata"
    ):
        zone_of(Source("weather", "seen", "f", timezone="Mars/Olympus"))


def test_each_record_is_warned_of_the_silence_before_its_own_cutoff() -> None:
    known, warnings = heard("2024-01-02T12:00"), [["other"], [], []]
    cutoffs = [at("2024-01-02T12:30"), at("2024-01-03T12:30"), at("2024-01-01T00:00")]

    warn_of_silence([known, known], [Record({}, cutoff) for cutoff in cutoffs], warnings)

    assert [len(texts) for texts in warnings] == [1, 2, 2]
