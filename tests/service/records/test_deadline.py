from __future__ import annotations

import time

import pytest

from service.records.deadline import OutOfTimeError, check_time, seconds_left


def test_the_time_is_over_after_the_deadline_and_never_without_one() -> None:
    check_time(None)
    check_time(time.monotonic() + 60)

    with pytest.raises(OutOfTimeError):
        check_time(time.monotonic() - 1)


def test_a_lock_is_waited_for_as_long_as_there_is_time() -> None:
    assert seconds_left(None) == -1
    assert seconds_left(time.monotonic() - 1) == 0
    assert 59 < seconds_left(time.monotonic() + 60) <= 60
