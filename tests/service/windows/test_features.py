from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.plan.parts import COLUMN_AGGREGATIONS, ROW_AGGREGATIONS
from service.records.reader import Record
from tests.support.past import FEATURES, RECORDS, ROWS, WINDOWS, Row, histories_of, reference, values_of

TABLES = st.lists(ROWS, max_size=25, unique_by=lambda row: row["id"])


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(TABLES, st.lists(RECORDS, min_size=1, max_size=5))
def test_every_window_feature_equals_a_loop_over_all_events(rows: list[Row], records: list[Record]) -> None:
    histories = histories_of(rows)

    for record in records:
        np.testing.assert_array_equal(values_of(histories, record), reference(rows, record), strict=True)


@pytest.mark.slow
def test_many_events_equal_a_loop_too() -> None:
    random = np.random.default_rng(11)
    rows = [
        {
            "id": f"e{number}",
            "a": "x",
            "b": int(random.integers(1, 3)),
            "at": int(random.integers(0, 3_000_000)),
            "v": int(random.integers(-(2**41) + 1, 2**41)) if random.random() < 0.9 else None,
            "w": int(random.integers(-50, 50)),
        }
        for number in range(1_000)
    ]
    histories = histories_of(rows)

    for cutoff_us in [0, 1_000_000, 2_999_999, rows[0]["at"], 9_000_000]:
        record = Record({"when": None, "a": "x", "b": 1}, int(str(cutoff_us)))
        np.testing.assert_array_equal(values_of(histories, record), reference(rows, record), strict=True)


def test_the_plan_of_these_tests_has_every_aggregation() -> None:
    assert {feature.aggregation for feature in FEATURES.values()} == COLUMN_AGGREGATIONS | ROW_AGGREGATIONS


@pytest.mark.parametrize(
    ("a", "b", "unknown"),
    [
        ("x", 1, []),
        ("z", 1, ["of_a_{}: no history for a 'z'", "of_both_{}: no history for a 'z', b 1"]),
        ("x", 2, ["of_b_{}: no history for b 2", "of_both_{}: no history for a 'x', b 2"]),
        ("x", None, ["of_b_{}: no history, for b is missing", "of_both_{}: no history, for b is missing"]),
        (
            None,
            None,
            [
                "of_a_{}: no history, for a is missing",
                "of_b_{}: no history, for b is missing",
                "of_both_{}: no history, for a and b are missing",
            ],
        ),
    ],
)
def test_an_unknown_key_and_a_null_key_are_empty_windows_with_a_warning(
    a: str | None, b: int | None, unknown: list[str]
) -> None:
    histories = histories_of([{"id": "e", "a": "x", "b": 1, "at": 0, "v": 1, "w": 1}])
    warnings: list[str] = []

    values = WINDOWS.values(Record({"a": a, "b": b}, 1), histories.state.windows, warnings)

    assert sorted(warnings) == sorted(w.format(at_cutoff) for w in unknown for at_cutoff in ["excluded", "included"])
    assert len(values) == len(FEATURES)
