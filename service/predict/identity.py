"""Identity: a name for each prediction, by which what happened later can be joined to it."""

from __future__ import annotations

import os
import time


def prediction_ids(count: int) -> list[str]:
    """Return a name for each prediction of one request, all different, sorted by time and then by their order.

    They are UUIDs of version 7 (RFC 9562): the time in milliseconds and, in the 12 bits after it, its 4,096 parts; then
    random bits, from which the predictions of a request are counted on.
    """
    ns, chance = time.time_ns(), int.from_bytes(os.urandom(8), "big")
    ms, rest = divmod(ns, 1_000_000)
    start = chance & 0x7FFF_FFFF_FFFF
    head = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{(rest << 12) // 1_000_000:03x}-{0x8000 | chance >> 50:04x}-"
    return [f"{head}{number:012x}" for number in range(start, start + count)]
