"""Folds: every row is judged by models that have not seen it, nor anything later."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.encoding import Encoder
from ml.metrics import Task
from ml.search.folds import FoldError, folded, random_folds, time_folds

CLASSES = Task("multiclass", ("blue", "green", "red"))


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.integers(2, 6), st.integers(0, 5), st.lists(st.integers(0, 1), min_size=30, max_size=80))
def test_random_folds_judge_each_row_once_and_keep_the_shares(folds: int, seed: int, labels: list[int]) -> None:
    y = np.array([*labels, *[0] * folds, *[1] * folds], "int8")

    found = random_folds(y, Task(), folds, seed)

    assert np.array_equal(np.sort(np.concatenate([each.judged for each in found])), np.arange(len(y)))
    for each in found:
        assert not set(each.learned) & set(each.judged)
        assert len(each.learned) + len(each.judged) == len(y)
        assert abs(y[each.judged].sum() - y.sum() / folds) <= 1


def test_a_class_with_fewer_rows_than_folds_is_refused_by_name() -> None:
    y = np.array([0] * 9 + [1] * 9 + [2] * 3, "int16")

    with pytest.raises(FoldError, match=r"fewer training rows than there are folds \(4\): \{'red': 3\}"):
        random_folds(y, CLASSES, 4, 0)


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.integers(0, 40), min_size=60, max_size=90), st.integers(0, 3))
def test_windows_learn_from_what_is_earlier_by_the_embargo(folds: int, days: list[int], embargo: int) -> None:
    day = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D"))

    try:
        found = time_folds(day, np.arange(len(day), dtype=float), Task("regression"), folds, timedelta(days=embargo))
    except FoldError:
        return

    judged = np.concatenate([each.judged for each in found])
    assert len(judged) == len(set(judged))
    for earlier, later in pairwise(found):
        assert set(earlier.learned) <= set(later.learned)
    for each in found:
        assert day[each.learned].max() < day[each.judged].min() - timedelta(days=embargo) + timedelta(days=1)
        assert day[each.judged].min() - day[each.learned].max() > timedelta(days=embargo - 1)
    assert day[found[-1].judged].max() == day.max()


def test_a_window_without_a_class_is_refused_with_its_time() -> None:
    day = pd.Series(pd.date_range("2024-01-01", periods=40))
    y = np.array([0] * 30 + [0, 1] * 5, "int8")

    with pytest.raises(FoldError, match=r"Window 1 of 3, from 2024-01-11T00:00:00 on, learns from no row of \['1'\]"):
        time_folds(day, y, Task(), 3, None)


def test_the_encoder_of_a_fold_knows_only_what_it_learns_from() -> None:
    frame = pd.DataFrame({"a": range(6), "c": ["x", "y", "x", "y", "z", "x"]})
    y = np.array([0, 1, 0, 1, 1, 0], "int8")
    folds = random_folds(y, Task(), 2, 0)

    found = folded(frame, y, Encoder.fit(frame, ["a"], ["c"]), Task(), folds, np.arange(6))

    for part, judged in zip(found.parts, found.judged, strict=True):
        learned = frame.drop(index=judged)
        assert set(part.encoder.categories["c"]) == set(learned["c"])
        assert np.isnan(part.X_valid[:, 1]).tolist() == (~frame["c"].iloc[judged].isin(learned["c"])).tolist()
    assert sorted(len(part.y_valid) for part in found.parts) == [3, 3]
