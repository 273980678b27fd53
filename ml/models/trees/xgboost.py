"""XGBoost's gradient-boosted trees, an optional extra."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.additive import Additive
from ml.models.extras import optional
from ml.models.family import Training, require_device, require_task
from ml.models.parameters import Parameters, decided, of_estimators
from ml.models.trees.boosting import MAX_ROUNDS, PATIENCE, BoostingFamily, of_library
from ml.models.trees.graph import Leaf, Split, Tree, TreeLink, graph_link, thresholds, tree_graph, tree_sum
from ml.tasks.objectives import Link
from ml.tasks.task import Kind, Task

if TYPE_CHECKING:
    import onnx
    import optuna

NUMBERS = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror")  # without a link
OBJECTIVES: Mapping[Kind, tuple[str, str]] = {  # what trees reduce, and what stops them
    "binary": ("binary:logistic", "logloss"),
    "multiclass": ("multi:softprob", "mlogloss"),
    "regression": ("reg:squarederror", "rmse"),
}
LEARNED_BY: Mapping[str, tuple[str, str]] = {
    "mae": ("reg:absoluteerror", "mae"),
    "huber": ("reg:pseudohubererror", "mphe"),
    "quantile": ("reg:quantileerror", "quantile"),
    "poisson": ("count:poisson", "poisson-nloglik"),
    "gamma": ("reg:gamma", "gamma-deviance"),
    "tweedie": ("reg:tweedie", "tweedie-nloglik"),
}
NUMBERED = {"huber": "huber_slope", "quantile": "quantile_alpha", "tweedie": "tweedie_variance_power"}
DECIDED = decided(
    seed="random_state",
    task="objective eval_metric",
    rounds="n_estimators early_stopping_rounds callbacks",
    machine="n_jobs device",
    columns="enable_categorical feature_types feature_weights missing monotone_constraints interaction_constraints",
    form="booster multi_strategy base_score tree_method importance_type",
    words="verbosity validate_parameters",
)


class XGBoost(BoostingFamily):
    """XGBoost on histograms, with native categories and missing values, stopped early on the validation rows."""

    name = "xgboost"
    objectives = ("squared", *LEARNED_BY)

    def parameters(self) -> Parameters:
        """Return those of XGBoost's regressor."""
        aliases = {"eta": "learning_rate", "lambda": "reg_lambda", "alpha": "reg_alpha", "min_split_loss": "gamma"}
        return Parameters("xgboost", of_estimators(optional("xgboost").XGBRegressor), DECIDED, aliases)

    def defaults(self) -> dict[str, Any]:
        """Return moderate trees with some column sampling."""
        return {
            "learning_rate": 0.05,
            "max_depth": 6,
            "min_child_weight": 5.0,
            "subsample": 0.8,
            "colsample_bytree": 0.5,
            "reg_lambda": 1.0,
        }

    def good(self) -> list[dict[str, Any]]:
        """Return XGBoost's own defaults."""
        trees = {"learning_rate": 0.3, "max_depth": 6, "min_child_weight": 1.0, "reg_lambda": 1.0}
        return [{**trees, "subsample": 1.0, "colsample_bytree": 1.0}]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest the parameters that matter most, around the defaults."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
            "max_depth": trial.suggest_int("max_depth", 3, 10),
            "min_child_weight": trial.suggest_float("min_child_weight", 0.5, 100.0, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 100.0, log=True),
        }

    def allowed(self, kind: Kind) -> Mapping[str, tuple[Any, ...]]:
        """Return the values of options at which a booster is a sum of trees, with the link of its task."""
        return {
            "booster": ("gbtree",),
            "tree_method": ("hist", "approx"),
            "multi_strategy": ("one_output_per_tree",),
            "objective": NUMBERS if kind == "regression" else OBJECTIVES[kind][:1],
        }

    def fit(
        self,
        data: Training,
        params: Mapping[str, Any],
        *,
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        watch: Callable[[float, float], None] | None = None,
    ) -> FittedXGBoost:
        """Fit up to `MAX_ROUNDS` rounds, cut at the one with the least validation loss.

        The parameter `rounds` makes it exactly that many, whatever the validation loss; `watch` hears of rounds times
        learning rate, and the validation loss. Always one thread: XGBoost adds up the sums of its threads, so their
        number would change the trees.
        """
        xgb = optional("xgboost")
        require_device(self, device)
        require_task(self, data.task)
        self.require_settings(params, data.task)
        n_numeric, categorical = data.encoder.n_numeric, len(data.encoder.categories)
        types = ["q"] * n_numeric + ["c"] * categorical
        train, valid = (
            xgb.DMatrix(X, y, weight=weights, feature_types=types, enable_categorical=True, nthread=1)
            for X, y, weights in data.parts
        )
        objective, metric = LEARNED_BY.get(data.objective.kind, OBJECTIVES[data.task.kind])
        number = NUMBERED.get(data.objective.kind)
        metric += f"@{data.objective.number:.15g}" if data.objective.kind == "tweedie" else ""
        rounds, rate = params.get("rounds"), params.get("learning_rate", 0.3)
        settings = {"objective": objective, "eval_metric": metric, "tree_method": "hist", "seed": seed}
        settings |= of_library(params) | ({number: data.objective.number} if number else {})
        settings |= {"monotone_constraints": tuple(data.directions)} if data.monotone else {}
        if data.task.kind == "multiclass":
            settings["num_class"] = data.task.outputs

        def after_iteration(_self: Any, _model: Any, done: int, losses: Any) -> bool:
            assert watch
            watch((done + 1) * rate, losses["valid"][metric][-1])
            return False

        watching = type("Watching", (xgb.callback.TrainingCallback,), {"after_iteration": after_iteration})
        booster = xgb.train(
            settings | {"nthread": 1, "verbosity": 0},
            train,
            rounds or MAX_ROUNDS,
            evals=[] if rounds and not watch else [(valid, "valid")],
            early_stopping_rounds=None if rounds else PATIENCE,
            verbose_eval=False,
            callbacks=[watching()] if watch else None,
        )
        best = booster[: rounds or booster.best_iteration + 1]
        best.set_attr(**dict.fromkeys(best.attributes()))
        content, link = bytes(best.save_raw("json")), data.objective.link
        return FittedXGBoost(content, n_numeric, categorical, data.task, link=link)


@dataclass
class FittedXGBoost:
    """A booster, kept as XGBoost's own JSON; `center`, added to numbers, is that of boosters stored before."""

    text: bytes
    n_numeric: int
    n_categorical: int
    task: Task
    center: float = 0.0
    link: Link = "identity"

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities or numbers, float64 [n_rows] or [n_rows, n_classes]; threads do not change them."""
        xgb = optional("xgboost")
        types = ["q"] * self.n_numeric + ["c"] * self.n_categorical
        rows = xgb.DMatrix(X, feature_types=types, enable_categorical=True)
        scores: np.ndarray = self._booster().predict(rows).astype(np.float64)
        if self.task.kind == "multiclass":
            scores /= scores.sum(axis=1, keepdims=True)  # in float32 a sum can miss 1 by 1e-7
        return scores + self.center

    @property
    def rounds(self) -> int:
        """The number of rounds that it was trained; each has a tree for each of many classes."""
        return int(self._booster().num_boosted_rounds())

    def thresholds(self) -> dict[int, np.ndarray]:
        """Return, per numeric column, the float32 values that are the last ones to go left at some split."""
        return thresholds(self._trees())

    def to_onnx(self) -> onnx.ModelProto:
        """Return a tree ensemble whose routing is exactly the booster's for every float32 row."""
        base, link = self._start()
        features = self.n_numeric + self.n_categorical
        return tree_graph(self._trees(), self.task, features=features, base=base, link=link)

    def additive(self) -> Additive:
        """Return the sum of the trees."""
        return tree_sum(self._trees(), self.task, *self._start())

    def _start(self) -> tuple[list[float], TreeLink]:
        """Return what the trees are added to, and how their sum is linked to the answer."""
        return (self._base() + self.center).tolist(), graph_link(self.link)

    def _base(self) -> np.ndarray:
        """Return the margins that the booster starts from, float64 [outputs]."""
        stored = json.loads(json.loads(self.text)["learner"]["learner_model_param"]["base_score"])
        base: np.ndarray = np.broadcast_to(np.atleast_1d(np.array(stored, np.float64)), self.task.outputs)
        if self.link == "log":
            logarithm: np.ndarray = np.log(base)
            return logarithm
        return np.log(base / (1 - base)) if self.task.kind == "binary" else base

    def _trees(self) -> list[Tree]:
        """Return the booster's trees in neutral form."""
        model = json.loads(self.text)["learner"]["gradient_booster"]["model"]
        return [_tree(tree, target) for tree, target in zip(model["trees"], model["tree_info"], strict=True)]

    def _booster(self) -> Any:
        """Return the booster, read from its JSON once."""
        booster = self.__dict__.get("_loaded")
        if booster is None:
            booster = self.__dict__["_loaded"] = optional("xgboost").Booster(model_file=bytearray(self.text))
        return booster

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_loaded"}


def _tree(tree: Mapping[str, Any], target: int) -> list[Split | Leaf]:
    """Return a tree of XGBoost's JSON: numbers below a float32 go left, as do codes that are not in a node's set."""
    sets = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    starts = {place: (start, size) for place, start, size in sets}
    # The largest float32 below a number: at most that is the same as less than the number.
    at = np.nextafter(np.array(tree["split_conditions"], np.float32), np.float32(-np.inf)).tolist()
    nodes: list[Split | Leaf] = []
    for place, (left, right) in enumerate(zip(tree["left_children"], tree["right_children"], strict=True)):
        if left < 0:
            nodes.append(Leaf((float(np.float32(tree["split_conditions"][place])),), target))
            continue
        feature, missing_left = tree["split_indices"][place], bool(tree["default_left"][place])
        if place in starts:
            start, size = starts[place]
            codes = tuple(map(float, tree["categories"][start : start + size]))
            nodes.append(Split(feature, codes, right, left, not missing_left))
        else:
            nodes.append(Split(feature, at[place], left, right, missing_left))
    return nodes
