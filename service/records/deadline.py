"""Deadlines: when a request must have been answered, by the monotonic clock; None: whenever it may be."""

from __future__ import annotations

import time


class OutOfTimeError(TimeoutError):
    """A request that would take longer than it may; nothing of it was done."""


def seconds_left(deadline: float | None) -> float:
    """Return the seconds up to a deadline, as a lock takes them: -1 where there is none."""
    return -1 if deadline is None else max(0.0, deadline - time.monotonic())


def check_time(deadline: float | None) -> None:
    """Raise OutOfTimeError if the time is over."""
    if deadline is not None and time.monotonic() > deadline:
        raise OutOfTimeError
