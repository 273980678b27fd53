"""The metrics of an order within groups, against scikit-learn and against all orders, one after the other."""

from collections.abc import Callable, Iterator
from itertools import pairwise, permutations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from ml.tasks.counting import Counting
from ml.tasks.metrics import Metric, score


def orders(p: np.ndarray) -> Iterator[list[int]]:
    """Each order of rows in which none comes before one that is predicted higher."""
    for order in permutations(range(len(p))):
        if all(p[one] >= p[other] for one, other in pairwise(order)):
            yield list(order)


def average_precision(relevant: np.ndarray, k: int) -> float:
    places = np.flatnonzero(relevant[:k])
    return sum((found + 1) / (place + 1) for found, place in enumerate(places)) / relevant.sum()


def reciprocal_rank(relevant: np.ndarray, k: int) -> float:
    places = np.flatnonzero(relevant[:k])
    return float(1 / (places[0] + 1)) if len(places) else 0.0


def precision(relevant: np.ndarray, k: int) -> float:
    return float(relevant[:k].sum() / k)


def over_orders(of_order: Callable[[np.ndarray, int], float]) -> Callable[[np.ndarray, np.ndarray, int], float]:
    return lambda y, p, k: float(np.mean([of_order((y > 0)[order], k) for order in orders(p)]))


EXPECTED = {
    "ndcg_at_{}": lambda y, p, k: ndcg_score([y], [p], k=k),
    "map_at_{}": over_orders(average_precision),
    "mrr_at_{}": over_orders(reciprocal_rank),
    "group_precision_at_{}": over_orders(precision),
}


@pytest.mark.parametrize("form", EXPECTED)
def test_a_metric_is_the_mean_over_groups_of_which_some_order_is_better_than_another(form: str) -> None:
    random, judged = np.random.default_rng(0), 0
    for _ in range(40):
        rows, k = int(random.integers(2, 20)), int(random.integers(1, 7))
        groups = np.arange(rows) % int(random.integers(rows // 5 + 1, rows // 5 + 4))
        y = np.round(3 * random.random(rows)) * (random.random(rows) < 0.5)
        p, weights = np.round(2 * random.random(rows)) / 2, random.random(rows) + 0.1  # many are predicted alike
        of_groups = [groups == group for group in np.unique(groups)]
        telling = [rows for rows in of_groups if rows.sum() > 1 and (y[rows] > 0).any()]
        if not any(len(set(y[rows] if "ndcg" in form else y[rows] > 0)) > 1 for rows in telling):
            continue
        values = [EXPECTED[form](y[rows], p[rows], k) for rows in telling]
        by_weight = np.average(values, weights=[weights[rows].mean() for rows in telling])
        judged += 1

        assert score(form.format(k), y, p, Counting(groups=groups)) == pytest.approx(np.mean(values), abs=1e-12)
        assert score(form.format(k), y, p, Counting(weights, groups)) == pytest.approx(by_weight, abs=1e-12)
    assert judged > 30


@pytest.mark.parametrize("form", EXPECTED)
def test_what_answers_every_row_alike_is_worth_as_much_as_chance(form: str) -> None:
    random = np.random.default_rng(1)
    y, groups = (random.random(600) < 0.3).astype("int8"), np.arange(600) // 12
    name = form.format(4)

    by_chance = np.mean([score(name, y, random.random(600), Counting(groups=groups)) for _ in range(200)])

    assert score(name, y, np.full(600, 0.3), Counting(groups=groups)) == pytest.approx(by_chance, abs=0.01)


@pytest.mark.parametrize("form", EXPECTED)
def test_groups_that_tell_no_order_from_another_are_left_out(form: str) -> None:
    y = np.array([1, 0, 0, 1, 0, 0])
    p = np.array([0.1, 0.9, 0.3, 0.5, 0.7, 0.2])
    groups = np.array([0, 0, 1, 2, 3, 3])  # 1 and 2 have one row, 3 has none that is relevant

    assert score(form.format(2), y, p, Counting(groups=groups)) == score(
        form.format(2), y[:2], p[:2], Counting(groups=groups[:2])
    )


@pytest.mark.parametrize(
    ("name", "y", "why"),
    [
        ("map_at_3", [0, 0, 1, 1], "none of 3 groups has a row that is relevant and another"),
        ("mrr_at_3", [-1.0, 0.0, 1.0, 1.0], "none of 3 groups has a row that is relevant and another"),
        ("ndcg_at_3", [0, 0, 1, 1], "none of 3 groups has rows of different relevance"),
        ("map_at_3", [1, 1, 0, 1], "none of 3 groups has a row that is relevant and another"),
        ("group_precision_at_1", [1.0, 2.0, 0.0, 1.0], "none of 3 groups has a row that is relevant and another"),
        ("ndcg_at_3", [2.0, 2.0, 0.0, 1.0], "none of 3 groups has rows of different relevance"),
        ("ndcg_at_3", [-1.0, 3.0, 1.0, 1.0], "1 of 4 true numbers are below 0, which is no relevance"),
    ],
)
def test_a_metric_of_groups_that_says_nothing_says_why(name: str, y: list[float], why: str) -> None:
    rows, counting = (np.array(y), np.array([0.1, 0.2, 0.3, 0.4])), Counting(groups=np.array([7, 7, 8, 9]))

    assert Metric.named(name).undefined(*rows, counting) == why
    assert np.isnan(score(name, *rows, counting))


def test_grades_that_differ_are_put_into_order_though_all_are_relevant() -> None:
    y, p, groups = np.array([1.0, 2.0]), np.array([0.9, 0.1]), Counting(groups=np.array([0, 0]))

    assert score("ndcg_at_2", y, p, groups) == pytest.approx(ndcg_score([y], [p]))
    assert np.isnan(score("map_at_2", y, p, groups))


def test_a_group_of_relevant_rows_alone_counts_beside_others() -> None:
    y, p, groups = np.array([1, 0, 1, 1]), np.array([0.1, 0.9, 0.3, 0.2]), np.array([0, 0, 1, 1])

    assert score("mrr_at_2", y, p, Counting(groups=groups)) == pytest.approx((1 / 2 + 1) / 2)


def test_without_groups_the_column_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"ndcg_at_5 ranks rows within groups: .* in examples\.ranked_within"):
        score("ndcg_at_5", np.array([0, 1]), np.array([0.1, 0.9]))


def test_the_places_of_the_rows_are_no_matter() -> None:
    random = np.random.default_rng(3)
    y, p, groups = random.integers(0, 2, 80), np.round(random.random(80), 1), random.integers(0, 12, 80)
    shuffled = random.permutation(80)
    for form in EXPECTED:
        values = [score(form.format(3), y[at], p[at], Counting(groups=groups[at])) for at in (np.arange(80), shuffled)]
        assert values[0] == pytest.approx(values[1], abs=1e-12)
