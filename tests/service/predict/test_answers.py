"""The service answers every task: a probability, that of each class, or a number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from starlette.testclient import TestClient

from assets.stages.predictions import answer_columns
from ml.tasks.task import Task as Number
from service.http.app import Application
from service.http.served import Served
from service.plan.document import BundleError
from service.predict.predictor import load_predictor
from tests.service.conftest import NUMERIC, PLAN, RECORD, WEIGHTS, onnx_model

LOGIT = float(np.dot([500, 0, 10, 100, 8, 7], WEIGHTS))  # of the golden record, by hand
CLASSES = ["early", "late", "never"]
FACTORS = np.array([[0.0, 1.0, -2.0]], np.float32)  # of the logit, for each class
PROBABILITIES = (np.exp(LOGIT * FACTORS[0]) / np.exp(LOGIT * FACTORS[0]).sum()).tolist()
MULTICLASS = {"kind": "multiclass", "classes": CLASSES}


def model_of(task: dict[str, Any]) -> onnx.ModelProto:
    """The tests' small model, which answers with the logit itself or with the softmax of its multiples."""
    model = onnx_model(NUMERIC, [], WEIGHTS)
    graph, outputs = model.graph, len(task.get("targets") or task.get("classes", []))
    graph.node.pop()  # the sigmoid
    if outputs:
        graph.initializer.append(numpy_helper.from_array(FACTORS[:, :outputs], "factors"))
        graph.initializer.append(numpy_helper.from_array(np.array([-1, 1]), "column"))
        graph.node.append(helper.make_node("Reshape", ["logit", "column"], ["logits"]))
        graph.node.append(helper.make_node("MatMul", ["logits", "factors"], ["multiples"]))
        graph.node.append(helper.make_node("Softmax", ["multiples"], ["score"], axis=1))
    else:
        graph.node.append(helper.make_node("Identity", ["logit"], ["score"]))
    del graph.output[:]
    shape = [None, outputs] if outputs else [None]
    graph.output.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, shape))
    model.metadata_props.add(key="sextant.task", value=json.dumps({"classes": [], **task}))
    return model


@pytest.fixture
def write(write_bundle: Any) -> Any:
    """Writes a bundle for a task; the model may be for another one."""

    def written(task: dict[str, Any], scores: list[Any], model_task: dict[str, Any] | None = None) -> Path:
        folder: Path = write_bundle({**PLAN, "task": task})
        onnx.save(model_of(model_task or task), folder / "model.onnx")
        golden = {"records": [RECORD] * len(scores), "scores": scores, "tolerance": 1e-3}
        (folder / "golden.json").write_text(json.dumps(golden))
        return folder

    return written


@contextmanager
def client_of(folder: Path) -> Iterator[TestClient]:
    served = Served()
    served.load(folder)
    assert served.not_ready is None
    with TestClient(Application(served)) as client:
        yield client


def test_a_regression_is_answered_with_a_number(write: Any, record: dict[str, Any]) -> None:
    with client_of(write({"kind": "regression"}, [LOGIT])) as client:
        one = client.post("/predict", json=record).json()
        two = client.post("/predict", json={"records": [record, record]}).json()
        index, schema = client.get("/").json(), client.get("/schema").json()

    assert one["score"] == pytest.approx(LOGIT, abs=1e-5)
    assert list(one) == ["score", "model", "coordinates", "id", "warnings"]
    assert two["scores"] == [one["score"]] * 2
    assert index["task"] == {"kind": "regression", "classes": []}
    assert schema["description"] == (
        "Answered with `score`, the predicted number. There is no interval: the model carries none."
    )


def test_a_number_has_the_interval_that_the_model_carries_in_one_answer_and_in_many(
    write: Any, record: dict[str, Any]
) -> None:
    folder, width = write({"kind": "regression"}, [LOGIT]), 0.1234567890123
    carry(folder, "sextant.reference", {"interval": {"wanted": 0.9, "half_width": width, "rows": 99}})

    with client_of(folder) as client:
        one = client.post("/predict", json=record).json()
        two = client.post("/predict", json={"records": [record, {**record, "distance": 9}]}).json()
        schema = client.get("/schema").json()

    assert one["interval"] == {"lower": one["score"] - width, "upper": one["score"] + width, "level": 0.9}
    ends = answer_columns(Number("regression"), np.array(two["scores"]), (), width)  # as batch predictions have them
    assert [interval["lower"] for interval in two["intervals"]] == ends["lower"].tolist()
    assert [interval["upper"] for interval in two["intervals"]] == ends["upper"].tolist()
    assert two["intervals"][0] == one["interval"]
    assert "which is to hold 0.9 of the true numbers" in schema["description"]


def test_too_few_validation_rows_leave_a_number_without_an_interval_and_say_so(
    write: Any, record: dict[str, Any]
) -> None:
    folder = write({"kind": "regression"}, [LOGIT])
    carry(folder, "sextant.reference", {"interval": {"wanted": 0.99, "half_width": None, "rows": 20}})

    with client_of(folder) as client:
        assert list(client.post("/predict", json=record).json())[:2] == ["score", "model"]
        told = client.get("/schema").json()["description"]

    assert told.endswith("There is no interval: 20 validation rows are too few for one that is to hold 0.99 of them.")


def carry(folder: Path, name: str, content: Any) -> None:
    """Let the model in a folder carry more."""
    model = onnx.load(folder / "model.onnx")
    model.metadata_props.add(key=name, value=json.dumps(content))
    onnx.save(model, folder / "model.onnx")


@pytest.mark.parametrize("beside", [-0.01, 0.0, 0.01])
def test_a_probability_is_answered_with_the_decision_at_the_models_threshold(
    write: Any, record: dict[str, Any], beside: float
) -> None:
    folder = write({"kind": "binary"}, [LOGIT])
    with client_of(folder) as client:
        score = client.post("/predict", json=record).json()["score"]
    model = onnx.load(folder / "model.onnx")
    reference = {"threshold": {"value": score + beside, "objective": "greatest F1"}, "baseline": [0.5]}
    model.metadata_props.add(key="sextant.reference", value=json.dumps(reference))
    onnx.save(model, folder / "model.onnx")

    with client_of(folder) as client:
        one = client.post("/predict", json=record).json()
        many = client.post("/predict", json={"records": [record, {**record, "distance": -9e9}]}).json()
        schema = client.get("/schema").json()

    assert (one["score"], one["decision"], one["threshold"]) == (score, beside <= 0, score + beside)
    assert list(one) == ["score", "decision", "threshold", "model", "coordinates", "id", "warnings"]
    assert many["decisions"] == [decided >= score + beside for decided in many["scores"]]
    assert len(set(many["decisions"])) == (2 if beside <= 0 else 1)
    assert many["threshold"] == score + beside
    assert f"`decision`, which is true from the `threshold` {score + beside} on" in schema["description"]


@pytest.mark.parametrize("reference", ["{}", '{"threshold": null}'])
def test_without_a_threshold_there_is_no_decision(write: Any, record: dict[str, Any], reference: str) -> None:
    folder = write({"kind": "binary"}, [LOGIT])
    model = onnx.load(folder / "model.onnx")
    model.metadata_props.add(key="sextant.reference", value=reference)
    onnx.save(model, folder / "model.onnx")

    with client_of(folder) as client:
        assert list(client.post("/predict", json=record).json())[:2] == ["score", "model"]


def test_a_reference_that_cannot_be_read_is_refused(write: Any) -> None:
    folder = write({"kind": "binary"}, [LOGIT])
    model = onnx.load(folder / "model.onnx")
    model.metadata_props.add(key="sextant.reference", value='{"threshold": 3}')
    onnx.save(model, folder / "model.onnx")

    with pytest.raises(BundleError, match=r"'sextant\.reference'"):
        load_predictor(folder)


def test_many_classes_are_answered_with_the_likeliest_and_the_probability_of_each(
    write: Any, record: dict[str, Any]
) -> None:
    with client_of(write(MULTICLASS, [PROBABILITIES])) as client:
        one = client.post("/predict", json=record).json()
        many = client.post("/predict", json={"records": [record, {**record, "distance": -9000}] * 60}).json()
        schema = client.get("/schema").json()

    assert one["class"] == CLASSES[int(np.argmax(PROBABILITIES))]
    assert list(one["probabilities"]) == CLASSES
    assert list(one["probabilities"].values()) == pytest.approx(PROBABILITIES, abs=1e-5)
    assert list(one) == ["class", "probabilities", "model", "coordinates", "id", "warnings"]
    assert [len(many[name]) for name in ("classes", "probabilities", "warnings")] == [120] * 3
    assert many["probabilities"][0] == one["probabilities"]
    assert len(set(many["classes"])) == 2
    assert schema["description"].endswith("that of each: early, late, never.")


@pytest.mark.parametrize(
    ("task", "scores", "model_task", "message"),
    [
        (MULTICLASS, [PROBABILITIES], {"kind": "multiclass", "classes": ["a", "b", "c"]}, "its task is multiclass of"),
        ({"kind": "regression"}, [LOGIT], MULTICLASS, "its task is regression, and that of model.onnx multiclass of"),
        ({"kind": "multiclass", "classes": ["a"]}, [[1.0]], None, "needs at least two classes, all different"),
        ({"kind": "multiclass", "classes": ["a", "a"]}, [[1.0, 0.0]], None, "needs at least two classes"),
        ({"kind": "binary", "classes": ["a", "b"]}, [0.5], MULTICLASS, "task: 'binary' has no classes"),
        ({"kind": "ranking"}, [0.5], MULTICLASS, "ranking"),
    ],
)
def test_a_task_that_contradicts_itself_or_the_model_is_refused(
    write: Any, task: dict[str, Any], scores: list[Any], model_task: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        load_predictor(write(task, scores, model_task))


def test_golden_answers_of_another_shape_are_refused(write: Any) -> None:
    with pytest.raises(BundleError, match=r"scores of shape \(1,\), and the model answers with \(1, 3\)"):
        load_predictor(write(MULTICLASS, [0.5])).difference()


SEVERAL = {"kind": "binary", "targets": CLASSES[:2]}  # of which the small model answers what it answers of two classes


def with_thresholds(folder: Path, thresholds: dict[str, float]) -> Path:
    model = onnx.load(folder / "model.onnx")
    targets = {name: {"threshold": {"value": value}} for name, value in thresholds.items()}
    model.metadata_props.add(key="sextant.reference", value=json.dumps({"targets": targets}))
    onnx.save(model, folder / "model.onnx")
    return folder


def test_several_targets_are_answered_with_the_probability_and_the_decision_of_each(
    write: Any, record: dict[str, Any]
) -> None:
    golden = (np.exp(LOGIT * FACTORS[0, :2]) / np.exp(LOGIT * FACTORS[0, :2]).sum()).tolist()
    cuts = {"late": golden[1] + 0.01, "early": golden[0] - 0.01}  # in another order than the targets

    with client_of(with_thresholds(write(SEVERAL, [golden]), cuts)) as client:
        one = client.post("/predict", json=record).json()
        many = client.post("/predict", json={"records": [record, record]}).json()
        index, schema = client.get("/").json(), client.get("/schema").json()
        ready = client.get("/readyz").status_code

    assert one["probabilities"] == pytest.approx(dict(zip(CLASSES, golden, strict=False)), abs=1e-6)
    assert one["decisions"] == {"early": True, "late": False}
    assert one["thresholds"] == cuts
    assert many["probabilities"] == [one["probabilities"]] * 2
    assert many["decisions"] == [one["decisions"]] * 2
    assert index["task"] == {"kind": "binary", "classes": [], "targets": CLASSES[:2]}
    assert f"threshold on: early {cuts['early']}, late {cuts['late']}." in schema["description"]
    assert ready == 200


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ({"kind": "binary", "targets": ["a"]}, "several targets are those of 'binary', two or more, all different"),
        ({"kind": "binary", "targets": ["a", "a"]}, "all different; given: ['a', 'a']"),
        ({"kind": "regression", "targets": ["a", "b"]}, "several targets are those of 'binary'"),
    ],
)
def test_a_task_of_targets_that_cannot_be_is_refused(write: Any, task: dict[str, Any], problem: str) -> None:
    with pytest.raises(BundleError) as error:
        load_predictor(write(task, [LOGIT], SEVERAL))

    assert problem in str(error.value)


def test_a_model_without_the_threshold_of_a_target_is_refused(write: Any) -> None:
    with pytest.raises(BundleError, match=r"has no threshold of the targets \['late'\]"):
        load_predictor(with_thresholds(write(SEVERAL, [[0.5, 0.5]]), {"early": 0.5}))


def test_a_model_of_other_targets_than_the_plan_is_refused(write: Any) -> None:
    other = {**SEVERAL, "targets": ["early", "never"]}

    with pytest.raises(BundleError, match=r"binary of \['early', 'late'\], .* binary of \['early', 'never'\]"):
        load_predictor(write(SEVERAL, [[0.5, 0.5]], other))
