from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from service.plan.document import BundleError
from service.predict.features import Matrices
from service.predict.model import CPU, CUDA, Model, load_model, providers_to_request


class Session:
    """Stands in for a session of ONNX Runtime: what it has, and what it answers."""

    def __init__(self, **changes: Any) -> None:
        self.providers: list[str] = changes.get("providers", [CPU])
        self.metadata = changes.get("metadata", {"sextant.inputs": json.dumps({"numeric": ["x"], "categorical": []})})
        self.inputs = changes.get("inputs", {"numeric": [None, 1]})
        self.outputs = changes.get("outputs", ["score"])
        self.scores = changes.get("scores", np.array([0.5], np.float32))

    def get_providers(self) -> list[str]:
        return self.providers

    def get_modelmeta(self) -> Any:
        return SimpleNamespace(custom_metadata_map=self.metadata)

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name=name, shape=shape) for name, shape in self.inputs.items()]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self.outputs]

    def run(self, names: list[str], inputs: dict[str, Any]) -> list[Any]:
        return [self.scores]


ONE_ROW = Matrices(np.zeros((1, 1), np.float32), np.empty((1, 0), object), [[]])


@pytest.mark.parametrize(
    ("available", "devices", "requested"),
    [([CUDA, CPU], 1, [CUDA, CPU]), ([CUDA, CPU], 0, [CPU]), ([CPU], 1, [CPU]), ([CPU], 0, [CPU])],
)
def test_cuda_is_asked_for_where_there_is_a_gpu(available: list[str], devices: int, requested: list[str]) -> None:
    assert providers_to_request(available, devices) == requested


def test_a_gpu_that_the_runtime_cannot_use_is_said(caplog: pytest.LogCaptureFixture) -> None:
    providers_to_request([CPU], 2)

    assert "2 GPUs are not used: install onnxruntime-gpu" in caplog.text


def test_a_downgrade_is_said(caplog: pytest.LogCaptureFixture) -> None:
    model = Model(Session(providers=[CPU]), [CUDA, CPU])

    assert model.providers == [CPU]
    assert f"runs without ['{CUDA}'], which was asked for" in caplog.text


def test_a_model_that_runs_where_it_should_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Model(Session(providers=[CUDA, CPU]), [CUDA, CPU])

    assert caplog.text == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metadata": {}}, "no 'sextant.inputs'"),
        ({"metadata": {"sextant.inputs": "[]"}}, "'sextant.inputs'"),
        ({"inputs": {}}, "it has no input 'numeric'"),
        ({"inputs": {"numeric": [None, 2]}}, "input 'numeric' takes 2 features, and its metadata names 1"),
        ({"inputs": {"numeric": [None, 1], "image": [None]}}, "input 'image' is none of"),
        ({"outputs": ["probabilities"]}, "it has no output 'score'"),
    ],
)
def test_a_model_that_does_not_keep_the_contract_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError) as raised:
        Model(Session(**changes), [CPU])

    assert message in str(raised.value)


def test_an_answer_of_another_shape_is_an_error() -> None:
    scores = np.array([[0.5, 0.5]], np.float32)

    with pytest.raises(ArithmeticError, match="1 records were answered"):
        Model(Session(scores=scores), [CPU]).score(ONE_ROW)


@pytest.mark.parametrize(
    ("numeric", "categorical"), [(["distance", "planes.seats"], ["carrier"]), (["distance"], []), ([], ["carrier"])]
)
def test_a_real_model_answers_with_either_input_absent(
    write_bundle: Any, numeric: list[str], categorical: list[str]
) -> None:
    folder: Path = write_bundle(numeric=numeric, categorical=categorical, weights=[0.0] * len(numeric))
    model = load_model(folder / "model.onnx")
    matrices = Matrices(
        np.ones((3, len(numeric)), np.float32), np.full((3, len(categorical)), "AA", dtype=object), [[], [], []]
    )

    assert model.score(matrices).tolist() == [0.5, 0.5, 0.5]
