from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.history.state import Arrivals
from service.plan.parts import COLUMN_AGGREGATIONS, ROW_AGGREGATIONS
from service.records.reader import Record
from service.windows.features import FEW
from tests.support.past import (
    FEATURES,
    RECORDS,
    ROWS,
    WINDOWS,
    Row,
    histories_of,
    many_values_of,
    reference,
    values_of,
)

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
    warnings: list[list[str]] = [[]]

    values = WINDOWS.values([Record({"a": a, "b": b}, 1)], histories.state.windows, warnings)

    assert sorted(warnings[0]) == sorted(w.format(at_cutoff) for w in unknown for at_cutoff in ["excluded", "included"])
    assert values.shape == (1, len(FEATURES))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(TABLES, st.lists(RECORDS, min_size=FEW, max_size=40))
def test_records_together_are_answered_as_each_alone(rows: list[Row], records: list[Record]) -> None:
    histories = histories_of(rows)

    together = many_values_of(histories, records)

    np.testing.assert_array_equal(together, [reference(rows, record) for record in records], strict=True)


def test_records_together_see_what_changed_since_as_each_alone_and_are_warned_alike() -> None:
    random = np.random.default_rng(3)
    rows = [
        {
            "id": f"e{number}",
            "a": ["x", "y", "v"][number % 3],
            "b": int(random.integers(1, 4)),
            "at": int(random.integers(0, 3_000_000)),
            "v": None if number % 7 == 0 else int(random.integers(-(10**9), 10**9)),
            "w": int(random.integers(-50, 50)),
        }
        for number in range(300)
    ]
    histories = histories_of(rows[:200])
    sent = {row["id"]: {"a": row["a"], "b": row["b"], "at": row["at"], "v": row["v"], "w": row["w"]} for row in rows}
    file = next(iter(histories.targets))
    changed = dict(list(sent.items())[150:])
    histories.commit(
        histories.change([Arrivals(file, {name: row for name, row in changed.items() if row["a"] != "v"})])
    )
    records = [
        Record({"when": None, "a": a, "b": b}, int(cutoff))
        for a, b, cutoff in zip("xyvzxyvxyvxyvxyv", [1, 2, 3, 1] * 4, random.integers(-5, 4_000_000, 16), strict=True)
    ] * 3

    warnings: list[list[str]] = [[] for _ in records]
    together = WINDOWS.values(records, histories.state.windows, warnings)

    for record, values, texts in zip(records, together, warnings, strict=True):
        alone: list[list[str]] = [[]]
        expected = WINDOWS.values([record], histories.state.windows, alone)[0]
        np.testing.assert_array_equal(values, expected, strict=True)
        assert texts == alone[0]
