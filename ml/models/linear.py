"""Regularized linear models: logistic regression for classes, ridge regression for numbers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.additive import Additive, WeightedColumns, of_task
from ml.models.family import IR_VERSION, OPSETS, Family, Training, require_device, require_task
from ml.models.parameters import Parameters, decided, of_estimators
from ml.tasks.encoding import Encoder
from ml.tasks.task import BINARY, Task

if TYPE_CHECKING:
    import onnx
    import optuna
    from sklearn.pipeline import Pipeline

MAX_ITERATIONS = 100
PARTS = ("numeric", "texts", "categorical")  # of the columns, as a pipeline prepares them


class LinearFamily(Family):
    """Linear models on imputed, scaled numbers, words and one-hot categories; they look at no validation rows."""

    near_zero = True
    takes_weights = True

    def settled(self, settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """Return the same settings: nothing stops by the validation rows."""
        return dict(settings)


DECIDED = decided(
    seed="random_state", weights="class_weight", machine="n_jobs", words="verbose", form="warm_start copy_X"
)


class Logistic(LinearFamily):
    """scikit-learn's logistic regression."""

    name = "logistic"
    tasks = ("binary", "multiclass")

    def parameters(self) -> Parameters:
        """Return scikit-learn's own."""
        from sklearn.linear_model import LogisticRegression

        return Parameters("scikit-learn", of_estimators(LogisticRegression), DECIDED)

    def defaults(self) -> dict[str, Any]:
        """Return little regularization: there are far more rows than columns."""
        return {"C": 1.0}

    def good(self) -> list[dict[str, Any]]:
        """Return a strong penalty, which is better where rows are few or columns alike."""
        return [{"C": 0.01}]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest the inverse strength of the L2 penalty."""
        return {"C": trial.suggest_float("C", 1e-4, 100.0, log=True)}

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> FittedLinear:
        """Fit a pipeline; the number of threads can change its last bits, so pin it to repeat a fit."""
        from sklearn.linear_model import LogisticRegression

        require_device(self, device)
        require_task(self, data.task)
        last = LogisticRegression(**{"max_iter": MAX_ITERATIONS, **params}, random_state=seed)
        return _fit_pipeline(data, last, threads)


class Ridge(LinearFamily):
    """scikit-learn's ridge regression."""

    name = "ridge"
    tasks = ("regression",)

    def parameters(self) -> Parameters:
        """Return scikit-learn's own."""
        from sklearn.linear_model import Ridge as LinearModel

        return Parameters("scikit-learn", of_estimators(LinearModel), DECIDED)

    def defaults(self) -> dict[str, Any]:
        """Return little regularization: there are far more rows than columns."""
        return {"alpha": 1.0}

    def good(self) -> list[dict[str, Any]]:
        """Return a strong penalty, which is better where rows are few or columns alike."""
        return [{"alpha": 100.0}]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest the strength of the L2 penalty."""
        return {"alpha": trial.suggest_float("alpha", 1e-3, 1e5, log=True)}

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> FittedLinear:
        """Fit a pipeline; the number of threads can change its last bits, so pin it to repeat a fit."""
        from sklearn.linear_model import Ridge as LinearModel

        require_device(self, device)
        require_task(self, data.task)
        return _fit_pipeline(data, LinearModel(**params, random_state=seed), threads)


@dataclass(frozen=True)
class FittedLinear:
    """A fitted scikit-learn pipeline, which is `ours` if this module has made it."""

    pipeline: Pipeline
    n_features: int
    task: Task = BINARY
    ours: bool = False

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities or numbers, float64 [n_rows] or [n_rows, n_classes]."""
        if self.task.kind == "regression":
            numbers: np.ndarray = self.pipeline.predict(X).astype(np.float64)
            return numbers
        scores: np.ndarray = self.pipeline.predict_proba(X).astype(np.float64)
        if self.task.kind == "multiclass":
            scores /= scores.sum(axis=1, keepdims=True)  # scikit-learn computes in float32, where a sum can miss 1
            return scores
        return scores[:, 1]

    def to_onnx(self) -> onnx.ModelProto:
        """Return the pipeline as skl2onnx converts it, reduced to what answers the task."""
        from onnx import TensorProto, helper, numpy_helper
        from onnx.utils import Extractor
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

        numbers = self.task.kind == "regression"
        converted = to_onnx(
            self.pipeline,
            initial_types=[("X", FloatTensorType([None, self.n_features]))],
            name="linear",
            options=None if numbers else {"zipmap": False},
            target_opset=OPSETS,
        )
        converted.ir_version = IR_VERSION
        answered = "variable" if numbers else "probabilities"  # as skl2onnx calls them
        model: onnx.ModelProto = Extractor(converted).extract_model(["X"], [answered])
        wanted = [1] if self.task.kind == "binary" else list(range(self.task.outputs))
        model.graph.initializer.append(numpy_helper.from_array(np.array(wanted), "wanted"))
        model.graph.node.append(helper.make_node("Gather", [answered, "wanted"], ["score"], name="answer", axis=1))
        del model.graph.output[:]
        shape: list[str | int] = ["rows", self.task.outputs]
        model.graph.output.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, shape))
        return model

    def additive(self) -> Additive | None:
        """Return the weighted columns; None for a pipeline of another make."""
        if not self.ours:
            return None
        transformer, last = self.pipeline[0], self.pipeline[-1]
        parts, widths = transformer.named_transformers_, transformer.output_indices_
        weights, base = np.atleast_2d(last.coef_).astype(np.float64), np.atleast_1d(last.intercept_).astype(np.float64)
        of_part = {name: weights[:, widths[name]] for name in PARTS if name in widths}
        nothing = weights[:, :0]
        plain, texts, levels = (of_part.get(name, nothing) for name in PARTS)
        fill, sizes = np.empty(0), tuple[int, ...]()
        if "numeric" in of_part:
            imputer, scaler = parts["numeric"]
            fill, plain = imputer.statistics_, plain / scaler.scale_
            base = base - plain @ scaler.mean_
        if "categorical" in of_part:
            sizes = tuple(map(len, parts["categorical"][-1].categories_))
        numbers = np.concatenate([plain, texts], axis=1)
        fill = np.concatenate([fill, np.zeros(texts.shape[1])])
        return of_task([WeightedColumns(fill, numbers, sizes, levels)], base.tolist(), self.task)


def _fit_pipeline(data: Training, last: Any, threads: int) -> FittedLinear:
    """Fit a pipeline that ends in a linear model on the training rows."""
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    pipeline = _pipeline(data.encoder, last)
    with threadpool_limits(threads), warnings.catch_warnings():
        # The iterations are a budget; what the model is worth after them, validation tells.
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(data.X, data.y, **{f"{pipeline.steps[-1][0]}__sample_weight": data.row_weights[0]})
    return FittedLinear(pipeline, len(data.encoder.features), data.task, ours=True)


def _pipeline(encoder: Encoder, last: Any) -> Pipeline:
    """Return the pipeline of numbers and categories of an encoded matrix, unfitted, which ends in `last`."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    codes = [np.arange(max(size, 1), dtype=np.float32) for size in encoder.cardinalities]
    n_plain, n_numeric = len(encoder.numeric), encoder.n_numeric
    parts = [
        (
            "numeric",
            make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()),
            list(range(n_plain)),
        ),
        # The numbers of texts are between 0 and 1, none of them missing: to scale them would make rare words loud.
        ("texts", "passthrough", slice(n_plain, n_numeric) if n_numeric > n_plain else []),  # a slice is not copied
        (
            "categorical",
            make_pipeline(
                # -1 is in no vocabulary: a missing or unseen category sets no column.
                SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True),
                OneHotEncoder(categories=codes, handle_unknown="ignore", dtype=np.float32),
            ),
            list(range(n_numeric, len(encoder.features))),
        ),
    ]
    return make_pipeline(ColumnTransformer([part for part in parts if part[2]], sparse_threshold=1.0), last)
