"""Dagster's own command, with workspace.yaml, serves the code location as `sextant dev` does."""

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from resources.bentos import free_port

from .conftest import BIN, answers, wait_until

QUERY = "{repositoriesOrError {... on RepositoryConnection {nodes {location {name} jobs {name} assetNodes {id}}}}}"


def nodes_of(url: str) -> list[dict[str, object]]:
    body = json.dumps({"query": QUERY}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        nodes: list[dict[str, object]] = json.load(answer)["data"]["repositoriesOrError"]["nodes"]
    return nodes


@pytest.mark.slow
def test_dagster_dev_serves_the_workspace(tmp_path: Path, home: Path, copy_project: Callable[[Path], Path]) -> None:
    project, port = copy_project(tmp_path / "project"), free_port()
    shutil.rmtree(project / "configs" / "flight_delays")  # its sensor would start a run
    command = [str(BIN / "dagster"), "dev", "-w", "workspace.yaml", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    process = subprocess.Popen(
        command,
        cwd=project,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell may ignore it in the background
    )
    try:
        wait_until(lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}/server_info"))
        wait_until(lambda: nodes_of(f"http://127.0.0.1:{port}"))
        (location,) = nodes_of(f"http://127.0.0.1:{port}")
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)

    assert location["location"] == {"name": "sextant"}
    assert {"name": "breast_cancer_retrain"} in location["jobs"]
    assert len(location["assetNodes"]) > 10
