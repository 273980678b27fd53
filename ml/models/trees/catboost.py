"""CatBoost's gradient-boosted oblivious trees, an optional extra."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.base.files import scratch_folder
from ml.models.additive import Additive
from ml.models.extras import optional
from ml.models.family import Training, require_device, require_task
from ml.models.parameters import Parameters, decided
from ml.models.trees.boosting import MAX_ROUNDS, PATIENCE, BoostingFamily, of_library
from ml.models.trees.graph import Leaf, Split, Tree, TreeLink, graph_link, thresholds, tree_graph, tree_sum
from ml.tasks.objectives import Link
from ml.tasks.task import Kind, Task

if TYPE_CHECKING:
    import onnx
    import optuna

# CatBoost's own from 200 rounds on. Below it takes others: a fit of as many rounds as one that was stopped would be
# another model.
LEAF_STEPS: Mapping[Kind, int] = {"binary": 10, "multiclass": 1, "regression": 1}
NUMBERS = ("RMSE", "MAE", "Quantile", "Huber", "Expectile", "LogCosh")  # without a link
LOSSES: Mapping[Kind, str] = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}

LEARNED_BY: Mapping[str, str] = {
    "mae": "MAE",
    "huber": "Huber:delta={number:.15g}",
    "quantile": "Quantile:alpha={number:.15g}",
    "poisson": "Poisson",
    "tweedie": "Tweedie:variance_power={number:.15g}",
}
STEPS_BY = {"poisson": 10}  # likewise CatBoost's own
ALIASES = {
    "eta": "learning_rate",
    "max_depth": "depth",
    "reg_lambda": "l2_leaf_reg",
    "colsample_bylevel": "rsm",
    "max_bin": "border_count",
    "min_child_samples": "min_data_in_leaf",
    "num_leaves": "max_leaves",
}
DECIDED = decided(
    seed="random_seed random_state",
    task="loss_function objective custom_* eval_metric class_names classes_count target_border allow_const_label",
    rounds="iterations n_estimators num_boost_round num_trees early_stopping_rounds od_* use_best_model "
    "best_model_min_trees eval_fraction",
    weights="class_weights auto_class_weights scale_pos_weight",
    machine="thread_count task_type devices device_config gpu* pinned_memory_size used_ram_limit data_partition dev_*",
    columns="cat_features text* tokenizers dictionaries feature_calcers embedding* ignored_features "
    "monotone_constraints feature_weights *penalties* per_float* input_borders output_borders fixed_binary_splits "
    "*ctr* counter_calc_method one_hot_max_size has_time model_size_reg",
    form="grow_policy max_leaves min_data_in_leaf",
    words="verbose silent logging_level metric_period train_dir allow_writing_files *snapshot* name metadata callback",
)


class CatBoost(BoostingFamily):
    """CatBoost on numbers and codes of categories, stopped early on the validation rows.

    Codes count from the most frequent category. CatBoost's own statistics of categories are not used: ONNX, and so the
    service, could not repeat them.
    """

    name = "catboost"
    objectives = ("squared", *LEARNED_BY)
    unweighed = ("mae", "quantile")  # findings/catboost-quantile-leaves-with-weights.sh

    def parameters(self) -> Parameters:
        """Return those of CatBoost's classifier."""
        names = inspect.signature(optional("catboost").CatBoostClassifier).parameters
        return Parameters("catboost", frozenset(names), DECIDED, ALIASES)

    def defaults(self) -> dict[str, Any]:
        """Return CatBoost's usual depth, a rate that suits the number of rounds, and some column sampling."""
        return {"learning_rate": 0.05, "depth": 6, "l2_leaf_reg": 3.0, "rsm": 0.5}

    def good(self) -> list[dict[str, Any]]:
        """Return CatBoost's own defaults, at the rate that it uses for 1,000 rounds where none is stated."""
        return [{"learning_rate": 0.03, "depth": 6, "l2_leaf_reg": 3.0, "rsm": 1.0}]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest the parameters that matter most, around the defaults."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
            "depth": trial.suggest_int("depth", 3, 9),
            "l2_leaf_reg": trial.suggest_float("l2_leaf_reg", 0.1, 100.0, log=True),
            "rsm": trial.suggest_float("rsm", 0.2, 1.0),
        }

    def allowed(self, kind: Kind) -> Mapping[str, tuple[Any, ...]]:
        """Return the values of options at which a booster is a sum of oblivious trees, with the link of its task."""
        losses = NUMBERS if kind == "regression" else (LOSSES[kind],)
        return {"grow_policy": ("SymmetricTree",), "loss_function": losses, "objective": losses}

    def fit(
        self,
        data: Training,
        params: Mapping[str, Any],
        *,
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        watch: Callable[[float, float], None] | None = None,
    ) -> FittedCatBoost:
        """Fit up to `MAX_ROUNDS` rounds, cut at the one with the least validation loss.

        The parameter `rounds` makes it exactly that many, whatever the validation loss; `watch` hears of rounds times
        learning rate, and the validation loss. Always one thread: on many rows CatBoost adds up the sums of its
        threads, so their number would change the trees.
        """
        catboost = optional("catboost")
        require_device(self, device)
        require_task(self, data.task)
        self.require_settings(params, data.task)
        if (data.X[0] == data.X).all():
            raise ValueError(f"CatBoost cannot learn from {data.X.shape[1]} columns that are all constant")
        train, valid = (catboost.Pool(X, y, weight=weights, thread_count=1) for X, y, weights in data.parts)
        rounds, kind = params.get("rounds"), data.objective.kind
        loss = LEARNED_BY.get(kind, LOSSES[data.task.kind]).format(number=data.objective.number)
        model = catboost.CatBoost(
            {
                "loss_function": loss,
                "random_seed": seed,
                "leaf_estimation_iterations": STEPS_BY.get(kind, LEAF_STEPS[data.task.kind]),
                **({"monotone_constraints": data.directions} if data.monotone else {}),
                **of_library(params),
                "iterations": rounds or MAX_ROUNDS,
                "thread_count": 1,
                "allow_writing_files": False,
                "logging_level": "Silent",
            }
        )
        stopping = {} if rounds else {"eval_set": valid, "early_stopping_rounds": PATIENCE, "use_best_model": True}
        if watch:
            rate = params.get("learning_rate", 0.03)
            watching = _Watching(watch, rate)
            model.fit(train, **{"eval_set": valid, "use_best_model": False, **stopping}, callbacks=[watching])
            if watching.stopped:
                raise watching.stopped
        else:
            model.fit(train, **stopping)
        features, numeric = len(data.encoder.features), data.encoder.n_numeric
        return FittedCatBoost(_text(model), features, numeric, data.task, link=data.objective.link)


@dataclass
class _Watching:
    """Passes on the loss of each round; what the watch raises is kept, for CatBoost would not pass it on."""

    watch: Callable[[float, float], None]
    rate: float
    stopped: Exception | None = None

    def after_iteration(self, info: Any) -> bool:
        """Return True to go on."""
        (loss,) = info.metrics["validation"].values()
        try:
            self.watch(info.iteration * self.rate, loss[-1])
        except Exception as error:
            self.stopped = error
        return self.stopped is None


@dataclass
class FittedCatBoost:
    """A booster, kept as the part of CatBoost's own JSON that decides its answers.

    `center`, added to numbers, is that of boosters stored before.
    """

    text: str
    n_features: int
    n_numeric: int
    task: Task
    center: float = 0.0
    link: Link = "identity"

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities or numbers, float64 [n_rows] or [n_rows, n_classes]."""
        from scipy.special import expit, softmax

        margins: np.ndarray = self._model().predict(X, prediction_type="RawFormulaVal", thread_count=1)
        if self.task.kind == "regression":
            return np.exp(margins) if self.link == "log" else margins + self.center
        answers: np.ndarray = expit(margins) if self.task.kind == "binary" else softmax(margins, axis=1)
        return answers

    @property
    def rounds(self) -> int:
        """The number of rounds that it was trained."""
        return len(json.loads(self.text)["oblivious_trees"])

    def thresholds(self) -> dict[int, np.ndarray]:
        """Return, per numeric column, the float32 values that are the last ones to go left at some split."""
        return {column: values for column, values in thresholds(self._trees()).items() if column < self.n_numeric}

    def to_onnx(self) -> onnx.ModelProto:
        """Return a tree ensemble whose routing is exactly the booster's for every float32 row."""
        base, link = self._start()
        return tree_graph(self._trees(), self.task, features=self.n_features, base=base, link=link)

    def additive(self) -> Additive:
        """Return the sum of the trees."""
        return tree_sum(self._trees(), self.task, *self._start())

    def _start(self) -> tuple[list[float], TreeLink]:
        """Return what the trees are added to, and how their sum is linked to the answer."""
        _, bias = json.loads(self.text)["scale_and_bias"]
        return [value + self.center for value in bias], graph_link(self.link)

    def _trees(self) -> list[Tree]:
        """Return the booster's trees in neutral form."""
        model = json.loads(self.text)
        features = model["features_info"]["float_features"]
        above = {feature["feature_index"] for feature in features if feature["nan_value_treatment"] == "AsTrue"}
        return [_tree(tree, self.task.outputs, above) for tree in model["oblivious_trees"]]

    def _model(self) -> Any:
        """Return the booster as CatBoost's own, read from its JSON once."""
        model = self.__dict__.get("_loaded")
        if model is None:
            with scratch_folder() as folder:
                path = folder / "model.json"
                path.write_text(self.text)
                model = self.__dict__["_loaded"] = optional("catboost").CatBoost().load_model(str(path), format="json")
        return model

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_loaded"}


def _text(model: Any) -> str:
    """Return a model as JSON, without what differs from run to run: time, a random id, settings of the machine."""
    with scratch_folder() as folder:
        path = folder / "model.json"
        model.save_model(str(path), format="json")
        whole = json.loads(path.read_text())
    deciding = {name: whole[name] for name in ("features_info", "oblivious_trees", "scale_and_bias")}
    return json.dumps({**deciding, "model_info": {}}, sort_keys=True)


def _tree(tree: Mapping[str, Any], outputs: int, above: set[int]) -> list[Split | Leaf]:
    """Return an oblivious tree as a heap: a level asks all its rows the same, and the last split is asked first."""
    nodes: list[Split | Leaf] = []
    for level, split in enumerate(reversed(tree["splits"] or [])):
        for place in range(2**level - 1, 2 ** (level + 1) - 1):
            feature, border = split["float_feature_index"], float(np.float32(split["border"]))
            nodes.append(Split(feature, border, 2 * place + 1, 2 * place + 2, feature not in above))
    values = tree["leaf_values"]
    leaves = (Leaf(tuple(values[first : first + outputs])) for first in range(0, len(values), outputs))
    return [*nodes, *leaves]
