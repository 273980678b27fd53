"""The image of a Bento, as podman makes and runs it."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from resources.bentos import BentoStore, free_port
from tests.service.http.test_drain import CLIENTS, DRAIN_S, ask_until_refused
from tests.service.test_packaging import bundle, write_flat

COMMAND = "from dagster_project.commands.containerize import containerize; containerize()"
BASE = "docker.io/library/python:3.11-slim"
LABELS = {"use_case": "flat", "coordinates": "c0ffee", "commit": "f00d"}


def podman(*arguments: str) -> str:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The name of the image to be made; it is removed afterwards, with the stage that it was made by."""
    if not shutil.which("podman") or subprocess.run(["podman", "image", "exists", BASE]).returncode:
        pytest.skip(f"needs podman and the image {BASE}")
    name = f"localhost/sextant-test-{os.getpid()}"
    yield name
    subprocess.run(["podman", "rmi", "--force", name], capture_output=True)
    subprocess.run(["podman", "image", "prune", "--force"], capture_output=True)


@pytest.mark.slow
def test_an_image_answers_as_nobody_from_a_read_only_disk(home: Path, image: str, write_bundle: Any) -> None:
    store = BentoStore()
    store.build("flat", "1-aa", bundle(write_flat(write_bundle)), LABELS, tolerance=1e-5)

    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "flat", "--backend", "podman", "--opt", "network=host", "--image-tag", image],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    [about] = json.loads(podman("image", "inspect", image))
    assert about["Config"]["User"] == "1034:1034"
    assert "/readyz" in about["Healthcheck"]["Test"][-1]
    assert about["Labels"]["org.opencontainers.image.title"] == "flat"
    assert about["Labels"]["org.opencontainers.image.revision"] == "f00d"
    assert about["Labels"]["sextant.coordinates"] == "c0ffee"
    [base] = json.loads(podman("image", "inspect", BASE))
    assert about["Size"] - base["Size"] < 260e6
    port = free_port()
    strict = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
    settings = ["--env", f"BENTOML_PORT={port}", "--env", f"SEXTANT_DRAIN_SECONDS={DRAIN_S}"]
    container = podman("run", "--detach", "--network", "host", *strict, *settings, image)
    try:
        url = f"http://127.0.0.1:{port}"
        assert answered(f"{url}/readyz") == {"ready": True}, podman("logs", container)
        record = urllib.request.Request(f"{url}/predict", b'{"distance": 0}', {"content-type": "application/json"})
        with urllib.request.urlopen(record) as answer:
            assert json.load(answer)["score"] == 0.5
        podman("healthcheck", "run", container)
        tools = podman("exec", container, "sh", "-c", "command -v gcc cc c++ clang make ld uv; true")
        assert tools == ""
        begin = Barrier(CLIENTS + 1)
        with ThreadPoolExecutor(CLIENTS) as threads:
            address, body = f"127.0.0.1:{port}", '{"distance": 0}'
            clients = [threads.submit(ask_until_refused, address, body, begin) for _ in range(CLIENTS)]
            begin.wait()
            podman("stop", "--time", "20", container)
            lost = sum(client.result(60)[1] for client in clients)
    finally:
        podman("stop", "--time", "20", container)
        code = podman("inspect", container, "--format", "{{.State.ExitCode}}")
        podman("rm", container)
    assert code == "0"
    assert lost == 0


def answered(url: str, timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)
        except OSError:
            time.sleep(0.1)
    return None
