"""Ids of predictions."""

from __future__ import annotations

import time
import uuid

from service.predict.ids import prediction_ids


def test_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [name for _ in range(50) for name in prediction_ids(20)]
    after = time.time_ns() // 1_000_000

    read = [uuid.UUID(name) for name in ids]
    assert {(one.version, one.variant) for one in read} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == 1000
    assert all(before <= one.int >> 80 <= after for one in read)
    few = prediction_ids(300)
    assert few == sorted(few)
    assert prediction_ids(0) == []
