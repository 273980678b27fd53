"""Limits: how much one request may ask, and for how long it may take; settings of the environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]

WORKERS, MOST_WORKERS = "SEXTANT_WORKERS", 1_000
FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}

SETTINGS = {
    "body_bytes": "SEXTANT_MAX_BODY_BYTES",
    "records": "SEXTANT_MAX_RECORDS",
    "batch_bytes": "SEXTANT_MAX_BATCH_BYTES",
    "batch_rows": "SEXTANT_MAX_BATCH_ROWS",
    "seconds": "SEXTANT_MAX_SECONDS",
    "concurrent": "SEXTANT_MAX_CONCURRENT",
    "in_threads": "SEXTANT_MAX_IN_THREADS",
    "drain_seconds": "SEXTANT_DRAIN_SECONDS",
    "events_seconds": "SEXTANT_EVENTS_SECONDS",
}


class SettingError(ValueError):
    """A setting of the environment that cannot be used; the message names it."""


class Limits(msgspec.Struct, frozen=True, rename=SETTINGS):
    """The most bytes of a body, records or rows of a request, and seconds from its first byte to its answer.

    `batch_bytes` and `batch_rows` are those of bodies that hold columns: of them, and of what they unpack to.
    `concurrent` is the most requests in work in a process, `in_threads` of those that take long, which threads answer.
    `drain_seconds` is how long requests are answered after SIGTERM: longer than a kept connection may be idle, 5 s.
    `events_seconds` is for how long it is ready without the database of its events.
    """

    body_bytes: Count = 8_000_000
    records: Count = 10_000
    batch_bytes: Count = 256_000_000
    batch_rows: Count = 1_000_000
    seconds: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    concurrent: Count = 256
    in_threads: Count = 32
    drain_seconds: Annotated[float, Meta(ge=0, le=3_600)] = 6.0
    events_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 10.0

    def deadline(self) -> float:
        """Return when a request that begins now must be answered, by the monotonic clock."""
        return time.monotonic() + self.seconds

    def settings(self) -> dict[str, Any]:
        """Return the limits by the names of their settings."""
        settings: dict[str, Any] = msgspec.to_builtins(self)
        return settings


def read_limits(environment: Mapping[str, str]) -> Limits:
    """Return the limits that the environment sets; raises SettingError."""
    given = {name: environment[name] for name in SETTINGS.values() if environment.get(name)}
    try:
        return msgspec.convert(given, Limits, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(f"a setting cannot be used: {error}; given: {given}") from None


def read_workers(environment: Mapping[str, str]) -> int:
    """Return the number of processes that answer; raises SettingError."""
    given = environment.get(WORKERS) or "1"
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:10]) <= MOST_WORKERS:
        raise SettingError(f"{WORKERS} takes a number from 1 to {MOST_WORKERS}; given: {given!r}")
    return int(given)


def read_flag(environment: Mapping[str, str], name: str) -> bool:
    """Return whether a setting is on, which it is not by default; raises SettingError."""
    given = environment.get(name, "")
    if given.lower() not in FLAGS:
        raise SettingError(f"{name} takes 1 or 0; given: {given!r}")
    return FLAGS[given.lower()]
