"""Gradient-boosted trees."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.additive import Additive
from ml.models.family import Training, require_device, require_task
from ml.models.parameters import Parameters, decided
from ml.models.trees.boosting import MAX_ROUNDS, PATIENCE, BoostingFamily, of_library
from ml.models.trees.graph import Leaf, Split, Tree, TreeLink, floored, graph_link, thresholds, tree_graph, tree_sum
from ml.tasks.objectives import Link
from ml.tasks.task import BINARY, Kind, Task

if TYPE_CHECKING:
    import lightgbm as lgb
    import onnx
    import optuna

ZERO = np.float32(1e-35)  # kZeroThreshold of LightGBM
ROWS_WORTH_THREADS = 2_000  # starting threads costs more than the prediction of fewer rows
NUMBERS = ("regression", "l2", "regression_l1", "l1", "huber", "fair", "quantile")  # without a link
OBJECTIVES: Mapping[Kind, tuple[str, str]] = {  # what trees reduce, and what stops them
    "binary": ("binary", "binary_logloss"),
    "multiclass": ("multiclass", "multi_logloss"),
    "regression": ("regression", "l2"),
}
LEARNED_BY: Mapping[str, str] = {  # LightGBM's names of objectives, and of what stops by them
    "mae": "regression_l1",
    "huber": "huber",
    "quantile": "quantile",
    "poisson": "poisson",
    "gamma": "gamma",
    "tweedie": "tweedie",
}
DECIDED = decided(
    seed="seed *_seed",
    task="objective metric* num_class eval_at is_provide_training_metric first_metric_only multi_error_top_k auc_mu* "
    "alpha fair_c poisson* tweedie* lambdarank* label_gain objective_seed",
    rounds="num_iterations early_stopping* snapshot_freq",
    machine="num_threads device_type gpu* num_gpu deterministic force_* tree_learner num_machines machine* time_out "
    "local_listen_port top_k histogram_pool_size",
    columns="*_column categorical_feature monotone* interaction_constraints feature_contri cegb_penalty_feature* "
    "forced*",
    sharing="max_bin* min_data_in_bin bin_construct* feature_pre_filter enable_bundle is_enable_sparse use_missing "
    "zero_as_missing pre_partition two_round header precise_float_parser parser_config_file save_binary",
    form="boosting linear* sigmoid reg_sqrt pred* start_iteration* num_iteration_predict convert* drop_rate max_drop "
    "skip_drop uniform_drop xgboost_dart_mode refit_decay_rate bagging_by_query saved_feature_importance_type",
    words="verbosity task config data valid input_model output_* ",
)


# The bins must not depend on a trial's parameters, or trials could not share them. Fewer than LightGBM's 255 make trees
# faster to grow (benchmarks/tuning.py has both sides).
_BINNING = {"max_bin": 63, "feature_pre_filter": False, "data_random_seed": 1, "verbosity": -1}


@dataclass(frozen=True)
class Binned:
    """Binned rows."""

    train: lgb.Dataset
    valid: lgb.Dataset


class LightGBM(BoostingFamily):
    """LightGBM with native categories and missing values, stopped early on the validation rows."""

    name = "lightgbm"
    objectives = ("squared", *LEARNED_BY)

    def parameters(self) -> Parameters:
        """Return LightGBM's own, with all their other names."""
        from lightgbm.basic import _ConfigAliases

        by_name = {"num_iterations": [], **_ConfigAliases._get_all_param_aliases()}
        aliases = {alias: name for name, others in by_name.items() for alias in others if alias != name}
        return Parameters("lightgbm", frozenset(by_name), DECIDED, aliases)

    def defaults(self) -> dict[str, Any]:
        """Return moderate trees with some column sampling."""
        return {
            "learning_rate": 0.02,
            "num_leaves": 31,
            "min_data_in_leaf": 100,
            "feature_fraction": 0.4,
            "bagging_fraction": 0.8,
            "lambda_l2": 1.0,
            "cat_smooth": 50.0,
        }

    def good(self) -> list[dict[str, Any]]:
        """Return LightGBM's own defaults, and the large trees that AutoGluon tries third (its `GBMLarge`)."""
        usual = {"learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 20, "lambda_l2": 0.0, "cat_smooth": 10.0}
        large = {**usual, "learning_rate": 0.03, "num_leaves": 128, "min_data_in_leaf": 3, "feature_fraction": 0.9}
        return [{**usual, "feature_fraction": 1.0, "bagging_fraction": 1.0}, {**large, "bagging_fraction": 1.0}]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest the parameters that matter most, around the defaults."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.1, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 15, 127, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 10, 1000, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.15, 1.0),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
            "lambda_l2": trial.suggest_float("lambda_l2", 1e-3, 100.0, log=True),
            "cat_smooth": trial.suggest_float("cat_smooth", 10.0, 300.0, log=True),
        }

    def allowed(self, kind: Kind) -> Mapping[str, tuple[Any, ...]]:
        """Return the values of options, by all of their names, at which a booster is a sum of trees, with its link."""
        objectives = NUMBERS if kind == "regression" else OBJECTIVES[kind][:1]
        return {
            **dict.fromkeys(("boosting", "boosting_type", "boost"), ("gbdt", "dart", "goss")),
            **dict.fromkeys(("objective", "objective_type", "application", "app", "loss"), objectives),
            **dict.fromkeys(("linear_tree", "linear_trees", "reg_sqrt"), (False,)),
            "sigmoid": (1.0,),
        }

    def prepare(self, data: Training) -> Binned:
        """Bin both parts, which takes long before the first tree, and is the same for all parameters."""
        import lightgbm as lgb

        n_numeric, n_features = data.encoder.n_numeric, len(data.encoder.features)
        categorical = list(range(n_numeric, n_features))
        learned, watched = data.row_weights
        train = lgb.Dataset(data.X, data.y, weight=learned, categorical_feature=categorical, params=_BINNING)
        valid = lgb.Dataset(
            data.X_valid,
            data.y_valid,
            reference=train,
            weight=watched,
            categorical_feature=categorical,
            params=_BINNING,
        )
        return Binned(train.construct(), valid.construct())

    def fit(
        self,
        data: Training,
        params: Mapping[str, Any],
        *,
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        prepared: Binned | None = None,
        watch: Callable[[float, float], None] | None = None,
    ) -> FittedLightGBM:
        """Fit up to `MAX_ROUNDS` trees, for each of many classes; the number of threads does not change them.

        The parameter `rounds` makes it exactly that many, whatever the validation loss. `prepared` is what `prepare`
        made of the same data; `watch` hears of rounds times learning rate, and the validation loss.
        """
        import lightgbm as lgb

        require_device(self, device)
        require_task(self, data.task)
        self.require_settings(params, data.task)
        binned = prepared or self.prepare(data)
        objective, metric = OBJECTIVES[data.task.kind]
        if (kind := data.objective.kind) in LEARNED_BY:
            objective = metric = LEARNED_BY[kind]
        number = {"tweedie": "tweedie_variance_power"}.get(kind, "alpha")
        rounds, rate = params.get("rounds"), params.get("learning_rate", 0.1)
        grown = []  # after each round, how many there are trees of: one that finds no split leaves none

        def after_round(now: Any) -> None:
            grown.append(now.model.current_iteration())
            if watch:
                watch((now.iteration + 1) * rate, now.evaluation_result_list[0][2])

        watched = not rounds or watch is not None
        callbacks: list[Any] = [after_round] if watched else []
        callbacks += [] if rounds else [lgb.early_stopping(PATIENCE, verbose=False)]
        booster = lgb.train(
            {
                "objective": objective,
                "metric": metric,
                "num_class": data.task.outputs,
                **({} if math.isnan(data.objective.number) else {number: data.objective.number}),
                **({"monotone_constraints": data.directions} if data.monotone else {}),
                "bagging_freq": 1,
                **of_library(params),
                **_BINNING,
                "seed": seed,
                "deterministic": True,
                "force_row_wise": True,
                "num_threads": threads,
                "verbosity": -1,
            },
            binned.train,
            num_boost_round=rounds or MAX_ROUNDS,
            valid_sets=[binned.valid] if watched else [],
            callbacks=callbacks,
        )
        best = None if rounds else max(1, grown[booster.best_iteration - 1])
        text = booster.model_to_string(num_iteration=best)
        # What follows are settings of the machine, such as the threads; the model itself ends here.
        text = text.partition("\nparameters:")[0] + "\n"
        return FittedLightGBM(
            text, data.encoder.n_numeric, len(data.encoder.features), data.task, link=data.objective.link
        )


@dataclass
class FittedLightGBM:
    """A booster, kept as LightGBM's own text; `center`, added to numbers, is that of boosters stored before."""

    text: str
    n_numeric: int
    n_features: int
    task: Task = BINARY
    center: float = 0.0
    link: Link = "identity"

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities or numbers, float64 [n_rows] or [n_rows, n_classes]; threads do not change them."""
        threads = 0 if len(X) >= ROWS_WORTH_THREADS else 1
        scores: np.ndarray = np.asarray(self._booster().predict(X, num_threads=threads), dtype=np.float64)
        return scores + self.center

    @property
    def rounds(self) -> int:
        """The number of rounds that it was trained; each has a tree for each of many classes."""
        return int(self._booster().current_iteration())

    def gain(self) -> np.ndarray:
        """Return how much the splits on each encoded column took off the loss, float64 [n_features]."""
        gain: np.ndarray = self._booster().feature_importance("gain")
        return gain

    def thresholds(self) -> dict[int, np.ndarray]:
        """Return, per numeric column, the float32 values that are the last ones to go left at some split."""
        return thresholds(self._trees())

    def to_onnx(self) -> onnx.ModelProto:
        """Return a tree ensemble whose routing is exactly the booster's for every float32 row."""
        # onnxmltools rounds thresholds to the nearest float32 and misroutes NaN where training saw none.
        base, link = self._start()
        return tree_graph(self._trees(), self.task, features=self.n_features, base=base, link=link)

    def additive(self) -> Additive:
        """Return the sum of the trees."""
        return tree_sum(self._trees(), self.task, *self._start())

    def _start(self) -> tuple[list[float], TreeLink]:
        """Return what the trees are added to, and how their sum is linked to the answer."""
        return [self.center] * self.task.outputs, graph_link(self.link)

    def _trees(self) -> list[Tree]:
        """Return the booster's trees in neutral form; those of a round are those of the classes in turn."""
        trees = self._booster().dump_model()["tree_info"]
        return [_tree(tree["tree_structure"], tree["tree_index"] % self.task.outputs) for tree in trees]

    def _booster(self) -> lgb.Booster:
        """Return the booster, read from its text once."""
        import lightgbm as lgb

        booster: lgb.Booster | None = self.__dict__.get("_loaded")
        if booster is None:
            booster = self.__dict__["_loaded"] = lgb.Booster(model_str=self.text)
        return booster

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_loaded"}


def _nodes(root: dict[str, Any]) -> list[dict[str, Any]]:
    """List the nodes of a dumped tree, the root first."""
    nodes, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting += [node[side] for side in ("right_child", "left_child") if side in node]
    return nodes


def _floor(threshold: float) -> np.float32:
    """Return the largest float32 that is not above `threshold`: the same float32 values are below both."""
    below: np.float32 = floored(np.array([threshold]))[0]
    # LightGBM reads what is within 1e-35 of zero as zero, which lies above every negative threshold.
    return np.nextafter(-ZERO, np.float32(-np.inf)) if -ZERO <= below < 0 else below


def _tree(root: dict[str, Any], target: int) -> list[Split | Leaf]:
    """Return a dumped tree in neutral form, which adds to one target."""
    nodes = _nodes(root)
    places = {id(node): place for place, node in enumerate(nodes)}
    return [_node(node, places, target) for node in nodes]


def _node(node: dict[str, Any], places: Mapping[int, int], target: int) -> Split | Leaf:
    """Return a dumped node; `places` are those of all nodes, by their identity."""
    if "split_feature" not in node:
        return Leaf((float(node["leaf_value"]),), target)
    feature, left, right = node["split_feature"], places[id(node["left_child"])], places[id(node["right_child"])]
    if node["decision_type"] == "==":
        return Split(feature, tuple(float(code) for code in str(node["threshold"]).split("||")), left, right, False)
    # Where training saw no NaN, LightGBM reads one as zero.
    missing = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
    return Split(feature, float(_floor(node["threshold"])), left, right, bool(missing))
