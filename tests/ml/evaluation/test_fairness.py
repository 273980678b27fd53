"""Fairness differences, against fairlearn's own."""

from typing import Any

import fairlearn.metrics as reference
import numpy as np
import pandas as pd
import pytest

from ml.evaluation.fairness import fairness
from ml.evaluation.slices import parts
from ml.intervals.bootstrap import Resampling
from ml.tasks.task import Task

HOW = Resampling(resamples=100)


@pytest.fixture
def rows() -> tuple[pd.Series, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    group = pd.Series(random.choice(["a", "b", "c"], 900))
    y = random.integers(0, 2, 900).astype("int8")
    return group, y, np.clip(0.3 * y + 0.6 * random.random(900) + 0.1 * (group == "b").to_numpy(), 0, 1)


def test_differences_are_those_of_fairlearn_with_intervals_around_them(rows: Any) -> None:
    group, y, p = rows
    said = (p >= 0.5).astype(int)

    found = fairness("group", parts("group", group, 10), y, p, Task(), 0.5, HOW)

    differences = {name: each.value for name, each in found.differences.items()}
    assert differences["selection rate"] == pytest.approx(
        reference.demographic_parity_difference(y, said, sensitive_features=group)
    )
    assert max(differences["true positive rate"], differences["false positive rate"]) == pytest.approx(
        reference.equalized_odds_difference(y, said, sensitive_features=group)
    )
    assert all(each.low <= each.value <= each.high for each in found.differences.values())
    assert found.between["selection rate"][0] == "b"


def test_each_group_has_its_rows_and_rates(rows: Any) -> None:
    group, y, p = rows

    found = fairness("group", parts("group", group, 10), y, p, Task(), 0.5, HOW)

    for each in found.groups:
        of_group = (group == each.value).to_numpy()
        assert each.rows == of_group.sum()
        assert each.rates["selection rate"].value == pytest.approx((p[of_group] >= 0.5).mean())
        assert each.rates["accuracy"].low < each.rates["accuracy"].value < each.rates["accuracy"].high


def test_a_group_without_positive_rows_has_no_true_positive_rate(rows: Any) -> None:
    group, y, p = rows
    y = np.where(group == "c", 0, y).astype("int8")

    found = fairness("group", parts("group", group, 10), y, p, Task(), 0.5, HOW)

    assert "true positive rate" not in found.groups[2].rates
    assert set(found.between["true positive rate"]) == {"a", "b"}


def test_numbers_are_compared_by_their_errors_and_classes_by_what_is_right(rows: Any) -> None:
    group, y, _ = rows
    off = np.where(group == "a", 2.0, -1.0)

    numbers = fairness("group", parts("group", group, 10), y.astype(float), y + off, Task("regression"), None, HOW)
    task, sure = Task("multiclass", ("no", "yes")), np.eye(2)[np.where(group == "a", 1 - y, y)]
    classes = fairness("group", parts("group", group, 10), y.astype("int16"), sure, task, None, HOW)

    assert numbers.differences["mean error"].value == 3
    assert numbers.differences["mean absolute error"].value == 1
    assert classes.differences["accuracy"].value == 1


@pytest.mark.slow
def test_the_interval_of_many_equal_groups_holds_no_difference_as_often_as_its_confidence_says() -> None:
    task = Task("multiclass", ("no", "yes"))

    def leaves_out_zero(seed: int) -> bool:
        random = np.random.default_rng(seed)
        group, y = pd.Series(random.integers(0, 10, 1000)), random.integers(0, 2, 1000).astype("int16")
        p = np.eye(2)[np.where(random.random(1000) < 0.7, y, 1 - y)]
        found = fairness("group", parts("group", group, 1), y, p, task, None, HOW).differences["accuracy"]
        return not found.low <= 0 <= found.high

    assert sum(map(leaves_out_zero, range(100))) <= 10  # 5 expected; more than 10 in one of 90 series


def test_a_difference_between_many_groups_that_is_there_is_seen(rows: Any) -> None:
    group, y, _ = rows
    off = np.where(group == "a", 0.5, 0.0) + np.random.default_rng(1).normal(size=900)

    found = fairness("group", parts("group", group, 10), y * 1.0, y + off, Task("regression"), None, HOW)

    assert found.between["mean error"][0] == "a"
    assert found.differences["mean error"].low > 0


def test_groups_of_a_few_rows_that_are_all_alike_do_not_prove_a_difference() -> None:
    group = pd.Series(["a"] * 40 + ["b"] * 3 + ["c"] * 3)
    y = np.array([0, 1] * 20 + [1] * 6).astype("int8")
    p = np.array([0.1, 0.9] * 10 + [0.9, 0.1] * 10 + [0.9] * 3 + [0.1] * 3)

    found = fairness("group", parts("group", group, 1), y, p, Task(), 0.5, HOW).differences["true positive rate"]

    assert (found.value, found.high) == (1, 1)
    assert found.low < 0.1


def test_one_group_alone_has_no_difference(rows: Any) -> None:
    _, y, p = rows

    found = fairness("group", parts("group", pd.Series(["a"] * 900), 10), y, p, Task(), 0.5, HOW)

    assert (found.differences["accuracy"].value, found.differences["accuracy"].high) == (0, 0)


def test_a_rate_that_no_test_row_counts_for_is_left_out() -> None:
    group, y, p = pd.Series(list("ab") * 20), np.zeros(40, dtype="int8"), np.linspace(0, 1, 40)

    found = fairness("group", parts("group", group, 10), y, p, Task(), 0.5, HOW)

    assert list(found.differences) == ["selection rate", "false positive rate", "accuracy"]
