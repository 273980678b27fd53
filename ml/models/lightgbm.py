"""Gradient-boosted trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.metrics import Kind, Task
from ml.models.base import IR_VERSION, OPSETS, Training, require_device, require_task

if TYPE_CHECKING:
    import lightgbm as lgb
    import onnx
    import optuna

MAX_ROUNDS = 1000
ZERO = np.float32(1e-35)  # kZeroThreshold of LightGBM
PATIENCE = 30  # rounds without a better validation loss
ROWS_WORTH_THREADS = 2_000  # starting threads costs more than the prediction of fewer rows
OBJECTIVES: Mapping[Kind, tuple[str, str]] = {  # what trees reduce, and what stops them
    "binary": ("binary", "binary_logloss"),
    "multiclass": ("multiclass", "multi_logloss"),
    "regression": ("regression", "l2"),
}


@dataclass(frozen=True)
class LightGBM:
    """LightGBM with native categories and missing values, stopped early on the validation rows."""

    name: str = "lightgbm"
    devices: tuple[str, ...] = ("cpu",)
    tasks: tuple[Kind, ...] = ("binary", "multiclass", "regression")

    def defaults(self) -> dict[str, Any]:
        """Moderate trees with some column sampling."""
        return {
            "learning_rate": 0.02,
            "num_leaves": 31,
            "min_data_in_leaf": 100,
            "feature_fraction": 0.4,
            "bagging_fraction": 0.8,
            "lambda_l2": 1.0,
            "cat_smooth": 50.0,
        }

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """The parameters that matter most, around the defaults."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.1, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 15, 127, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 10, 1000, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.15, 0.8),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
            "lambda_l2": trial.suggest_float("lambda_l2", 1e-3, 100.0, log=True),
            "cat_smooth": trial.suggest_float("cat_smooth", 10.0, 300.0, log=True),
        }

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> FittedLightGBM:
        """Up to `MAX_ROUNDS` trees, for each of many classes; the number of threads does not change them."""
        import lightgbm as lgb

        require_device(self, device)
        require_task(self, data.task)
        n_numeric, n_features = data.encoder.n_numeric, len(data.encoder.features)
        # Labels and sums of leaves are float32: around their mean, numbers keep more of their digits.
        center = float(data.y.mean()) if data.task.kind == "regression" else 0.0
        train = lgb.Dataset(data.X, data.y - center, categorical_feature=list(range(n_numeric, n_features)))
        objective, metric = OBJECTIVES[data.task.kind]
        booster = lgb.train(
            {
                "objective": objective,
                "metric": metric,
                "num_class": data.task.outputs,
                "bagging_freq": 1,
                **params,
                "seed": seed,
                "deterministic": True,
                "force_row_wise": True,
                "num_threads": threads,
                "verbosity": -1,
            },
            train,
            num_boost_round=MAX_ROUNDS,
            valid_sets=[lgb.Dataset(data.X_valid, data.y_valid - center, reference=train)],
            callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
        )
        text = booster.model_to_string(num_iteration=booster.best_iteration)
        # What follows are settings of the machine, such as the threads; the model itself ends here.
        return FittedLightGBM(text.partition("\nparameters:")[0] + "\n", n_numeric, n_features, data.task, center)


@dataclass
class FittedLightGBM:
    """A booster, kept as LightGBM's own text; `center` is added to what it says of numbers."""

    text: str
    n_numeric: int
    n_features: int
    task: Task = Task()
    center: float = 0.0

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Probabilities or numbers, float64 [n_rows] or [n_rows, n_classes]; any number of threads gives the same."""
        threads = 0 if len(X) >= ROWS_WORTH_THREADS else 1
        scores: np.ndarray = np.asarray(self._booster().predict(X, num_threads=threads), dtype=np.float64)
        return scores + self.center

    def gain(self) -> np.ndarray:
        """What the splits on each encoded column took off the loss, float64 [n_features]."""
        found: np.ndarray = self._booster().feature_importance("gain")
        return found

    def thresholds(self) -> dict[int, np.ndarray]:
        """Per numeric column, the float32 values that are the last ones to go left at some split."""
        found: dict[int, set[np.float32]] = {}
        for tree in self._booster().dump_model()["tree_info"]:
            for node in _nodes(tree["tree_structure"]):
                if node.get("decision_type") == "<=":
                    found.setdefault(node["split_feature"], set()).add(_floor(node["threshold"]))
        return {feature: np.array(sorted(values), np.float32) for feature, values in sorted(found.items())}

    def to_onnx(self) -> onnx.ModelProto:
        """A tree ensemble whose routing is exactly the booster's for every float32 row."""
        # onnxmltools rounds thresholds to the nearest float32 and misroutes NaN where training saw none.
        from onnx import TensorProto, helper

        outputs = self.task.outputs
        attributes: dict[str, Any] = _ensemble(self._booster().dump_model()["tree_info"], outputs)
        center = helper.make_tensor("center", TensorProto.FLOAT, [1], [self.center])
        answer = {
            "binary": helper.make_node("Sigmoid", ["margin"], ["score"], name="probability"),
            "multiclass": helper.make_node("Softmax", ["margin"], ["score"], name="probabilities", axis=1),
            "regression": helper.make_node("Add", ["margin", "center"], ["score"], name="number"),
        }[self.task.kind]
        graph = helper.make_graph(
            [
                helper.make_node(
                    "TreeEnsembleRegressor",
                    ["X"],
                    ["margin"],
                    name="trees",
                    domain="ai.onnx.ml",
                    n_targets=outputs,
                    aggregate_function="SUM",
                    post_transform="NONE",
                    **attributes,
                ),
                answer,
            ],
            "lightgbm",
            [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", self.n_features])],
            [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows", outputs])],
            initializer=[center] if self.task.kind == "regression" else [],
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in sorted(OPSETS.items())]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)

    def _booster(self) -> lgb.Booster:
        import lightgbm as lgb

        booster: lgb.Booster | None = self.__dict__.get("_loaded")
        if booster is None:
            booster = self.__dict__["_loaded"] = lgb.Booster(model_str=self.text)
        return booster

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_loaded"}


def _nodes(root: dict[str, Any]) -> list[dict[str, Any]]:
    """Every node of a dumped tree, the root first."""
    nodes, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting += [node[side] for side in ("right_child", "left_child") if side in node]
    return nodes


def _floor(threshold: float) -> np.float32:
    """The largest float32 that is not above `threshold`: the same float32 values are below both."""
    with np.errstate(over="ignore"):
        nearest = np.float32(threshold)
    # LightGBM reads what is within 1e-35 of zero as zero, which lies above every negative threshold.
    if -ZERO <= nearest < 0:
        nearest = -ZERO
    elif float(nearest) <= threshold:
        return nearest
    below: np.float32 = np.nextafter(nearest, np.float32(-np.inf))
    return below


def _ensemble(trees: list[dict[str, Any]], outputs: int) -> dict[str, list[Any]]:
    """The attributes of TreeEnsembleRegressor, node by node; the trees of a round are those of the classes in turn."""
    rows: list[tuple[int, int, str, int, float, int, int, int]] = []
    leaves: list[tuple[int, int, float]] = []
    for tree in trees:
        _add_tree(tree["tree_index"], tree["tree_structure"], rows, leaves)
    names = ("treeids", "nodeids", "modes", "featureids", "values", "truenodeids", "falsenodeids")
    columns = [list(column) for column in zip(*rows, strict=True)]
    attributes = {f"nodes_{name}": column for name, column in zip(names, columns, strict=False)}
    attributes["nodes_missing_value_tracks_true"] = columns[-1]
    attributes["target_treeids"], attributes["target_nodeids"], attributes["target_weights"] = (
        list(column) for column in zip(*leaves, strict=True)
    )
    attributes["target_ids"] = [tree % outputs for tree in attributes["target_treeids"]]
    return attributes


def _add_tree(
    index: int,
    root: dict[str, Any],
    rows: list[tuple[int, int, str, int, float, int, int, int]],
    leaves: list[tuple[int, int, float]],
) -> None:
    """Appends one tree; a split on a set of categories becomes a chain of equalities that share their true branch."""
    nodes = _nodes(root)
    widths = [len(_members(node)) if node.get("decision_type") == "==" else 1 for node in nodes]
    first = dict(zip(map(id, nodes), np.cumsum([0, *widths[:-1]]).tolist(), strict=True))
    for node in nodes:
        at = first[id(node)]
        if "split_feature" not in node:
            rows.append((index, at, "LEAF", 0, 0.0, 0, 0, 0))
            leaves.append((index, at, float(node["leaf_value"])))
            continue
        feature, left, right = node["split_feature"], first[id(node["left_child"])], first[id(node["right_child"])]
        if node["decision_type"] == "<=":
            threshold = float(_floor(node["threshold"]))
            # Where training saw no NaN, LightGBM reads one as zero.
            left_if_missing = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
            rows.append((index, at, "BRANCH_LEQ", feature, threshold, left, right, int(left_if_missing)))
            continue
        members = _members(node)
        for step, member in enumerate(members):
            otherwise = at + step + 1 if step + 1 < len(members) else right
            rows.append((index, at + step, "BRANCH_EQ", feature, member, left, otherwise, 0))


def _members(node: dict[str, Any]) -> list[float]:
    return [float(code) for code in str(node["threshold"]).split("||")]
