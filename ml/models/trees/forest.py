"""Forests of independent trees: random forest and extremely randomized trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.additive import Additive
from ml.models.family import Family, Training, require_device, require_task
from ml.models.parameters import Parameters, decided, of_estimators
from ml.models.trees.graph import Leaf, Split, Tree, TreeLink, floored, thresholds, tree_graph, tree_sum
from ml.tasks.task import Kind, Task

if TYPE_CHECKING:
    import onnx
    import optuna

DECIDED = decided(
    seed="random_state",
    task="criterion",
    weights="class_weight",
    machine="n_jobs",
    columns="monotonic_cst",
    words="verbose",
    form="warm_start oob_score",
)


class ForestFamily(Family):
    """scikit-learn's forests on numbers and codes of categories, with their own treatment of missing values.

    Codes count from the most frequent category, so a split on them tells frequent ones from rare ones. The parameter
    `min_samples_leaf` is a share of the training rows: it bounds the size of a tree, and so of its file.
    """

    near_zero = True
    takes_weights = True
    tasks = ("binary", "multiclass", "regression")

    def parameters(self) -> Parameters:
        """Return scikit-learn's own."""
        both = of_estimators(self.estimator("binary"), self.estimator("regression"))
        return Parameters("scikit-learn", both, DECIDED)

    def defaults(self) -> dict[str, Any]:
        """Return deep trees, each split of which sees less than half of the columns."""
        return {"n_estimators": 200, "max_features": 0.4, "min_samples_leaf": 5e-4}

    def good(self) -> list[dict[str, Any]]:
        """Return nearly scikit-learn's defaults, which grow every leaf to the end: few columns a split, or all."""
        return [{"max_features": 0.1, "min_samples_leaf": 0.0}, {"max_features": 1.0, "min_samples_leaf": 0.0}]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest leaves and share of columns; more trees are never worse, so their number is not searched."""
        return {
            "n_estimators": self.defaults()["n_estimators"],
            "max_features": trial.suggest_float("max_features", 0.1, 1.0),
            "min_samples_leaf": trial.suggest_float("min_samples_leaf", 1e-4, 2e-2, log=True),
        }

    def estimator(self, kind: Kind) -> Any:
        """Return scikit-learn's class for a kind of task."""
        raise NotImplementedError

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> FittedForest:
        """Fit a forest whose trees have a seed each, so that the number of threads does not change them."""
        require_device(self, device)
        require_task(self, data.task)
        forest = self.estimator(data.task.kind)(**params, random_state=seed, n_jobs=threads)
        forest.fit(data.X, data.y, sample_weight=data.row_weights[0])
        forest.set_params(n_jobs=None)  # threads add up the answers of trees in any order
        return FittedForest(forest, data.encoder.n_numeric, len(data.encoder.features), data.task)

    def settled(self, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """Return the same settings: nothing stops by the validation rows."""
        return dict(settings)


class RandomForest(ForestFamily):
    """Trees on bootstrap samples (Breiman 2001)."""

    name = "random_forest"

    def estimator(self, kind: Kind) -> Any:
        """Return the classifier or the regressor."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        return RandomForestRegressor if kind == "regression" else RandomForestClassifier


class ExtraTrees(ForestFamily):
    """Trees with thresholds drawn at random (Geurts, Ernst and Wehenkel 2006)."""

    name = "extra_trees"

    def estimator(self, kind: Kind) -> Any:
        """Return the classifier or the regressor."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        return ExtraTreesRegressor if kind == "regression" else ExtraTreesClassifier


@dataclass(frozen=True)
class FittedForest:
    """One of scikit-learn's forests, fitted; `center`, added to numbers, is that of forests stored before."""

    forest: Any
    n_numeric: int
    n_features: int
    task: Task
    center: float = 0.0

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities or numbers, float64 [n_rows] or [n_rows, n_classes]."""
        if self.task.kind == "regression":
            numbers: np.ndarray = self.forest.predict(X) + self.center
            return numbers
        shares: np.ndarray = self.forest.predict_proba(X)
        return shares[:, 1] if self.task.kind == "binary" else shares

    def thresholds(self) -> dict[int, np.ndarray]:
        """Return, per numeric column, the float32 values that are the last ones to go left at some split."""
        return {column: values for column, values in thresholds(self._trees()).items() if column < self.n_numeric}

    def to_onnx(self) -> onnx.ModelProto:
        """Return a tree ensemble whose routing is exactly the forest's for every float32 row."""
        # skl2onnx rounds thresholds to the nearest float32 and sends every missing value to the right.
        base, link = self._start()
        return tree_graph(self._trees(), self.task, features=self.n_features, base=base, link=link)

    def additive(self) -> Additive:
        """Return the sum of the trees."""
        return tree_sum(self._trees(), self.task, *self._start())

    def _start(self) -> tuple[list[float], TreeLink]:
        """Return what the trees are added to, and how their sum is linked to the answer."""
        return [self.center] * self.task.outputs, "answer"

    def _trees(self) -> list[Tree]:
        """Return the forest's trees in neutral form."""
        trees = [estimator.tree_ for estimator in self.forest.estimators_]
        return list(map(partial(_tree, share=1 / len(trees), kind=self.task.kind), trees))


def _tree(tree: Any, share: float, kind: Kind) -> list[Split | Leaf]:
    """Return one of scikit-learn's trees in neutral form; `share` is its weight in the forest."""
    at = floored(tree.threshold).astype(np.float64).tolist()
    values = tree.value[:, 0, :] * share
    weights = (values[:, 1:] if kind == "binary" else values).tolist()
    columns = (tree.feature, tree.children_left, tree.children_right, tree.missing_go_to_left)
    return [
        Leaf(tuple(weight)) if left < 0 else Split(feature, value, left, right, bool(missing))
        for weight, value, feature, left, right, missing in zip(
            weights, at, *(column.tolist() for column in columns), strict=True
        )
    ]
