"""What a record of 30 numbers is often served by, to compare with; `serving.py` starts each."""

import json
import os
from pathlib import Path
from typing import Any

import bentoml
import joblib
import numpy as np
import onnxruntime
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, create_model
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MODEL, SESSION = os.environ.get("BENCHMARK_JOBLIB", ""), os.environ.get("BENCHMARK_ONNX", "")
NAMES = os.environ.get("BENCHMARK_COLUMNS", "").split()  # in the order that the ONNX model takes
Record: Any = create_model("Record", **dict.fromkeys(NAMES, (float | None, None)))
Records: Any = create_model("Records", records=(list[Record], ...))


def train(path: str, folder: str) -> None:
    """Write a joblib file of the pipeline that the ONNX model is, too: imputer, scaler, logistic regression.

    In folders of their own it is a model of MLflow's and one of MLServer's.
    """
    import mlflow.sklearn

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X.columns = ["_".join(name.split()) for name in X.columns]
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    X = X.rename(columns=_renamed)
    joblib.dump(pipeline.fit(X[sorted(X.columns)], y), path)
    mlflow.sklearn.save_model(
        pipeline, Path(folder, "mlflow"), pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle"
    )
    place = Path(folder, "mlserver")
    place.mkdir()
    model = {"name": "breast_cancer", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": path}}
    (place / "model-settings.json").write_text(json.dumps(model))
    (place / "settings.json").write_text(json.dumps({"parallel_workers": 0, "host": "127.0.0.1", "debug": False}))


def _renamed(name: str) -> str:
    return f"{name.removesuffix('_error')}_error" if name.endswith("_error") else name


async def _nothing(_: Request) -> JSONResponse:
    return JSONResponse({"score": 0.5})


empty = Starlette(routes=[Route("/predict", _nothing, methods=["POST"]), Route("/livez", _nothing)])

fastapi = FastAPI()
fastapi.add_route("/livez", _nothing)
_pipeline = joblib.load(MODEL) if MODEL else None


def _proba(records: list[BaseModel]) -> list[float]:
    frame = pd.DataFrame([record.model_dump() for record in records], columns=_pipeline.feature_names_in_, dtype=float)
    return _pipeline.predict_proba(frame)[:, 1].tolist()


@fastapi.post("/predict")
def one(record: Record) -> dict[str, float]:
    """Answer one record."""
    return {"score": _proba([record])[0]}


@fastapi.post("/predict_many")
def many(body: Records) -> dict[str, list[float]]:
    """Answer several."""
    return {"scores": _proba(body.records)}


@bentoml.service
class Typed:
    """A Bento with typed methods, as BentoML's own first page writes one."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(SESSION, options, providers=["CPUExecutionProvider"])

    def _scores(self, records: list[BaseModel]) -> list[float]:
        rows = [[getattr(record, name) for name in NAMES] for record in records]
        return self.session.run(["score"], {"numeric": np.array(rows, np.float32)})[0].tolist()

    @bentoml.api
    def predict(self, record: Record) -> dict[str, float]:
        """Answer one record."""
        return {"score": self._scores([record])[0]}

    @bentoml.api
    def predict_many(self, records: list[Record]) -> dict[str, list[float]]:
        """Answer several."""
        return {"scores": self._scores(records)}
