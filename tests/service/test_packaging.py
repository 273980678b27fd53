"""The service as a Bento: built aside, started, asked, and only then in the store."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.bentos import SERVICE, BentoError, BentoStore, ask
from resources.runtime import requirements

LABELS = {"use_case": "flight_delays", "coordinates": "c0ffee"}


def bundle(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def modules(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}


@pytest.mark.slow
def test_a_bento_is_stored_once_it_has_answered_and_a_wrong_one_never(
    home: Path, write_bundle: Any, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # of a service that runs elsewhere
    monkeypatch.setenv("SEXTANT_BUNDLE", "/nowhere")
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
