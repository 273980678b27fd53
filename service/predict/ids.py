"""Ids of predictions: UUIDs of version 7, which begin with the time and so sort by it."""

from __future__ import annotations

import os
import time
from random import Random

_random = Random()
os.register_at_fork(after_in_child=_random.seed)
random_bits = _random.getrandbits  # other ones in each process, whoever seeds Python's generator


def prediction_ids(count: int) -> list[str]:
    """Return as many new ids, those of one call in their order."""
    milliseconds = time.time_ns() // 1_000_000
    first = random_bits(73)  # the highest of the 74 random bits is free, so that no count reaches beyond
    return [_uuid(milliseconds, first + number) for number in range(count)]


def _uuid(milliseconds: int, bits: int) -> str:
    text = f"{milliseconds:012x}7{bits >> 62:03x}{1 << 63 | bits & (1 << 62) - 1:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
