"""Sampled Shapley values: they add up, and are exact where the order of the players makes no difference."""

from __future__ import annotations

import numpy as np
import pytest

from service.explain import permutations
from service.explain.permutations import rows_for, shapley
from service.records.deadline import OutOfTimeError
from tests.service.explain.test_trees import brute_force

PLAYERS = [0, 1, 1, 2, 3]


def mixed(X: np.ndarray) -> np.ndarray:
    filled = np.nan_to_num(X.astype(np.float64))
    answers: np.ndarray = np.tanh(filled[:, 0] * filled[:, 1]) + filled[:, 2] + np.abs(filled[:, 3])
    return answers  # that do not look at the last column


@pytest.fixture
def background() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)


def explained(answer: object, x: np.ndarray, background: np.ndarray) -> np.ndarray:
    score = float(answer(x[None])[0])  # type: ignore[operator]
    return shapley(answer, x, score, background, answer(background), np.array(PLAYERS))  # type: ignore[arg-type, operator]


def test_they_add_up_repeat_themselves_and_lie_near_those_of_all_coalitions(background: np.ndarray) -> None:
    x = np.array([1, 2, np.nan, -2, 5], np.float32)

    values = explained(mixed, x, background)

    assert values.sum() == pytest.approx(mixed(x[None])[0] - mixed(background).mean(), abs=1e-9)
    assert values[3] == 0
    assert values.tolist() == explained(mixed, x, background).tolist()
    assert values == pytest.approx(brute_force(mixed, x, background, PLAYERS), abs=0.05)


def test_they_are_exact_where_features_add_up(background: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def additive(X: np.ndarray) -> np.ndarray:
        sums: np.ndarray = X.astype(np.float64) @ np.arange(1.0, 6.0)
        return sums

    monkeypatch.setattr(permutations, "MOST_CELLS", 1)  # each row of the background alone

    x = np.ones(5, np.float32)

    weighted = np.arange(1, 6) * (1 - background.astype(np.float64).mean(axis=0))
    assert explained(additive, x, background) == pytest.approx(np.bincount(PLAYERS, weighted), abs=1e-9)


def test_a_row_of_the_background_itself_needs_no_explanation(background: np.ndarray) -> None:
    assert explained(mixed, background[0], background[:1]).tolist() == [0, 0, 0, 0]


def test_the_more_features_the_fewer_rows_are_gone_through() -> None:
    assert [rows_for(players, 100) for players in (1, 200, 1000, 100_000)] == [100, 100, 20, 5]
    assert rows_for(100_000, 3) == 3


def test_the_time_may_be_over(background: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permutations, "MOST_CELLS", 1)

    with pytest.raises(OutOfTimeError):
        shapley(mixed, np.ones(5, np.float32), 0.0, background, mixed(background), np.array(PLAYERS), deadline=0.0)
