"""`sextant export`: the model of a Bento as ONNX with its page, and for Triton and MLServer, each asked as it says."""

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result

from dagster_project.commands.main import main
from dagster_project.exports.facts import facts
from dagster_project.exports.triton import MOST_ROWS, configuration
from resources.bentos import free_port, stop
from service.plan.document import Task
from tests.service.conftest import CATEGORICAL, GOLDEN_SCORE, NUMERIC, RECORD, write_bundle  # noqa: F401
from tests.support.packaged import put_bundle

NAME = "flight_delays"
MLSERVER = "SEXTANT_TEST_MLSERVER"  # a Python that has MLServer, which asks for older packages than this project


@pytest.fixture
def bundle(home: Path, write_bundle: Callable[..., Path]) -> Path:  # noqa: F811
    """The bundle of the tests of the service, with a threshold, as that of a Bento of the home."""
    folder = write_bundle()
    model = onnx.load(folder / "model.onnx")
    about = {"sextant.inputs": model.metadata_props[0].value}
    about["sextant.reference"] = json.dumps({"threshold": {"value": 0.75}})
    onnx.helper.set_model_props(model, about)
    onnx.save(model, folder / "model.onnx")
    return put_bundle(home / "bentoml", NAME, "3-aa", {file.name: file.read_bytes() for file in folder.iterdir()})


@pytest.fixture
def export(bundle: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Exports a kind; returns what the command says is the place."""

    def export(kind: str) -> Path:
        result = run(kind, NAME, "--to", str(tmp_path / "out" / kind))
        assert result.exit_code == 0, result.output
        return Path(result.output.strip())

    return export


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", *arguments])


def test_the_page_of_an_onnx_file_names_its_features_in_order_and_its_code_gives_the_golden_answer(
    export: Callable[[str], Path], bundle: Path
) -> None:
    folder = export("onnx")

    assert {file.name for file in folder.iterdir()} == {"model.onnx", "README.md"}
    assert (folder / "model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
    page = (folder / "README.md").read_text()
    assert re.findall(r"^\| \d+ \| `(.+)` \|$", page, re.M) == [*NUMERIC, *CATEGORICAL]
    assert "from 0.75 on" in page
    assert "c0ffee" in page
    [code] = re.findall(r"```python\n(.*?)```", page, re.S)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == pytest.approx([GOLDEN_SCORE], abs=1e-6)


def test_a_missing_number_is_one_in_the_code_too(bundle: Path) -> None:
    from dagster_project.exports.model_file import page

    about = facts(bundle)
    gap = np.array(about.example["numeric"])
    gap[0, 0] = np.nan

    code = page(replace(about, example={**about.example, "numeric": gap}), "model.onnx")

    assert "np.array([[np.nan, 0.0" in code


def parsed(text: str) -> Any:
    formats = pytest.importorskip("google.protobuf.text_format")
    protocol = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    return formats.Parse(text, protocol.ModelConfig())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_repository_of_triton_says_what_its_file_takes_and_answers(export: Callable[[str], Path]) -> None:
    place = export("triton")

    config = parsed((place / "config.pbtxt").read_text())
    assert place.name == config.name == NAME
    assert config.platform == "onnxruntime_onnx"
    assert config.max_batch_size == MOST_ROWS
    assert {entry.name: (entry.data_type, list(entry.dims)) for entry in config.input} == {
        "numeric": (11, [6]),  # TYPE_FP32
        "categorical": (13, [2]),  # TYPE_STRING
    }
    [output] = config.output
    assert (output.name, output.data_type, list(output.dims), list(output.reshape.shape)) == ("score", 11, [1], [])
    assert output.HasField("reshape")
    assert config.parameters["sextant.coordinates"].string_value == "c0ffee"
    assert config.parameters["sextant.threshold"].string_value == "0.75"
    session = onnxruntime.InferenceSession(place / "3" / "model.onnx")
    assert {node.name: node.shape[1:] for node in session.get_inputs()} == {"numeric": [6], "categorical": [2]}


@pytest.mark.parametrize(
    "task", [Task("multiclass", ("a", 'b"')), Task("binary", several=("churn", "upgrade"))], ids=["classes", "targets"]
)
def test_several_probabilities_are_an_output_with_labels(bundle: Path, task: Task) -> None:
    about = replace(facts(bundle), task=task, thresholds=())

    [output] = parsed(configuration(about)).output

    assert list(output.dims) == [2]
    assert not output.HasField("reshape")
    assert output.label_filename == "labels.txt"


def test_a_number_of_double_precision_is_one_for_all(bundle: Path) -> None:
    from dagster_project.exports.model_file import page

    about = replace(facts(bundle), task=Task("regression"), thresholds=(), answered="tensor(double)")

    assert "`score`, float64 [rows]." in page(about, "model.onnx")
    [output] = parsed(configuration(about)).output
    assert output.data_type == 12  # TYPE_FP64


def test_a_place_that_is_taken_is_refused_and_so_is_a_use_case_without_a_bento(
    export: Callable[[str], Path], tmp_path: Path
) -> None:
    export("onnx")

    again = run("onnx", NAME, "--to", str(tmp_path / "out" / "onnx"))
    other = run("onnx", NAME, "--version", "9", "--to", str(tmp_path / "other"))

    assert again.exit_code == 2
    assert "is there already; name another folder" in again.output.replace("\n", " ")
    assert other.exit_code == 1
    assert not (tmp_path / "other").exists()


@pytest.fixture
def mlserver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The few names of MLServer that a runtime class uses, which keep what they are given."""

    class MLModel:
        name, version = NAME, "3"

    class InferenceError(Exception):
        pass

    types = dict.fromkeys(("InferenceRequest", "InferenceResponse", "ResponseOutput"), SimpleNamespace)
    for name, content in {
        "mlserver": {"MLModel": MLModel},
        "mlserver.errors": {"InferenceError": InferenceError},
        "mlserver.types": types,
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


def tensors(**columns: list[Any]) -> list[Any]:
    return [SimpleNamespace(name=name, data=data) for name, data in columns.items()]


@pytest.mark.usefixtures("mlserver")
def test_the_runtime_class_of_mlserver_answers_columns_as_the_predictor_does(export: Callable[[str], Path]) -> None:
    place = export("mlserver")
    scope: dict[str, Any] = {"__file__": str(place / "sextant_runtime.py"), "__name__": "sextant_runtime"}
    exec((place / "sextant_runtime.py").read_text(), scope)
    runtime = scope["Bundle"]()
    columns = {name: [value, value] for name, value in RECORD.items()} | {"distance": [500.0, float("nan")]}
    columns["carrier"] = [b"UA", ["UA"]]

    ready = asyncio.run(runtime.load())
    answered = asyncio.run(runtime.predict(SimpleNamespace(inputs=tensors(**columns))))

    assert ready
    outputs = {output.name: output for output in answered.outputs}
    assert list(outputs)[:3] == ["score", "decision", "threshold"]
    assert outputs["score"].data[0] == pytest.approx(GOLDEN_SCORE, abs=1e-6)
    assert outputs["score"].data[1] < outputs["score"].data[0]
    assert (outputs["score"].datatype, outputs["decision"].datatype) == ("FP64", "BOOL")
    assert outputs["score"].shape == [2]
    assert len(json.loads(outputs["warnings"].data[1])) == len(json.loads(outputs["warnings"].data[0]))
    with pytest.raises(Exception, match="row 0, carrier: "):
        asyncio.run(runtime.predict(SimpleNamespace(inputs=tensors(**{**columns, "carrier": [1, "UA"]}))))
    with pytest.raises(Exception, match=r"one length; given: \[1, 2\]"):
        asyncio.run(runtime.predict(SimpleNamespace(inputs=tensors(**{**columns, "carrier": ["UA"]}))))


@pytest.mark.usefixtures("mlserver")
@pytest.mark.parametrize(
    ("values", "shape", "kind", "data"),
    [
        ([{"a": 0.25, "b": 0.75}], [1, 2], "FP64", [0.25, 0.75]),
        ([{"a": True, "b": False}, {"a": False, "b": False}], [2, 2], "BOOL", [True, False, False, False]),
        (["a", "b"], [2], "BYTES", ["a", "b"]),
        ([[0.5, 1.5]], [1, 2], "FP64", [0.5, 1.5]),
        ([None, 0.5], [2], "BYTES", ["null", "0.5"]),
        ([], [0], "BYTES", []),
    ],
)
def test_answers_of_any_task_are_tensors(values: list[Any], shape: list[int], kind: str, data: list[Any]) -> None:
    from dagster_project.exports.mlserver import RUNTIME

    scope: dict[str, Any] = {"__name__": "sextant_runtime"}
    exec(RUNTIME.read_text(), scope)

    output = scope["_output"]("it", values)

    assert (output.shape, output.datatype, output.data) == (shape, kind, data)


@pytest.fixture
def started(export: Callable[[str], Path]) -> Iterator[str]:
    """The URL of a model that MLServer serves."""
    python = os.environ.get(MLSERVER)
    if not python:
        pytest.skip(f"${MLSERVER} names no Python that has MLServer")
    place, port = export("mlserver"), free_port()
    ports = {"HTTP_PORT": port, "GRPC_PORT": free_port(), "METRICS_PORT": free_port()}
    process = subprocess.Popen(
        [Path(python).with_name("mlserver"), "start", "."],
        cwd=place,
        env={
            "PATH": os.environ["PATH"],
            "MLSERVER_HOST": "127.0.0.1",
            **{f"MLSERVER_{k}": str(v) for k, v in ports.items()},
        },
    )
    try:
        url = f"http://127.0.0.1:{port}/v2/models/{NAME}"
        wait(f"{url}/ready", process)
        yield url
    finally:
        stop(process)


def wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    import time

    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            assert process.poll() is None
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


@pytest.mark.slow
def test_mlserver_answers_as_the_bento_does(started: str) -> None:
    types = {"charter": "BOOL", "distance": "FP64"}
    inputs = [
        {"name": name, "datatype": types.get(name, "BYTES"), "shape": [1], "data": [value]}
        for name, value in RECORD.items()
    ]

    with urllib.request.urlopen(started) as about:
        described = json.load(about)
    answered = ask(started, inputs)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(started, [{**inputs[0], "data": ["yesterday"]}])

    assert {tensor["name"] for tensor in described["inputs"]} == RECORD.keys()
    outputs = {output["name"]: output["data"] for output in answered["outputs"]}
    assert outputs["score"] == pytest.approx([GOLDEN_SCORE], abs=1e-6)
    assert outputs["decision"] == [GOLDEN_SCORE >= 0.75]


def ask(url: str, inputs: list[dict[str, Any]]) -> Any:
    body = json.dumps({"inputs": inputs}).encode()
    request = urllib.request.Request(f"{url}/infer", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
