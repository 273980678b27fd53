"""Fairness differences, against fairlearn's own."""

from typing import Any

import fairlearn.metrics as reference
import numpy as np
import pandas as pd
import pytest

from ml.bootstrap import Resampling
from ml.fairness import fairness
from ml.metrics import Task
from ml.slices import parts

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
