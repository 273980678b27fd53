"""The service as a Bento: built aside, started, asked, and only then in the store."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from resources.bentos import SERVICE, BentoError, BentoStore, ask, free_port, stop, wait_until_ready
from resources.runtime import requirements

EVENTS = {"table": "flights", "rows": [{"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00"}]}
LABELS = {"use_case": "flight_delays", "coordinates": "c0ffee"}


def bundle(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@contextmanager
def served_by_command(*options: str) -> Iterator[tuple[str, Any]]:
    """Run `sextant serve flight_delays` with these options until it is ready; yield its URL and its process."""
    port = free_port()
    environment = {**os.environ, "SEXTANT_DRAIN_SECONDS": "0", "SEXTANT_FOLLOW": "0.2"}
    for name in ("SEXTANT_API_KEYS", "SEXTANT_BUNDLE", "SEXTANT_MAX_RECORDS"):
        environment.pop(name, None)
    command = [sys.executable, "-c", "from dagster_project.commands.main import main; main()", "serve", "flight_delays"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), *options], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            assert wait_until_ready(url, process, 120), log.seek(0) or log.read()[-2000:]
            yield url, process
        finally:
            stop(process)


def workers_of(pid: int) -> int:
    """Count the processes that answer for the one that was started."""
    commands = [" ".join(child.cmdline()) for child in psutil.Process(pid).children(recursive=True)]
    return sum("_bentoml_impl.worker" in command for command in commands)


def promote_copy(folder: Path, version: str, new: str, model_version: str) -> None:
    """Store a Bento again with another version, of its model too, and let `latest` name it."""
    shutil.copytree(folder / version, folder / new)
    about, coordinates = folder / new / "bento.yaml", folder / new / "src" / "bundle" / "coordinates.json"
    about.write_text(about.read_text().replace(f"version: {version}\n", f"version: {new}\n"))
    coordinates.write_text(json.dumps({**json.loads(coordinates.read_text()), "model_version": model_version}))
    BentoStore().put_first(f"flight_delays:{new}")


def modules(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}


@pytest.mark.slow
def test_a_bento_is_stored_once_it_has_answered_and_a_wrong_one_never(
    home: Path, write_bundle: Any, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # of a service that runs elsewhere
    monkeypatch.setenv("SEXTANT_BUNDLE", "/nowhere")
    monkeypatch.setenv("SEXTANT_API_KEYS", "of-that-service")
    monkeypatch.setenv("SEXTANT_MAX_RECORDS", "none")
    store = BentoStore()
    right = bundle(write_bundle())
    wrong = bundle(write_bundle(golden_score=0.1))

    difference = store.build("flight_delays", "1-aa", right, LABELS, tolerance=1e-5)
    with pytest.raises(BentoError, match=r"flight_delays:2-bb (.|\n)*a golden score differs by"):
        store.build("flight_delays", "2-bb", wrong, LABELS, tolerance=1e-5)

    assert difference < 1e-6
    assert store.has("flight_delays:1-aa")
    assert not store.has("flight_delays:2-bb")
    folder = home / "bentoml" / "bentos" / "flight_delays"
    assert {path.name for path in folder.iterdir()} == {"1-aa", "latest"}
    assert (folder / "latest").read_text() == "1-aa"
    assert (folder / "1-aa").stat().st_mode == folder.stat().st_mode  # who serves it may be another user
    assert [path.name for path in (home / "bentoml").iterdir()] == ["bentos"]
    about = yaml.safe_load((folder / "1-aa" / "bento.yaml").read_text())
    assert about["labels"] == LABELS
    assert {"name": "ORT_DISABLE_TELEMETRY", "value": "1", "stage": "all"} in about["envs"]
    assert modules(folder / "1-aa" / "src" / "service") == modules(SERVICE)
    required = (folder / "1-aa" / "env" / "python" / "requirements.txt").read_text()
    assert required == requirements(right["plan.json"]).text()
    dockerfile = (folder / "1-aa" / "env" / "docker" / "Dockerfile").read_text()
    assert '\n      sextant.coordinates="c0ffee"' in dockerfile
    assert 'ENTRYPOINT ["/home/bentoml/bento/env/docker/entrypoint.sh"]' in dockerfile
    packed = yaml.safe_load((folder / "1-aa" / "apis" / "openapi.yaml").read_text())
    with served_by_command("--workers", "2", "--follow", "--events", str(tmp_path)) as (url, process):
        assert ask(url, record)["model"] == "flight_delays:3"
        assert workers_of(process.pid) == 2
        request = urllib.request.Request(
            f"{url}/events", json.dumps(EVENTS).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["accepted"] == 1
        assert (tmp_path / "flight_delays.events.jsonl").read_text()
        promote_copy(folder, "1-aa", "3-cc", "4")
        end = time.monotonic() + 60
        while ask(url, record)["model"] != "flight_delays:4":
            assert time.monotonic() < end
    with store.serve("flight_delays:1-aa") as url:
        with urllib.request.urlopen(f"{url}/openapi.json") as answer:
            assert json.load(answer) == packed
        assert ask(url, record)["score"] == pytest.approx(json.loads(right["golden.json"])["scores"][0], abs=1e-6)


FLAT: dict[str, Any] = {
    "use_case": "flat",
    "record": {"distance": "number"},
    "required": [],
    "features": [{"name": "distance", "kind": "column", "column": "distance"}],
}


def write_flat(write_bundle: Any) -> Path:
    """Write a bundle whose plan reads nothing but the record."""
    folder: Path = write_bundle(FLAT, numeric=["distance"], categorical=[], weights=[0.01])
    (folder / "golden.json").write_text(json.dumps({"records": [{"distance": 0}], "scores": [0.5]}))
    return folder


def test_a_plan_without_tables_is_served_without_pyarrow_and_duckdb(write_bundle: Any) -> None:
    folder = write_flat(write_bundle)
    code = f"""
import sys
sys.modules |= dict.fromkeys(["pyarrow", "duckdb"])  # whose import is an error from now on
from pathlib import Path
from starlette.testclient import TestClient
from service.http.app import Application
from service.http.served import Served
served = Served()
served.load(Path({str(folder)!r}))
with TestClient(Application(served)) as client:
    for path in ("/", "/schema", "/coordinates", "/openapi.json", "/metrics"):
        assert client.get(path).status_code == 200
    print(client.post("/predict", json={{"distance": 0}}).json()["score"])
"""

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=SERVICE.parent
    )

    assert done.stdout.strip() == "0.5", done.stderr
