"""An objective has a name, targets that it allows, and a trivial answer that is best by it."""

import numpy as np
import pytest

from ml.tasks.counting import Counting
from ml.tasks.metrics import score
from ml.tasks.objectives import SQUARED, Objective


@pytest.mark.parametrize("name", ["mae", "huber_1.5", "quantile_0.9", "poisson", "gamma", "tweedie_1.5", "squared"])
def test_an_objective_goes_by_its_name(name: str) -> None:
    assert Objective.named(name).name == name
    assert Objective.named(None) == SQUARED


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mea", "There is no objective 'mea', did you mean 'mae'. Allowed: squared, mae, huber_1.5, quantile_0.9, poi"),
        ("quantile", "quantile takes a quantile between 0 and 1"),
        ("quantile_1", "quantile takes a quantile between 0 and 1"),
        ("quantile_0.90", "quantile takes a quantile between 0 and 1"),
        ("tweedie_2", "tweedie takes a power of the variance between 1 and 2"),
        ("huber_0", "huber takes a distance above 0"),
        ("mae_2", "mae takes no number"),
        ("poisson_", "poisson takes no number"),
    ],
)
def test_another_name_is_refused_with_what_is_allowed(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objective.named(name)


@pytest.mark.parametrize(
    ("name", "targets", "problem"),
    [
        ("poisson", [0.0, -1.0, -2.0], "the objective poisson needs targets of 0 or more: 2 of 3 are not"),
        ("gamma", [0.0, 1.0], "the objective gamma needs targets above 0: 1 of 2 are not"),
        ("tweedie_1.5", [0.0, 0.0], "the objective tweedie_1.5 needs a target above 0: all are 0"),
        ("poisson", [0.0, 3.0], None),
        ("mae", [-1.0, 0.0], None),
    ],
)
def test_targets_that_it_cannot_learn_are_counted(name: str, targets: list[float], problem: str | None) -> None:
    assert Objective.named(name).problem(np.array(targets)) == problem


@pytest.mark.parametrize(("name", "metric"), [("mae", "mae"), ("quantile_0.8", "pinball_0.8"), ("poisson", "rmse")])
def test_no_other_answer_to_every_row_is_better_than_the_trivial_one(name: str, metric: str) -> None:
    random = np.random.default_rng(0)
    y, weights = random.exponential(size=301), random.random(301)
    objective = Objective.named(name)

    for counting in (None, weights):
        best = objective.trivial(y, counting)
        others = best + np.linspace(-0.5, 0.5, 41)
        scores = [score(metric, y, np.full(len(y), other), Counting(counting)) for other in others]
        assert score(metric, y, np.full(len(y), best), Counting(counting)) <= min(scores) + 1e-12


@pytest.mark.parametrize("name", ["huber_0.00001", "huber_100000000000000000", "quantile_0.00005", "quantile_0.3"])
def test_a_small_or_large_number_is_written_without_an_exponent(name: str) -> None:
    objective = Objective.named(name)

    assert objective.name == name
    assert Objective.named(objective.name) == objective
    assert objective.kind == "huber" or objective.metric == f"pinball_{name.partition('_')[2]}"
