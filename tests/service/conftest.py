"""A small bundle: an ONNX model, a plan with every kind of feature, three lookups, and a table of events."""

from __future__ import annotations

import copy
import datetime as dt
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.http.app import Application
from service.http.served import Served
from tests.support.stored_bentos import StoredBentos

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would have httpx2, and BentoML's import uses what pathspec deprecates
    from starlette.testclient import TestClient

    import service.service  # noqa: F401

NUMERIC = ["distance", "charter", "HOUR(scheduled_departure)", "planes.seats", "weather.wind", "origin.COUNT(flights)"]
CATEGORICAL = ["carrier", "planes.maker"]
WEIGHTS = [0.001, 0.5, 0.1, -0.01, 0.05, 0.2]
CODES = {"UA": 0.25, "DL": -0.5, "BOEING": 0.125}

PLAN: dict[str, Any] = {
    "use_case": "flight_delays",
    "record": {
        "scheduled_departure": "time",
        "carrier": "text",
        "origin": "text",
        "tailnum": "text",
        "distance": "number",
        "charter": "flag",
    },
    "required": ["scheduled_departure"],
    "cutoff": {"column": "scheduled_departure", "before_s": 7200},
    "features": [
        {"name": "carrier", "kind": "column", "column": "carrier"},
        {"name": "distance", "kind": "column", "column": "distance"},
        {"name": "charter", "kind": "column", "column": "charter"},
        {
            "name": "HOUR(scheduled_departure)",
            "kind": "calendar",
            "column": "scheduled_departure",
            "primitive": "hour",
        },
        {"name": "planes.seats", "kind": "lookup", "lookup": "planes", "column": "seats"},
        {"name": "planes.maker", "kind": "lookup", "lookup": "planes", "column": "maker"},
        {"name": "weather.wind", "kind": "lookup", "lookup": "weather", "column": "wind"},
        {
            "name": "origin.COUNT(flights)",
            "kind": "window",
            "lookup": "origin",
            "aggregation": "count",
            "window_s": 86400,
        },
    ],
    "lookups": {
        "planes": {"file": "planes.parquet", "kind": "static", "on": ["tailnum"], "keys": ["tailnum"]},
        "weather": {
            "file": "weather.parquet",
            "kind": "latest",
            "on": ["origin"],
            "keys": ["station"],
            "time": "observed_at",
            "valid_for_s": 21600,
        },
        "origin": {
            "file": "flights.parquet",
            "kind": "window",
            "on": ["origin"],
            "keys": ["origin"],
            "time": "departed_at",
            "scales": {"delay": 1},
            "at_cutoff": "excluded",
            "since": "2014-01-01T00:00:00",
        },
    },
    "events": {
        "flights": {
            "record": {"id": "text", "origin": "text", "departed_at": "time", "delay": "number"},
            "key": "id",
            "views": [
                {
                    "file": "flights.parquet",
                    "query": "select id as _row, origin, departed_at, cast(round(delay * 10) as bigint) as delay "
                    "from event where departed_at is not null",
                }
            ],
        },
    },
    "golden": "golden.json",
}

RECORD = {
    "scheduled_departure": "2014-01-02T10:30:00",
    "carrier": "UA",
    "origin": "JFK",
    "tailnum": "N1",
    "distance": 500,
    "charter": False,
}


def time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


TABLES = {
    "planes.parquet": pa.table(
        {"tailnum": ["N2", "N1"], "seats": [None, 100], "maker": pa.array(["AIRBUS", "BOEING"]).dictionary_encode()}
    ),
    "weather.parquet": pa.table(
        {
            "station": ["JFK", "JFK", "LGA", None],
            "observed_at": pa.array(
                [time("2014-01-02T08:00"), time("2014-01-02T05:00"), time("2014-01-01T00:00"), None],
                pa.timestamp("ns"),
            ),
            "wind": [8.0, 5.0, 1.0, 99.0],
        }
    ),
    "flights.parquet": pa.table(
        {
            "_row": [f"f{number}" for number in range(8)],
            "origin": ["JFK"] * 8,
            # the first is too old for the golden record's window, whose cutoff is 2014-01-02T08:30
            "departed_at": pa.array(
                [time("2014-01-01T08:29"), *(time(f"2014-01-02T0{hour}:00") for hour in range(7))], pa.timestamp("us")
            ),
            "delay": pa.array([None, *range(10, 80, 10)], pa.int64()),
        }
    ),
}


def onnx_model(numeric: list[str], categorical: list[str], weights: list[float]) -> onnx.ModelProto:
    """Build the model sigmoid(numeric, NaN as 0, times weights, plus the codes of the categories)."""
    nodes, inputs = [], []
    if numeric:
        inputs.append(helper.make_tensor_value_info("numeric", TensorProto.FLOAT, [None, len(numeric)]))
        nodes += [
            helper.make_node("IsNaN", ["numeric"], ["missing"]),
            helper.make_node("Where", ["missing", "zero", "numeric"], ["filled"]),
            helper.make_node("MatMul", ["filled", "weights"], ["numbers"]),
        ]
    if categorical:
        inputs.append(helper.make_tensor_value_info("categorical", TensorProto.STRING, [None, len(categorical)]))
        encode: dict[str, Any] = {
            "keys_strings": list(CODES),
            "values_floats": list(CODES.values()),
            "default_float": 0.0,
        }
        nodes += [
            helper.make_node("LabelEncoder", ["categorical"], ["codes"], domain="ai.onnx.ml", **encode),
            helper.make_node("ReduceSum", ["codes", "last"], ["texts"], keepdims=0),
        ]
    sides = [name for name, columns in [("numbers", numeric), ("texts", categorical)] if columns]
    nodes += [helper.make_node("Sum", sides, ["logit"]), helper.make_node("Sigmoid", ["logit"], ["score"])]
    constants = {
        "zero": np.float32(0.0),
        "weights": np.array(weights, np.float32),
        "last": np.array([1], np.int64),
    }
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", inputs, [score], initializers)
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=9)
    declared = {"numeric": numeric, "categorical": categorical}
    helper.set_model_props(model, {"sextant.inputs": json.dumps(declared)})
    return model


def expected_score(numbers: list[float], codes: float) -> float:
    """Compute by hand the answer of `onnx_model`."""
    logit = float(np.dot(np.nan_to_num(np.array(numbers)), WEIGHTS)) + codes
    return float(1.0 / (1.0 + np.exp(-logit)))


PLAIN: dict[str, Any] = {
    "use_case": "parcels",
    "record": {
        "sent_at": "time",
        "due": "time",
        "carrier": "text",
        "weight": "number",
        "pieces": "number",
        "fragile": "flag",
    },
    "required": ["sent_at"],
    "cutoff": {"column": "sent_at", "before_s": 0},
    "features": [
        *({"name": name, "kind": "column", "column": name} for name in ("carrier", "weight", "pieces", "fragile")),
        *(
            {"name": f"{part}({column})", "kind": "calendar", "column": column, "primitive": part}
            for column, part in [("sent_at", "hour"), ("sent_at", "week"), ("due", "weekday")]
        ),
    ],
}
PLAIN_NUMBERS = ["weight", "hour(sent_at)", "pieces", "fragile", "week(sent_at)", "weekday(due)"]
PLAIN_RECORD = {
    "sent_at": "2014-01-02T10:30:00",
    "due": "2014-01-05",
    "carrier": "UA",
    "weight": 2.5,
    "pieces": 3,
    "fragile": True,
}
PLAIN_USUAL = {
    "weight": {"missing": 0.5, "lowest": 0.0, "highest": 100.0},
    "pieces": {"missing": 0.0, "lowest": 1.0, "highest": 9.0},
    "carrier": {"missing": 0.0},
}


def score_by(weights: list[float], events: int = 0) -> float:
    """Compute by hand the golden answer of a model with other weights, after some more flights of the last day."""
    logit = float(np.dot(np.array([500, 0, 10, 100, 8, 7 + events]), weights)) + CODES["UA"] + CODES["BOEING"]
    return float(1.0 / (1.0 + np.exp(-logit)))


GOLDEN_SCORE = expected_score([500, 0, 10, 100, 8, 7], CODES["UA"] + CODES["BOEING"])


@pytest.fixture
def plan() -> dict[str, Any]:
    """Return a plan to change at will."""
    return copy.deepcopy(PLAN)


@pytest.fixture
def record() -> dict[str, Any]:
    """Return a record to change at will; its cutoff is 2014-01-02T08:30."""
    return dict(RECORD)


WriteBundle = Callable[..., Path]


@pytest.fixture
def write_bundle(tmp_path: Path) -> WriteBundle:
    """Return a function that writes a bundle, by default the one that the tests call normal."""

    def write(
        plan: dict[str, Any] = PLAN,
        *,
        golden_score: float = GOLDEN_SCORE,
        numeric: list[str] = NUMERIC,
        categorical: list[str] = CATEGORICAL,
        weights: list[float] = WEIGHTS,
    ) -> Path:
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        onnx.save(onnx_model(numeric, categorical, weights), folder / "model.onnx")
        for name, table in TABLES.items():
            pq.write_table(table, folder / name)
        contents = {
            "plan.json": plan,
            "coordinates.json": {"id": "c0ffee", "model_version": "3", "data": {"flights": "sha256:1"}},
            "golden.json": {"records": [RECORD], "scores": [golden_score]},
        }
        for name, content in contents.items():
            (folder / name).write_text(json.dumps(content))
        return folder

    return write


@pytest.fixture
def bentos(tmp_path: Path, write_bundle: WriteBundle) -> StoredBentos:
    """Store two Bentos, 1-a and 2-b, of which the first answers."""
    bentos = StoredBentos(tmp_path / "bentoml", write_bundle, WEIGHTS, score_by)
    bentos.add("1-a", 1)
    bentos.add("2-b", 2)
    bentos.promote("1-a")
    return bentos


@pytest.fixture
def served(write_bundle: WriteBundle) -> Served:
    """Load the normal bundle."""
    served = Served()
    served.load(write_bundle())
    return served


@pytest.fixture
def write_parcels(write_bundle: WriteBundle) -> Callable[[], Path]:
    """Return a function that writes a bundle whose features are all values of the record.

    It knows what is usual, and has a threshold.
    """

    def write() -> Path:
        return _write_parcels(write_bundle)

    return write


def _write_parcels(write_bundle: WriteBundle) -> Path:
    weights = [0.01, 0.1, -0.2, 0.5, -0.01, 0.3]
    folder = write_bundle(PLAIN, numeric=PLAIN_NUMBERS, categorical=["carrier"], weights=weights)
    model = onnx.load(folder / "model.onnx")
    carried = {"sextant.usual": PLAIN_USUAL, "sextant.reference": {"threshold": {"value": 0.5}}}
    for name, content in carried.items():
        model.metadata_props.add(key=name, value=json.dumps(content))
    onnx.save(model, folder / "model.onnx")
    (folder / "golden.json").write_text(json.dumps({"records": [], "scores": []}))
    return folder


@pytest.fixture
def write_numbers(write_bundle: WriteBundle) -> Callable[[str], Path]:
    """Return a function that writes a bundle of two numbers, by the name of its use case."""

    def write(use_case: str) -> Path:
        record = {"a": "number", "b": "number"}
        features = [{"name": name, "kind": "column", "column": name} for name in record]
        plan = {"use_case": use_case, "record": record, "required": [], "features": features}
        folder = write_bundle(plan, numeric=["a", "b"], categorical=[], weights=[1.0, -2.0])
        (folder / "golden.json").write_text('{"records": [], "scores": []}')
        return folder

    return write


@pytest.fixture
def parcels(write_parcels: Callable[[], Path]) -> Served:
    """Load the bundle of `write_parcels`."""
    served = Served()
    served.load(write_parcels())
    return served


@pytest.fixture
def parcel() -> dict[str, Any]:
    """Return a record of `parcels` to change at will."""
    return dict(PLAIN_RECORD)


@pytest.fixture
def client(served: Served) -> Iterator[TestClient]:
    """Yield a client of the application over the normal bundle."""
    with TestClient(Application(served)) as client:
        yield client
