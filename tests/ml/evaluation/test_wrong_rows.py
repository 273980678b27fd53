"""The rows that are most wrong: which they are, in which order, and what is said of them."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.evaluation.wrong_rows import MOST, WrongRow, losses, most_wrong
from ml.tasks.task import Task

NUMBERS, CLASSES = Task("regression"), Task("multiclass", ("ant", "bee", "cow"))


def rows(count: int) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"r{number}" for number in range(count)], "cutoff": pd.NaT, "x": 0.5})


def test_the_worst_answer_comes_first_and_says_its_log_loss() -> None:
    y, p = np.array([1, 0, 1, 0], dtype="int8"), np.array([0.9, 0.8, 0.01, 0.1])

    found = most_wrong(rows(4), ["id"], y, p, Task(), [])

    assert [each.key for each in found] == ["r2", "r1", "r0", "r3"]
    assert [each.loss for each in found] == pytest.approx([-math.log(each) for each in (0.01, 0.2, 0.9, 0.9)])
    assert [(each.truth, each.answer) for each in found[:2]] == [("yes", "0.0100"), ("no", "0.8000")]


def test_numbers_are_as_wrong_as_they_are_far_off_to_either_side() -> None:
    y, p = np.array([10.0, 20.0, 30.0]), np.array([12.0, 15.0, 30.0])

    found = most_wrong(rows(3), ["id"], y, p, NUMBERS, [])

    assert [(each.key, each.loss, each.truth, each.answer) for each in found] == [
        ("r1", 5.0, "20", "15"),
        ("r0", 2.0, "10", "12"),
        ("r2", 0.0, "30", "30"),
    ]


def test_of_many_classes_the_one_that_is_true_decides_and_the_likeliest_is_told() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])

    found = most_wrong(rows(2), ["id"], np.array([1, 0], dtype="int16"), p, CLASSES, [])

    assert [(each.key, each.truth, each.answer) for each in found] == [
        ("r1", "ant", "cow (0.7000)"),
        ("r0", "bee", "ant (0.5000)"),
    ]
    assert found[0].loss == pytest.approx(-math.log(0.1))


def test_of_rows_that_are_equally_wrong_the_first_ones_are_told() -> None:
    y, p = np.zeros(30, dtype="int8"), np.full(30, 0.7)
    p[29] = 0.8

    found = most_wrong(rows(30), ["id"], y, p, Task(), [])

    assert [each.key for each in found] == ["r29", *(f"r{number}" for number in range(MOST - 1))]


def test_features_and_cutoff_are_told_as_they_are_and_what_is_missing_by_name() -> None:
    frame = pd.DataFrame(
        {"id": [7], "cutoff": [pd.Timestamp("2024-01-01 06:30")], "x": [1234.5678], "city": ["Rome"], "gap": [None]}
    )

    found = most_wrong(frame, ["id"], np.array([1.0]), np.array([0.0]), NUMBERS, ["city", "x", "gap"])

    assert found == [
        WrongRow(key="7", cutoff="2024-01-01 06:30:00", truth="1", answer="0", loss=1.0,
                 features={"city": "Rome", "x": "1235", "gap": "missing"})
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_no_row_that_is_left_out_is_more_wrong_than_one_that_is_told(pairs: list[tuple[int, float]]) -> None:
    y, p = np.array([truth for truth, _ in pairs], dtype="int8"), np.array([answer for _, answer in pairs])

    found = most_wrong(rows(len(pairs)), ["id"], y, p, Task(), [])

    expected = np.sort(losses(y, p, Task()))[::-1][:MOST]
    assert [each.loss for each in found] == pytest.approx(expected.tolist())
    assert found[0].cutoff is None
