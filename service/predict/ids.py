"""Ids of predictions: UUIDs of version 7, which begin with the time and so sort by it."""

from __future__ import annotations

import time
from random import SystemRandom

_random = SystemRandom()


def prediction_ids(count: int) -> list[str]:
    """Return as many new ids, those of one call in their order."""
    milliseconds = time.time_ns() // 1_000_000
    first = _random.getrandbits(73)  # the highest of the 74 random bits is free, so that no count reaches beyond
    return [_uuid(milliseconds, first + number) for number in range(count)]


def _uuid(milliseconds: int, random: int) -> str:
    text = f"{milliseconds:012x}7{random >> 62:03x}{1 << 63 | random & (1 << 62) - 1:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
