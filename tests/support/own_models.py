"""Families of a user's own whose conversion to ONNX changes their answers in silence; findings/ has the reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx import TensorProto, helper

from ml.models.family import IR_VERSION, OPSETS, Family, Training
from ml.models.linear import FittedLinear
from ml.models.trees.lightgbm import FittedLightGBM, LightGBM
from ml.tasks.task import BINARY, Kind, Task


class Own(Family):
    """A pipeline of scikit-learn, as docs/extending.md shows one."""

    name, tasks = "own", ("binary", "regression")

    def defaults(self) -> dict[str, Any]:
        return {}

    def suggest(self, trial: Any) -> dict[str, Any]:
        return {}

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> Any:
        from sklearn.pipeline import make_pipeline

        return FittedLinear(make_pipeline(*self.steps()).fit(data.X, data.y), data.X.shape[1], data.task)

    def steps(self) -> list[Any]:
        raise NotImplementedError


def filled(*steps: Any) -> list[Any]:
    """Steps behind an imputer that converts as it is."""
    from sklearn.impute import SimpleImputer

    return [SimpleImputer(keep_empty_features=True), *steps]


def logistic(*steps: Any) -> list[Any]:
    from sklearn.linear_model import LogisticRegression

    return [*steps, LogisticRegression()]


def boosted(**options: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=5, **options)


class Exact(Own):
    def steps(self) -> list[Any]:
        return [boosted()]


class Categories(Own):
    def steps(self) -> list[Any]:
        return [boosted(categorical_features=[2])]


class Link(Own):
    def steps(self) -> list[Any]:
        from sklearn.ensemble import HistGradientBoostingRegressor

        return [HistGradientBoostingRegressor(loss="gamma", max_iter=5)]


class ScaledTrees(Own):
    def steps(self) -> list[Any]:
        from sklearn.preprocessing import StandardScaler

        return [StandardScaler(), boosted()]


class Forest(Own):
    def steps(self) -> list[Any]:
        from sklearn.ensemble import RandomForestClassifier

        return [RandomForestClassifier(5, max_depth=5, random_state=0)]


class Isotonic(Own):
    def steps(self) -> list[Any]:
        from sklearn.calibration import CalibratedClassifierCV

        return [CalibratedClassifierCV(boosted(), method="isotonic", cv=2)]


class CalibratedPipeline(Own):
    def steps(self) -> list[Any]:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.pipeline import make_pipeline

        return [CalibratedClassifierCV(make_pipeline(*logistic(*filled())), cv=2)]


class Discriminant(Own):
    def steps(self) -> list[Any]:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        return filled(LinearDiscriminantAnalysis())


class Neighbours(Own):
    def steps(self) -> list[Any]:
        from sklearn.neighbors import KNeighborsClassifier

        return filled(KNeighborsClassifier(weights="distance"))


class Indicator(Own):
    def steps(self) -> list[Any]:
        from sklearn.impute import SimpleImputer

        return logistic(SimpleImputer(keep_empty_features=True, add_indicator=True))


class Power(Own):
    def steps(self) -> list[Any]:
        from sklearn.preprocessing import PowerTransformer

        return logistic(PowerTransformer(), *filled())


class Clipped(Own):
    def steps(self) -> list[Any]:
        from sklearn.preprocessing import MaxAbsScaler

        return logistic(*filled(MaxAbsScaler(clip=True)))


class Largest(Own):
    def steps(self) -> list[Any]:
        from sklearn.preprocessing import Normalizer

        return logistic(*filled(Normalizer("max")))


class Ordinal(Own):
    def steps(self) -> list[Any]:
        from sklearn.compose import make_column_transformer
        from sklearn.preprocessing import OrdinalEncoder

        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        return [make_column_transformer((encoder, [2]), remainder="passthrough"), boosted()]


class Target(Own):
    def steps(self) -> list[Any]:
        from sklearn.compose import make_column_transformer
        from sklearn.preprocessing import TargetEncoder

        return logistic(make_column_transformer((TargetEncoder(cv=2, smooth=1.0), [2]), (filled()[0], [0, 1])))


class Bare(Own):
    """Refuses missing values, which its graph answers."""

    def steps(self) -> list[Any]:
        return logistic()


class TunedThreshold(Own):
    """Answers labels, cut at the threshold that was tuned."""

    def steps(self) -> list[Any]:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import TunedThresholdClassifierCV

        return filled(TunedThresholdClassifierCV(LogisticRegression(class_weight={0: 1, 1: 9}), cv=2, random_state=0))

    def fit(self, data: Training, params: Mapping[str, Any], **how: Any) -> Any:
        return Labels(super().fit(data, params, **how))


@dataclass(frozen=True)
class Labels:
    fitted: FittedLinear

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.fitted.pipeline.predict(X), np.float64)

    def to_onnx(self) -> onnx.ModelProto:
        model = self.fitted.to_onnx()
        half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
        model.graph.initializer.append(half)
        model.graph.node[-1].output[0] = "share"
        model.graph.node.extend(
            [
                helper.make_node("Greater", ["share", "half"], ["label"]),
                helper.make_node("Cast", ["label"], ["score"], to=TensorProto.FLOAT),
            ]
        )
        return model


class Boosted(LightGBM):
    """LightGBM with what its graph does not know, and does not say so; `more` is that."""

    more: ClassVar[Mapping[str, Any]] = {}

    def allowed(self, kind: Kind) -> Mapping[str, tuple[Any, ...]]:
        return {}

    def fit(self, data: Training, params: Mapping[str, Any], **how: Any) -> Any:
        few = {"rounds": 5, "min_data_in_leaf": 5, "bagging_fraction": 0.5, "learning_rate": 0.3}
        return super().fit(data, {**params, **few, **self.more}, **how)


class Averaged(Boosted):
    more: ClassVar = {"boosting": "rf"}


class Steep(Boosted):
    more: ClassVar = {"sigmoid": 2.0}


class Rooted(Boosted):
    more: ClassVar = {"reg_sqrt": True}


class Rounded(Boosted):
    """Has a graph whose thresholds were rounded up."""

    def fit(self, data: Training, params: Mapping[str, Any], **how: Any) -> Any:
        return RoundedUp(**super().fit(data, params, **how).__getstate__())


class RoundedUp(FittedLightGBM):
    def to_onnx(self) -> onnx.ModelProto:
        model = super().to_onnx()
        for node in model.graph.node:
            for attribute in node.attribute:
                if attribute.name == "nodes_values":
                    values = np.nextafter(np.array(attribute.floats, np.float32), np.float32(np.inf))
                    attribute.floats[:] = values.tolist()
        return model


@dataclass(frozen=True)
class Graph:
    """The answer of a few nodes, from X to `p`."""

    nodes: tuple[onnx.NodeProto, ...]
    answer: Any
    task: Task = BINARY

    def predict(self, X: np.ndarray) -> np.ndarray:
        numbers: np.ndarray = self.answer(X).astype(np.float64)
        return numbers

    def to_onnx(self) -> onnx.ModelProto:
        shape = helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1])
        axes = [helper.make_tensor(name, TensorProto.INT64, [1], [axis]) for name, axis in (("rows", 0), ("row", 1))]
        graph = helper.make_graph(
            [*self.nodes, helper.make_node("Reshape", ["p", "column"], ["score"])],
            "own",
            [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", 3])],
            [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])],
            [shape, *axes],
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in sorted(OPSETS.items())]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


class Maximum(Own):
    """Answers the largest number of a row, NaN being larger than all, as torch does it."""

    def fit(self, data: Training, params: Mapping[str, Any], **how: Any) -> Any:
        def answer(X: np.ndarray) -> np.ndarray:
            largest = X.max(axis=1)
            return np.where(np.isnan(largest), -1.0, 1 / (1 + np.exp(-largest)))

        node = helper.make_node
        nodes = (
            node("ReduceMax", ["X", "row"], ["largest"], keepdims=0),
            node("IsNaN", ["largest"], ["missing"]),
            node("Constant", [], ["none"], value_float=-1.0),
            node("Sigmoid", ["largest"], ["share"]),
            node("Where", ["missing", "none", "share"], ["p"]),
        )
        return Graph(nodes, answer)


class OfTheBatch(Own):
    """Answers a share of the batch's mean, in its graph too: one row alone is answered otherwise."""

    def fit(self, data: Training, params: Mapping[str, Any], **how: Any) -> Any:
        def answer(X: np.ndarray) -> np.ndarray:
            numbers = np.nan_to_num(X[:, 0])
            return 1 / (1 + np.exp(-(numbers - numbers.mean())))

        node = helper.make_node
        nodes = (
            node("Constant", [], ["first"], value_ints=[0]),
            node("Gather", ["X", "first"], ["column_0"], axis=1),
            node("IsNaN", ["column_0"], ["missing"]),
            node("Constant", [], ["none"], value_float=0.0),
            node("Where", ["missing", "none", "column_0"], ["numbers"]),
            node("ReduceMean", ["numbers", "rows"], ["mean"], keepdims=1),
            node("Sub", ["numbers", "mean"], ["away"]),
            node("Sigmoid", ["away"], ["p"]),
        )
        return Graph(nodes, answer)


class OfOneSize(OfTheBatch):
    """Has a graph for batches of a hundred rows."""

    def fit(self, data: Training, params: Mapping[str, Any], **how: Any) -> Any:
        node = helper.make_node
        nodes = (
            node("Constant", [], ["hundred"], value_ints=[100, 3]),
            node("Reshape", ["X", "hundred"], ["batch"]),
            node("Constant", [], ["first"], value_ints=[0]),
            node("Gather", ["batch", "first"], ["p"], axis=1),
        )
        return Graph(nodes, lambda X: X[:, 0])


class LinkInTheTrees(Own):
    """Leaves the link of one target to the tree ensemble, which ignores it."""

    def fit(self, data: Training, params: Mapping[str, Any], **how: Any) -> Any:
        node = helper.make_node(
            "TreeEnsembleRegressor",
            ["X"],
            ["p"],
            domain="ai.onnx.ml",
            n_targets=1,
            nodes_treeids=[0, 0, 0],
            nodes_nodeids=[0, 1, 2],
            nodes_featureids=[0, 0, 0],
            nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
            nodes_values=[0.0, 0.0, 0.0],
            nodes_truenodeids=[1, 0, 0],
            nodes_falsenodeids=[2, 0, 0],
            target_treeids=[0, 0],
            target_nodeids=[1, 2],
            target_ids=[0, 0],
            target_weights=[-2.0, 2.0],
            post_transform="LOGISTIC",
        )
        return Graph((node,), lambda X: 1 / (1 + np.exp(np.where(X[:, 0] <= 0, 2.0, -2.0))))
