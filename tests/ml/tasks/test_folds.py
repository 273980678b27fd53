"""Folds: every row is judged by models that have not seen it, nor anything later."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.tasks.folds import FoldError, random_folds, time_folds
from ml.tasks.task import Task

CLASSES = Task("multiclass", ("blue", "green", "red"))


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.integers(2, 6), st.integers(0, 5), st.lists(st.integers(0, 1), min_size=30, max_size=80))
def test_random_folds_judge_each_row_once_and_keep_the_shares(folds: int, seed: int, labels: list[int]) -> None:
    y = np.array([*labels, *[0] * folds, *[1] * folds], "int8")

    parts = random_folds(y, Task(), folds, seed)

    assert np.array_equal(np.sort(np.concatenate([fold.judged for fold in parts])), np.arange(len(y)))
    for fold in parts:
        assert not set(fold.learned) & set(fold.judged)
        assert len(fold.learned) + len(fold.judged) == len(y)
        assert abs(y[fold.judged].sum() - y.sum() / folds) <= 1


def test_a_class_with_fewer_rows_than_folds_is_refused_by_name() -> None:
    y = np.array([0] * 9 + [1] * 9 + [2] * 3, "int16")

    with pytest.raises(FoldError, match=r"fewer training rows than there are folds \(4\): \{'red': 3\}"):
        random_folds(y, CLASSES, 4, 0)


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.integers(0, 40), min_size=60, max_size=90), st.integers(0, 3))
def test_windows_learn_from_what_is_earlier_by_the_embargo(folds: int, days: list[int], embargo: int) -> None:
    day = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D"))

    try:
        windows = time_folds(day, np.arange(len(day), dtype=float), Task("regression"), folds, timedelta(days=embargo))
    except FoldError:
        return

    judged = np.concatenate([window.judged for window in windows])
    assert len(judged) == len(set(judged))
    for earlier, later in pairwise(windows):
        assert set(earlier.learned) <= set(later.learned)
    for window in windows:
        assert day[window.learned].max() < day[window.judged].min() - timedelta(days=embargo) + timedelta(days=1)
        assert day[window.judged].min() - day[window.learned].max() > timedelta(days=embargo - 1)
    assert day[windows[-1].judged].max() == day.max()


@pytest.mark.parametrize("task", [Task(), CLASSES, Task("regression")], ids=lambda task: task.kind)
@pytest.mark.parametrize("seed", range(4))
def test_no_group_is_learned_from_and_judged(task: Task, seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 25, 200)
    y = random.normal(size=200) if task.kind == "regression" else random.integers(0, task.outputs + 1, 200) % 3
    y = np.minimum(y, 1) if task.kind == "binary" else y

    parts = random_folds(y, task, 4, seed, groups)

    assert np.array_equal(np.sort(np.concatenate([fold.judged for fold in parts])), np.arange(200))
    for fold in parts:
        assert not set(groups[fold.learned]) & set(groups[fold.judged])
        assert len(fold.learned) + len(fold.judged) == 200
    first, again, other = (random_folds(y, task, 4, by, groups)[0].judged.tolist() for by in (seed, seed, seed + 1))
    assert first == again != other


def test_folds_of_too_few_groups_are_refused() -> None:
    y = np.arange(60) % 2

    with pytest.raises(FoldError, match=r"The training rows of 2 groups cannot make 3 folds. Lower tuning.folds"):
        random_folds(y, Task(), 3, 0, np.arange(60) % 2)
    with pytest.raises(FoldError, match=r"Fold \d of 3, of whole groups, learns from no row of \['red'\]"):
        random_folds(np.array([0, 1] * 27 + [2] * 6), CLASSES, 3, 0, np.array([*range(54), *[60] * 6]))


def test_a_window_does_not_learn_from_the_groups_that_it_is_judged_on() -> None:
    random = np.random.default_rng(0)
    day, groups = pd.Series(pd.date_range("2024-01-01", periods=200)), random.integers(0, 60, 200)
    y = np.arange(200.0)

    plain, apart = (time_folds(day, y, Task("regression"), 3, None, of_rows) for of_rows in (None, groups))

    for fold, before in zip(apart, plain, strict=True):
        assert np.array_equal(fold.judged, before.judged)
        apart_of_groups = ~np.isin(groups[before.learned], groups[before.judged])
        assert np.array_equal(fold.learned, before.learned[apart_of_groups])
        assert 0 < len(fold.learned) < len(before.learned)


def test_a_window_without_a_class_is_refused_with_its_time() -> None:
    day = pd.Series(pd.date_range("2024-01-01", periods=40))
    y = np.array([0] * 30 + [0, 1] * 5, "int8")

    with pytest.raises(FoldError, match=r"Window 1 of 3, from 2024-01-11T00:00:00 on, learns from no row of \['1'\]"):
        time_folds(day, y, Task(), 3, None)
