"""Logistic regression."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.models.base import IR_VERSION, OPSETS, Training, require_device

if TYPE_CHECKING:
    import onnx
    import optuna
    from sklearn.pipeline import Pipeline

from ml.encoding import Encoder

MAX_ITERATIONS = 100


@dataclass(frozen=True)
class Logistic:
    """scikit-learn's logistic regression on imputed, scaled numbers and one-hot categories."""

    name: str = "logistic"
    devices: tuple[str, ...] = ("cpu",)

    def defaults(self) -> dict[str, Any]:
        """Little regularization: there are far more rows than columns."""
        return {"C": 1.0}

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """The inverse strength of the L2 penalty."""
        return {"C": trial.suggest_float("C", 1e-4, 100.0, log=True)}

    def fit(
        self, data: Training, params: Mapping[str, Any], *, seed: int, device: str = "cpu", threads: int = 1
    ) -> FittedLogistic:
        """A fitted pipeline; the number of threads can change its last bits, so pin it to repeat a fit."""
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits

        require_device(self, device)
        pipeline = _pipeline(data.encoder, params, seed)
        with threadpool_limits(threads), warnings.catch_warnings():
            # The iterations are a budget; what the model is worth after them, validation tells.
            warnings.simplefilter("ignore", ConvergenceWarning)
            pipeline.fit(data.X, data.y)
        return FittedLogistic(pipeline, len(data.encoder.features))


@dataclass(frozen=True)
class FittedLogistic:
    """A fitted scikit-learn pipeline."""

    pipeline: Pipeline
    n_features: int

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Probability of the positive class, float64 [n_rows]."""
        scores: np.ndarray = self.pipeline.predict_proba(X)[:, 1].astype(np.float64)
        return scores

    def to_onnx(self) -> onnx.ModelProto:
        """The pipeline as skl2onnx converts it, reduced to the probability of the positive class."""
        from onnx import TensorProto, helper, numpy_helper
        from onnx.utils import Extractor
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

        converted = to_onnx(
            self.pipeline,
            initial_types=[("X", FloatTensorType([None, self.n_features]))],
            name="logistic",
            options={"zipmap": False},
            target_opset=OPSETS,
        )
        converted.ir_version = IR_VERSION
        model: onnx.ModelProto = Extractor(converted).extract_model(["X"], ["probabilities"])
        model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "positive"))
        model.graph.node.append(
            helper.make_node("Gather", ["probabilities", "positive"], ["score"], name="probability", axis=1)
        )
        del model.graph.output[:]
        model.graph.output.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows", 1]))
        return model


def _pipeline(encoder: Encoder, params: Mapping[str, Any], seed: int) -> Pipeline:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    codes = [np.arange(max(size, 1), dtype=np.float32) for size in encoder.cardinalities]
    parts = [
        (
            "numeric",
            make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()),
            list(range(encoder.n_numeric)),
        ),
        (
            "categorical",
            make_pipeline(
                # -1 is in no vocabulary: a missing or unseen category sets no column.
                SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True),
                OneHotEncoder(categories=codes, handle_unknown="ignore", dtype=np.float32),
            ),
            list(range(encoder.n_numeric, len(encoder.features))),
        ),
    ]
    return make_pipeline(
        ColumnTransformer([part for part in parts if part[2]], sparse_threshold=1.0),
        LogisticRegression(C=params["C"], max_iter=MAX_ITERATIONS, random_state=seed),
    )
