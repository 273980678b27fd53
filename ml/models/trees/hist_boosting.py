"""scikit-learn's gradient boosting on histograms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.additive import Additive
from ml.models.family import Training, require_device, require_task
from ml.models.parameters import Parameters, decided, of_estimators
from ml.models.trees.boosting import MAX_ROUNDS, PATIENCE, BoostingFamily, of_library
from ml.models.trees.graph import Leaf, Split, Tree, TreeLink, floored, graph_link, thresholds, tree_graph, tree_sum
from ml.tasks.objectives import Link, Objective
from ml.tasks.task import Kind, Task

if TYPE_CHECKING:
    import onnx
    import optuna
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

DECIDED = decided(
    seed="random_state",
    task="loss quantile scoring",
    rounds="max_iter early_stopping n_iter_no_change tol validation_fraction",
    weights="class_weight",
    columns="categorical_features monotonic_cst interaction_cst",
    words="verbose",
    form="warm_start",
)
LOSSES = {"mae": "absolute_error", "quantile": "quantile", "poisson": "poisson", "gamma": "gamma"}
NO_CODE = (-1.0,)  # ONNX has no split on an empty set


class HistBoosting(BoostingFamily):
    """Histogram gradient boosting with native categories and missing values, stopped early on the validation rows."""

    name = "hist_boosting"
    objectives = ("squared", *LOSSES)

    def parameters(self) -> Parameters:
        """Return scikit-learn's own."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        both = of_estimators(HistGradientBoostingClassifier, HistGradientBoostingRegressor)
        return Parameters("scikit-learn", both, DECIDED)

    def defaults(self) -> dict[str, Any]:
        """Return moderate trees with some column sampling."""
        return {
            "learning_rate": 0.05,
            "max_leaf_nodes": 31,
            "min_samples_leaf": 20,
            "max_features": 0.5,
            "l2_regularization": 1.0,
        }

    def good(self) -> list[dict[str, Any]]:
        """Return scikit-learn's own defaults."""
        trees = {"learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20}
        return [{**trees, "max_features": 1.0, "l2_regularization": 0.0}]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest the parameters that matter most, around the defaults."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
            "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 7, 127, log=True),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 500, log=True),
            "max_features": trial.suggest_float("max_features", 0.15, 1.0),
            "l2_regularization": trial.suggest_float("l2_regularization", 1e-3, 100.0, log=True),
        }

    def allowed(self, kind: Kind) -> Mapping[str, tuple[Any, ...]]:
        """Return the losses without a link other than that of the task."""
        return {"loss": ("squared_error", "absolute_error", "quantile") if kind == "regression" else ("log_loss",)}

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> FittedHistBoosting:
        """Fit up to `MAX_ROUNDS` rounds, cut at the one with the least validation loss; threads do not change them.

        The parameter `rounds` makes it exactly that many, whatever the validation loss.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        require_device(self, device)
        require_task(self, data.task)
        self.require_settings(params, data.task)
        numbers, rounds = data.task.kind == "regression", params.get("rounds")
        model = (HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier)(
            **of_library(params),
            **_loss(data.objective),
            monotonic_cst=data.directions or None,
            max_iter=rounds or MAX_ROUNDS,
            early_stopping=rounds is None,
            n_iter_no_change=PATIENCE,
            tol=0.0,
            categorical_features=list(range(data.encoder.n_numeric, len(data.encoder.features))) or None,
            random_state=seed,
        )
        learned, watched = data.row_weights
        validation = {} if rounds else {"X_val": data.X_valid, "y_val": data.y_valid, "sample_weight_val": watched}
        empty = np.isnan(data.X).all(axis=0)  # scikit-learn cannot bin a column without values
        with threadpool_limits(threads):
            model.fit(np.where(empty, np.float32(0), data.X), data.y, learned, **validation)
        best = rounds or max(1, int(np.argmax(model.validation_score_)))  # the first score is that of no round
        del model._predictors[best:]
        model._bin_mapper.n_threads = 1  # it only bins training rows, but would be stored
        encoder, link = data.encoder, data.objective.link
        return FittedHistBoosting(model, encoder.n_numeric, encoder.cardinalities, data.task, link)


def _loss(objective: Objective) -> dict[str, Any]:
    """Return scikit-learn's loss of an objective; none for the squared error and for classes, where it is the usual."""
    loss = {"loss": LOSSES[objective.kind]} if objective.kind in LOSSES else {}
    return {**loss, "quantile": objective.number} if objective.kind == "quantile" else loss


@dataclass(frozen=True)
class FittedHistBoosting:
    """A fitted ensemble of histogram gradient boosting; `cardinalities` are those of the categorical columns."""

    model: HistGradientBoostingClassifier | HistGradientBoostingRegressor
    n_numeric: int
    cardinalities: tuple[int, ...]
    task: Task
    link: Link = "identity"

    @property
    def rounds(self) -> int:
        """The number of rounds that it was trained; each has a tree for each of many classes."""
        return len(self.model._predictors)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities or numbers, float64 [n_rows] or [n_rows, n_classes]."""
        if self.task.kind == "regression":
            numbers: np.ndarray = self.model.predict(X)
            return numbers
        shares: np.ndarray = self.model.predict_proba(X)
        return shares[:, 1] if self.task.kind == "binary" else shares

    def thresholds(self) -> dict[int, np.ndarray]:
        """Return, per numeric column, the float32 values that are the last ones to go left at some split."""
        return thresholds(self._trees())

    def to_onnx(self) -> onnx.ModelProto:
        """Return a tree ensemble whose routing is exactly the model's for every float32 row."""
        # skl2onnx converts splits on categories as splits on numbers.
        base, link = self._start()
        features = self.n_numeric + len(self.cardinalities)
        return tree_graph(self._trees(), self.task, features=features, base=base, link=link)

    def additive(self) -> Additive:
        """Return the sum of the trees."""
        return tree_sum(self._trees(), self.task, *self._start())

    def _start(self) -> tuple[list[float], TreeLink]:
        """Return what the trees are added to, and how their sum is linked to the answer."""
        return self.model._baseline_prediction.ravel().tolist(), graph_link(self.link)

    def _trees(self) -> list[Tree]:
        """Return the ensemble's trees in neutral form; those of a round are those of the classes in turn."""
        codes = self._known_codes()
        return [
            [
                Leaf((float(node["value"]),), target) if node["is_leaf"] else self._split(node, at, predictor, codes)
                for node, at in zip(predictor.nodes, floored(predictor.nodes["num_threshold"]), strict=True)
            ]
            for round_ in self.model._predictors
            for target, predictor in enumerate(round_)
        ]

    def _split(self, node: np.void, at: np.float32, predictor: Any, codes: list[np.ndarray]) -> Split:
        """Return a split; scikit-learn moves categorical columns to the front before it grows trees."""
        column, missing = int(node["feature_idx"]), bool(node["missing_go_to_left"])
        where, ways = column - len(self.cardinalities), (int(node["left"]), int(node["right"]), missing)
        if not node["is_categorical"]:
            return Split(where, float(at), *ways)
        bits = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
        left = {float(code) for place, code in enumerate(codes[column]) if bits[place // 32] >> (place % 32) & 1}
        if missing:  # a code that training did not see counts as missing
            left |= set(map(float, range(self.cardinalities[column]))) - set(codes[column].tolist())
        return Split(self.n_numeric + column, tuple(sorted(left)) or NO_CODE, *ways)

    def _known_codes(self) -> list[np.ndarray]:
        """Return, per categorical column, the codes that training saw: scikit-learn numbers them by position."""
        if not self.cardinalities:
            return []
        encoder = self.model._preprocessor.named_transformers_["encoder"]
        return [codes[~np.isnan(codes)] for codes in encoder.categories_]
