"""The declared folds keep the embargo and the groups of the split, and each has an encoder of its own."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.declaration.use_case import UseCaseSpec
from ml.examples.groups import group_codes
from ml.models.family import Training
from ml.search.folds import declared_folds, folded
from ml.tasks.encoding import Encoder
from ml.tasks.folds import random_folds
from ml.tasks.task import Task

BY_DATES = {"train_until": "2024-04-01", "validate_until": "2024-05-01"}


def test_a_row_whose_group_is_not_known_is_one_of_its_own() -> None:
    codes = group_codes(pd.Series(["b", None, "a", "b", None]))

    assert codes[0] == codes[3]
    assert len(set(codes)) == 4


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


def test_declared_folds_at_random_keep_equal_rows_together(problem: tuple[pd.DataFrame, Training]) -> None:
    train, data = problem
    spec = declared({"validation_share": 0.2, "test_share": 0.2})
    random = np.random.default_rng(0)
    twice = random.permutation(np.repeat(np.arange(200.0), 2))
    twice[twice == 7] = np.nan
    few = np.where(np.arange(400) % 2, 1.0, -0.0)  # what half of the rows have in common is no copy

    plain, copies, common = (
        declared_folds(
            spec, train.assign(x=x), replace(data, X=x[:, None].astype("float32")), None
        )
        for x in (np.arange(400.0), twice, few)
    )  # fmt: skip

    assert plain is not None
    assert copies is not None
    assert common is not None
    for judged in copies.judged:
        assert not set(np.nan_to_num(twice[judged], nan=-1)) & set(np.nan_to_num(np.delete(twice, judged), nan=-1))
    assert sorted(np.concatenate(copies.judged)) == list(range(400))
    for one, other in zip(plain.judged, common.judged, strict=True):
        assert np.array_equal(one, other)


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
