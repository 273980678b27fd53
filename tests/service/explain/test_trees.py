"""Shapley values of trees, against all coalitions, the laws that define them, and the package shap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest

from ml.exported.explainer import _trees
from ml.models.additive import GrownTrees as Grown
from ml.models.trees.graph import Leaf, Split
from service.explain import trees
from service.explain.trees import GrownTrees
from service.records.deadline import OutOfTimeError


def brute_force(
    answer: Callable[[np.ndarray], np.ndarray], x: np.ndarray, background: np.ndarray, players: Sequence[int]
) -> np.ndarray:
    """Return the Shapley values by their definition: over all coalitions of players, [n_players]."""
    of, every = np.array(players), range(max(players) + 1)
    coalitions = [frozenset(some) for size in range(len(every) + 1) for some in combinations(every, size)]
    mixed = [np.where(np.isin(of, list(coalition)), x, background) for coalition in coalitions]
    worths = answer(np.concatenate(mixed)).reshape(len(coalitions), -1).mean(axis=1)
    worth, count = dict(zip(coalitions, worths, strict=True)), len(every)
    total = np.zeros(count)
    for coalition in coalitions:
        weight = factorial(len(coalition)) * factorial(count - len(coalition) - 1) if len(coalition) < count else 0
        for player in set(every) - coalition:
            total[player] += weight / factorial(count) * (worth[coalition | {player}] - worth[coalition])
    return total


def grown(forest: Sequence[Sequence[Split | Leaf]], players: Sequence[int], scale: float = 1.0) -> GrownTrees:
    return GrownTrees(_trees(Grown(forest, scale)), np.array(players))


def random_tree(rng: np.random.Generator, columns: int, depth: int, outputs: int = 1) -> list[Split | Leaf]:
    """Grow a tree that asks columns at random: the last two of codes, by sets."""
    nodes: list[Any] = []

    def grow(left: int) -> int:
        place = len(nodes)
        nodes.append(None)
        if left == 0 or (left < depth and rng.random() < 0.1):
            nodes[place] = Leaf(tuple(rng.normal(size=outputs).tolist()))
            return place
        column, missing = int(rng.integers(columns)), bool(rng.integers(2))
        codes = tuple(map(float, sorted(rng.choice(20, 5, replace=False).tolist())))
        at = codes if column >= columns - 2 else float(np.float32(rng.normal()))
        yes, no = grow(left - 1), grow(left - 1)
        nodes[place] = Split(column, at, yes, no, missing)
        return place

    grow(depth)
    return nodes


def rows(rng: np.random.Generator, count: int, columns: int) -> np.ndarray:
    X = rng.normal(size=(count, columns))
    X[:, -2:] = rng.integers(0, 25, size=(count, 2))  # of codes that no set knows, too
    X[rng.random(X.shape) < 0.15] = np.nan
    return X.astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("players", [[0, 1, 2, 3, 4, 5], [0, 1, 1, 2, 2, 3]])
def test_values_are_those_of_all_coalitions(seed: int, players: list[int]) -> None:
    rng = np.random.default_rng(seed)
    forest = grown([random_tree(rng, 6, 5, 2) for _ in range(3)], players, scale=0.5)
    X, background = rows(rng, 3, 6), rows(rng, 5, 6)

    for x in X:
        for output in range(2):
            found = forest.shapley(x, background, output, max(players) + 1)

            expected = brute_force(lambda Z, o=output: forest.values(Z, o), x, background, players)  # type: ignore[misc]
            assert found == pytest.approx(expected, abs=1e-9)
            gained = forest.values(x[None], output)[0] - forest.values(background, output).mean()
            assert found.sum() == pytest.approx(gained, abs=1e-9)


def test_a_player_that_no_tree_asks_gets_nothing_and_alike_ones_get_the_same() -> None:
    def tree(first: int, second: int) -> list[Split | Leaf]:
        last = [Split(second, 0.0, 3, 4, False), Leaf((2.0,)), Leaf((-1.0,)), Leaf((5.0,))]
        return [Split(first, 0.0, 1, 2, False), *last]

    forest = grown([tree(0, 1), tree(1, 0)], range(3))
    x, background = np.array([1, 1, 9], np.float32), np.array([[-1, -1, 3]], np.float32)

    values = forest.shapley(x, background, 0, 3)

    assert values[2] == 0
    assert values[0] == values[1] != 0
    assert forest.shapley(background[0], background, 0, 3).tolist() == [0, 0, 0]


def test_more_than_64_players_and_more_paths_than_are_followed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    forest = grown([random_tree(rng, 150, 9) for _ in range(20)], range(150))
    x, background = rows(rng, 1, 150)[0], rows(rng, 30, 150)
    whole = forest.shapley(x, background, 0, 150)

    monkeypatch.setattr(trees, "MOST_PATHS", 64)

    assert forest.shapley(x, background, 0, 150) == pytest.approx(whole, abs=1e-12)
    gained = forest.values(x[None], 0)[0] - forest.values(background, 0).mean()
    assert whole.sum() == pytest.approx(gained, abs=1e-9)
    assert np.count_nonzero(whole) > 20
    assert np.count_nonzero(whole[64:]) > 20


def test_values_are_those_of_the_package_shap() -> None:
    from sklearn.ensemble import RandomForestRegressor

    from ml.evaluation.explanations import import_shap
    from ml.models.trees.forest import _tree

    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    model = RandomForestRegressor(8, max_depth=5, random_state=0).fit(X, X[:, 0] * X[:, 1] + X[:, 2])
    forest = grown([_tree(tree.tree_, 1 / 8, "regression") for tree in model.estimators_], range(4))
    shap = import_shap()
    explainer = shap.TreeExplainer(model, shap.maskers.Independent(X[:20], 20), feature_perturbation="interventional")

    expected = explainer.shap_values(X[20:25])

    found = [forest.shapley(x, X[:20], 0, 4) for x in X[20:25]]
    assert np.array(found) == pytest.approx(expected, abs=1e-6)
    assert forest.values(X[:20], 0).mean() == pytest.approx(float(np.ravel(explainer.expected_value)[0]), abs=1e-6)


def test_the_time_may_be_over() -> None:
    forest = grown([[Split(0, 0.0, 1, 2, False), Leaf((1.0,)), Leaf((2.0,))]], [0])

    with pytest.raises(OutOfTimeError):
        forest.shapley(np.ones(1, np.float32), np.zeros((1, 1), np.float32), 0, 1, deadline=0.0)
