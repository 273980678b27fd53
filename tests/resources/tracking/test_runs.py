"""Tracking against an MLflow server that serves the artifacts itself, as in a deployment."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from resources.bentos import free_port
from resources.tracking.runs import Tracking


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The URL of an MLflow server whose database and artifacts only it can reach."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", f"{tmp_path}/artifacts"),
    ]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def model() -> bytes:
    """The smallest ONNX model: it answers with its input."""
    inputs, outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [inputs], [outputs])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


@pytest.mark.slow
def test_a_model_is_registered_and_read_back_through_the_server_alone(server: str, home: Path) -> None:
    import mlflow

    tracking, content = Tracking(uri=server), model()
    before = tracking.champion("case")

    with tracking.run("case", "onnx_model", {"stage": "models"}, fluent=True) as run:
        mlflow.log_metric("of the user", 1)
        run.metrics({"roc_auc": 0.9})
        run.file("plot.png", b"png")
        version = tracking.registry("case").register(run, content, {"sextant.coordinates": "0123"})
    unpromoted = tracking.champion("case")
    tracking.client().set_registered_model_alias("case", "champion", version)

    champion = tracking.champion("case")
    assert before is None
    assert unpromoted is None
    assert champion is not None
    assert champion.tags == {"sextant.coordinates": "0123"}
    assert champion.source == f"mlflow-artifacts:/{run.experiment_id}/{run.id}/artifacts/model"
    assert tracking.onnx("case", version) == content
    ended = tracking.client().get_run(run.id)
    assert ended.info.status == "FINISHED"
    assert ended.data.metrics == {"of the user": 1, "roc_auc": 0.9}
    assert not (home / "mlflow").exists()
