"""Calibration, against known answers and against what chance alone gives."""

import numpy as np
import pytest

from ml.intervals.calibration import calibration


def test_the_error_is_the_mean_distance_of_the_bins_weighted_by_their_rows() -> None:
    p = np.repeat([0.2, 0.8], [60, 40])
    y = np.concatenate([np.arange(60) < 30, np.arange(40) < 36]).astype("int8")  # observed: 0.5 and 0.9

    found = calibration(y, p)

    assert (found.rows, found.predicted, found.observed) == ((60, 40), pytest.approx((0.2, 0.8)), (0.5, 0.9))
    assert found.error == pytest.approx(0.6 * 0.3 + 0.4 * 0.1)


def test_bins_hold_about_equally_many_rows() -> None:
    p = np.random.default_rng(0).random(1000) ** 3

    found = calibration((p > 0.5).astype("int8"), p)

    assert len(found.rows) == 10
    assert max(found.rows) - min(found.rows) <= 2


def test_true_probabilities_stay_below_what_chance_gives_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    below = 0
    for seed in range(100):
        p = random.random(300)
        found = calibration((random.random(300) < p).astype("int8"), p, seed)
        below += found.error <= found.by_chance

    assert 88 <= below <= 100


def test_probabilities_that_are_too_sure_are_worse_than_chance_explains() -> None:
    random = np.random.default_rng(0)
    p = random.random(2000)
    y = (random.random(2000) < p).astype("int8")

    found = calibration(y, p**3 / (p**3 + (1 - p) ** 3))

    assert found.error > 2 * found.by_chance


def test_of_many_classes_it_is_about_the_likeliest() -> None:
    p = np.tile([0.1, 0.7, 0.2], (100, 1))
    y = np.where(np.arange(100) < 60, 1, 0).astype("int16")

    found = calibration(y, p)

    assert (found.predicted, found.observed) == (pytest.approx((0.7,)), (0.6,))


def test_the_same_seed_gives_the_same_band() -> None:
    p = np.random.default_rng(0).random(200)
    y = (p > 0.5).astype("int8")

    assert calibration(y, p, 1) == calibration(y, p, 1)
    assert calibration(y, p, 1).low != calibration(y, p, 2).low
