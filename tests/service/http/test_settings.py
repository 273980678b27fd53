from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from resources.settings import Settings
from service.http.app import Application
from service.http.limits import SettingError
from service.http.served import Served
from service.http.settings import NAMES, check_names

ROOT = Path(__file__).parents[3]


def test_all_settings_that_the_service_reads_are_known() -> None:
    code = "".join(file.read_text() for file in (ROOT / "service").rglob("*.py"))

    assert set(re.findall(r'"(SEXTANT_\w*[A-Z])"', code)) == NAMES


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("SEXTANT_API_KEY", "SEXTANT_API_KEYS"),
        ("SEXTANT_APIKEYS", "SEXTANT_API_KEYS"),
        ("SEXTANT_API_KEY_FILE", "SEXTANT_API_KEYS_FILE"),
        ("SEXTANT_EVENT", "SEXTANT_EVENTS"),
        ("SEXTANT_PREDICTIONS_HASHED", "SEXTANT_PREDICTIONS_HASH"),
        ("SEXTANT_PREDICTION_WITHOUT", "SEXTANT_PREDICTIONS_WITHOUT"),
        ("SEXTANT_MAX_CONCURRENCY", "SEXTANT_MAX_CONCURRENT"),
    ],
)
def test_a_slip_in_a_name_is_said_with_the_name_that_is_meant_and_without_its_value(slip: str, meant: str) -> None:
    with pytest.raises(SettingError, match=f"^{slip} is no setting of a service; is {meant} meant[?]$"):
        check_names({slip: "value", meant: "1"})


def test_all_slips_are_said_and_an_empty_one_is_none() -> None:
    slips = {"SEXTANT_API_KEY": "k", "SEXTANT_WORKER": "2", "SEXTANT_EVENT": ""}

    with pytest.raises(SettingError, match=r"SEXTANT_API_KEY .*; SEXTANT_WORKER is no setting"):
        check_names(slips)


def test_settings_of_other_commands_and_what_kubernetes_sets_are_no_slips() -> None:
    linked = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_PROTO"]
    services = ["SEXTANT_SERVICE", "SEXTANT", "SEXTANT_BREAST_CANCER", "SEXTANT_MODEL"]
    own = [str(field.alias) for field in Settings.model_fields.values()]

    check_names({f"{service}_{name}": "10.0.0.1" for service in services for name in linked})
    check_names(dict.fromkeys([*own, *NAMES, "SEXTANT_SERVICE_USE_CASE", "SEXTANT_TIED_TO", "PATH"], "1"))


def test_a_process_with_a_slip_is_not_ready_and_answers_nobody(
    write_bundle: Any, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEXTANT_API_KEY", "secret")
    served = Served()

    served.start(write_bundle())

    client = TestClient(Application(served))
    said = {"error": "SEXTANT_API_KEY is no setting of a service; is SEXTANT_API_KEYS meant?"}
    assert client.get("/readyz").json() == said
    assert client.post("/predict", json=record).status_code == 503


def test_the_log_names_the_settings_that_hold_without_their_values(
    write_bundle: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bentoml.sextant")
    monkeypatch.setenv("SEXTANT_API_KEYS", "secret")

    Served().start(write_bundle())

    assert "is loaded; settings: ['SEXTANT_API_KEYS']" in caplog.text
    assert "secret" not in caplog.text
