"""Folds: every row is judged by models that have not seen it, nor anything later."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.declaration.use_case import UseCaseSpec
from ml.examples.groups import group_codes
from ml.models.family import Training
from ml.search.folds import FoldError, declared_folds, folded, random_folds, time_folds
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import Task

CLASSES = Task("multiclass", ("blue", "green", "red"))
BY_DATES = {"train_until": "2024-04-01", "validate_until": "2024-05-01"}


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


def test_a_row_whose_group_is_not_known_is_one_of_its_own() -> None:
    codes = group_codes(pd.Series(["b", None, "a", "b", None]))

    assert codes[0] == codes[3]
    assert len(set(codes)) == 4


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


def declared(split: dict[str, Any], folds: int = 3, **changes: Any) -> UseCaseSpec:
    examples = {"table": "rows", "target": "y = 1", "split": split}
    return UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "at"}},
            "examples": examples | ({"cutoff": "at"} if "train_until" in split else {}),
            "models": {"logistic": {}},
            "tuning": {"folds": folds},
            **changes,
        }
    )


@pytest.fixture
def problem() -> tuple[pd.DataFrame, Training]:
    """The training rows of 90 days, in no order of time, each of one of 40 patients."""
    random = np.random.default_rng(0)
    train = pd.DataFrame({"cutoff": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 90, 400), "D")})
    train["x"], train["patient"] = np.arange(400.0), random.integers(0, 40, 400)
    encoder, y = Encoder.fit(train, ["x"], []), random.integers(0, 2, 400).astype("int8")
    X = encoder.encode(train)
    return train, Training(X, y, X, y, encoder)


def test_declared_folds_by_dates_are_windows_of_a_sample_less_the_embargo(
    problem: tuple[pd.DataFrame, Training],
) -> None:
    train, data = problem
    spec = declared({**BY_DATES, "embargo": "5d"})

    whole, sample = (declared_folds(spec, train, data, rows) for rows in (None, 150))

    assert whole is not None
    assert sample is not None
    assert declared_folds(declared(BY_DATES, folds=0), train, data, None) is None
    for folds, rows in ((whole, 400), (sample, 150)):
        assert folds.rows == 400
        assert sum(map(len, folds.judged)) == pytest.approx(rows * 3 / 4, abs=8)
        for part, judged in zip(folds.parts, folds.judged, strict=True):
            learned = part.X[:, 0].astype(int)  # x is the place of the row
            assert np.array_equal(part.X_valid[:, 0], judged)
            assert np.array_equal(part.y, data.y[learned])
            gap = train["cutoff"].iloc[judged].min() - train["cutoff"].iloc[learned].max()
            assert gap > timedelta(days=5) if folds is sample else gap == timedelta(days=6)
    assert len(whole.parts[-1].y) > len(whole.parts[0].y)


def test_declared_folds_keep_the_groups_that_the_split_keeps(problem: tuple[pd.DataFrame, Training]) -> None:
    train, data = problem
    shares = {"validation_share": 0.2, "test_share": 0.2, "group": "patient"}
    brief = train["patient"].where(train.index % 3 > 0)  # a third is of no known patient

    for split in (shares, {**BY_DATES, "group": "patient"}):
        folds = declared_folds(declared(split, folds=2), train, data, None, brief)
        assert folds is not None
        for part, judged in zip(folds.parts, folds.judged, strict=True):
            assert not set(brief.iloc[part.X[:, 0].astype(int)].dropna()) & set(brief.iloc[judged].dropna())
    warned = declared({**BY_DATES, "group": "patient"}, folds=2, audit={"warn": ["no_group_in_two_splits"]})
    shared, alone = (declared_folds(warned, train, data, None, groups) for groups in (brief, None))
    assert shared is not None
    assert alone is not None
    assert [len(part.y) for part in shared.parts] == [len(part.y) for part in alone.parts]


def test_a_window_without_a_class_is_refused_with_its_time() -> None:
    day = pd.Series(pd.date_range("2024-01-01", periods=40))
    y = np.array([0] * 30 + [0, 1] * 5, "int8")

    with pytest.raises(FoldError, match=r"Window 1 of 3, from 2024-01-11T00:00:00 on, learns from no row of \['1'\]"):
        time_folds(day, y, Task(), 3, None)


def test_the_encoder_of_a_fold_knows_only_what_it_learns_from() -> None:
    frame = pd.DataFrame({"a": range(6), "c": ["x", "y", "x", "y", "z", "x"]})
    y = np.array([0, 1, 0, 1, 1, 0], "int8")
    folds = random_folds(y, Task(), 2, 0)

    encoded = folded(frame, y, Encoder.fit(frame, ["a"], ["c"]), Task(), folds, np.arange(6))

    for part, judged in zip(encoded.parts, encoded.judged, strict=True):
        learned = frame.drop(index=judged)
        assert set(part.encoder.categories["c"]) == set(learned["c"])
        assert np.isnan(part.X_valid[:, 1]).tolist() == (~frame["c"].iloc[judged].isin(learned["c"])).tolist()
    assert sorted(len(part.y_valid) for part in encoded.parts) == [3, 3]
