"""The service as a Bento: built aside, started, asked, and only then in the store."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.bentos import SERVICE, BentoError, BentoStore, ask

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
    packed = yaml.safe_load((folder / "1-aa" / "apis" / "openapi.yaml").read_text())
    with store.serve("flight_delays:1-aa") as url:
        with urllib.request.urlopen(f"{url}/openapi.json") as answer:
            assert json.load(answer) == packed
        assert ask(url, record)["score"] == pytest.approx(json.loads(right["golden.json"])["scores"][0], abs=1e-6)
