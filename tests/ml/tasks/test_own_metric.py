"""A metric of one's own is a function of labels and predictions that says what is better."""

import numpy as np
import pytest

from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.metrics import Metric, fits, own_modules, require_counted, score

HERE = "tests.support.own_metrics"
Y, P = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.2, 0.1])


def test_a_function_scores_as_it_says_and_in_its_direction() -> None:
    profit, shortfall = Metric.named(f"{HERE}:profit"), Metric.named(f"{HERE}:shortfall")

    assert profit(Y, P) == (10 - 1) / 4
    assert (profit.sign, shortfall.sign) == (1, -1)
    assert fits(f"{HERE}:profit", "multiclass")
    assert own_modules([f"{HERE}:profit", "roc_auc", f"{HERE}:shortfall", "pinball_0.9"]) == [HERE]


def test_a_function_without_weights_sees_a_row_as_often_as_it_weighs() -> None:
    weights = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 1.0, 1.0]])

    assert Metric.named(f"{HERE}:profit").prepare(Y, P)(weights).tolist() == [9 / 4, 20 / 4]
    with pytest.raises(ValueError, match="profit' takes no weights, and rows have some: add the argument `weights`"):
        score(f"{HERE}:profit", Y, P, Counting(np.array([0.5, 1, 1, 1])))


def test_a_function_with_weights_takes_those_of_any_size_and_no_row_without() -> None:
    y, p = np.array([3.0, 1.0, 5.0]), np.array([1.0, 2.0, np.inf])

    assert score(f"{HERE}:shortfall", y[:2], p[:2], Counting(np.array([0.5, 1.5]))) == pytest.approx(0.5)
    assert np.isnan(score(f"{HERE}:shortfall", y, p, Counting(np.array([1.0, 1.0, 0.0]))))


def test_a_function_with_groups_sees_a_group_that_is_drawn_twice_as_two() -> None:
    groups, best = np.array([0, 0, 1, 1]), Metric.named(f"{HERE}:best_is_right")
    weights = np.array([[1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 1.0, 1.0]])

    assert best.prepare(Y, np.array([0.9, 0.8, 0.1, 0.2]), Counting(groups=groups))(weights).tolist() == [1 / 2, 3 / 4]
    with pytest.raises(ValueError, match=r"best_is_right ranks rows within groups: .* in examples\.ranked_within"):
        score(f"{HERE}:best_is_right", Y, P)


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        (f"{HERE}:nothing", "has no function 'nothing'"),
        ("tests.ml.nowhere:metric", "there is no module 'tests.ml.nowhere'"),
        (f"{HERE}:takes_too_little", r"does not take \(y_true, y_pred\)"),
        (f"{HERE}:aimless", "does not say what is better: write aimless.greater_is_better = True, or False, below it"),
        (f"{HERE}:np", "has no function 'np'"),
        (f"{HERE}:most", r"'tests.support.own_metrics:most' does not take \(y_true, y_pred\): no signature"),
        ("ml.tasks.metrics:Metric", "has no function 'Metric'"),
    ],
)
def test_a_reference_that_leads_to_no_metric_says_so(reference: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        own_modules([reference])


def test_what_is_no_number_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="own_metrics:returns_a_text' must return a number, given 'good'"):
        score(f"{HERE}:returns_a_text", Y, P)


def test_what_is_infinite_is_no_number_that_a_gate_could_let_pass() -> None:
    assert np.isnan(score(f"{HERE}:endless", Y, P))


def test_a_function_may_spoil_what_it_is_given() -> None:
    y, p = Y.copy(), P.copy()

    spoiled = [score(f"{HERE}:spoils", y, p) for _ in range(2)]

    assert spoiled == [0.0, 0.0]
    assert (y.tolist(), p.tolist()) == (Y.tolist(), P.tolist())


def test_an_error_names_the_metric_and_the_rows_that_it_was_asked_about() -> None:
    with pytest.raises(
        RuntimeError,
        match=r"'tests.support.own_metrics:raises' raised ZeroDivisionError of 3 rows: division by nothing",
    ):
        score(f"{HERE}:raises", Y, P, Counting(np.array([1.0, 0.0, 2.0, 1.0])))


@pytest.mark.parametrize(
    ("name", "counting", "problem"),
    [
        (
            "profit",
            Counting(np.ones(4)),
            "profit' takes no weights, and examples.weights names a column: add the argument",
        ),
        (
            "best_is_right",
            EQUALLY,
            "best_is_right' ranks rows within groups: name their column in examples.ranked_within",
        ),
        ("shortfall", Counting(np.ones(4), Y), None),
        ("best_is_right", Counting(groups=Y), None),
        ("profit", EQUALLY, None),
    ],
)
def test_a_metric_that_rows_are_not_counted_for_is_refused_before_a_run(
    name: str, counting: Counting, problem: str | None
) -> None:
    names = ["roc_auc", f"{HERE}:{name}"]
    if problem is None:
        require_counted(names, weights=counting.weights is not None, groups=counting.groups is not None)
        return
    with pytest.raises(ValueError, match=problem):
        require_counted(names, weights=counting.weights is not None, groups=counting.groups is not None)
