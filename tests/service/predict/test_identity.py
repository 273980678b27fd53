from __future__ import annotations

import time
from uuid import UUID

from service.predict.identity import prediction_ids


def test_names_are_uuids_of_version_7_in_the_order_of_time_and_of_records() -> None:
    before = time.time_ns() // 1_000_000
    parts = [prediction_ids(count) for count in (1, 10_000, 3)]
    after = time.time_ns() // 1_000_000

    names = [name for part in parts for name in part]

    assert len(set(names)) == 10_004
    assert all(part == sorted(part) for part in parts)
    assert all(UUID(name).version == 7 and UUID(name).variant == UUID(names[0]).variant for name in names[::500])
    assert before <= UUID(names[0]).int >> 80 <= UUID(names[-1]).int >> 80 <= after


def test_names_of_two_times_are_sorted_by_time() -> None:
    names = []
    for _ in range(20):
        names += prediction_ids(1)
        until = time.time_ns() + 1000
        while time.time_ns() <= until:
            pass

    assert names == sorted(names)


def test_names_of_one_moment_differ() -> None:
    assert len({name for _ in range(2000) for name in prediction_ids(2)}) == 4000
