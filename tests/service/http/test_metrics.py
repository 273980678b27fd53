from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.served import Served


def figures(client: TestClient) -> dict[str, float]:
    """Return the value of each series."""
    lines = [line for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def requests(client: TestClient) -> dict[str, float]:
    """Return the number of requests by route and status, without those of the figures themselves."""
    name = "sextant_request_seconds_count"
    found = {series.removeprefix(name): value for series, value in figures(client).items() if series.startswith(name)}
    return {labels: value for labels, value in found.items() if "/metrics" not in labels}


def test_requests_are_counted_by_route_and_status(client: TestClient, record: dict[str, Any]) -> None:
    for body in (record, record, {}):
        client.post("/predict", json=body)
    client.get("/predict")
    client.get("/nowhere")

    assert requests(client) == {
        '{route="/predict",status="200"}': 2,
        '{route="/predict",status="422"}': 1,
        '{route="/predict",status="405"}': 1,
        '{route="elsewhere",status="404"}': 1,
    }


def test_lists_are_measured_and_records_with_a_warning_counted(client: TestClient, record: dict[str, Any]) -> None:
    client.post("/predict", json={"records": [record, {**record, "tailnum": "N9"}, record]})
    client.post("/predict", json=record)

    found = figures(client)

    assert (found["sextant_list_records_count"], found["sextant_list_records_sum"]) == (1, 3)
    assert found["sextant_warned_records_total"] == 1


def test_the_number_of_series_does_not_grow_with_what_is_asked(client: TestClient) -> None:
    def ask(start: int) -> None:
        for number in range(start, start + 50):
            client.request(f"VERB{number}", f"/path{number}")
            client.request(f"VERB{number}", "/predict")
            client.get(f"/predict/{number}?x={number}")

    ask(0)
    client.get("/metrics")
    before = len(figures(client))
    ask(50)

    assert len(figures(client)) == before


def test_model_and_readiness_are_shown(write_bundle: Any) -> None:
    served = Served()
    client = TestClient(Application(served))
    assert figures(client)["sextant_ready"] == 0

    served.load(write_bundle())

    found = figures(client)
    assert found["sextant_ready"] == 1
    assert found['sextant_model_info{coordinates="c0ffee",model="flight_delays:3"}'] == 1


def test_two_services_count_apart(served: Served, record: dict[str, Any]) -> None:
    one, other = TestClient(Application(served)), TestClient(Application(Served()))

    one.post("/predict", json=record)

    assert sum(requests(one).values()) == 1
    assert requests(other) == {}


def test_the_workers_of_a_service_show_the_sums_of_all(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path
) -> None:
    bundle, one, other = write_bundle(), Served(), Served()
    for served in (one, other):
        served.metrics_folder = tmp_path
        served.load(bundle)
    TestClient(Application(other)).post("/predict", json={"records": [record, {**record, "tailnum": None}]})
    other.metrics.share()
    (tmp_path / f"{os.getpid()}.prom").rename(
        tmp_path / "0.prom"
    )  # that of a worker of another number, which has ended

    client = TestClient(Application(one))
    for _ in range(2):
        client.post("/predict", json=record)
    client.post("/predict", json=[])

    assert requests(client) == {'{route="/predict",status="200"}': 3, '{route="/predict",status="422"}': 1}
    found = figures(client)
    assert (found["sextant_list_records_count"], found["sextant_list_records_sum"]) == (1, 2)
    assert (found["sextant_warned_records_total"], found["sextant_ready"]) == (1, 1)
    assert {path.name for path in tmp_path.glob("*.*")} == {"0.prom", f"{os.getpid()}.prom"}


def test_figures_are_shared_soon_after_a_request(served: Served, tmp_path: Path) -> None:
    served.metrics_folder = tmp_path
    later: list[Any] = []
    file = tmp_path / f"{os.getpid()}.prom"

    async def ask() -> None:
        loop = asyncio.get_running_loop()

        def call_later(*call: Any) -> asyncio.TimerHandle:
            later.append(call)
            return asyncio.TimerHandle(0.0, print, (), loop)

        loop.call_later = call_later  # type: ignore[assignment, method-assign]
        for _ in range(3):
            served.metrics.answered("/predict", 200, 0.01)
        ((_, share, pause),) = later
        share(pause)
        assert 'status="200"' in file.read_text()
        while len(later) < 7:
            file.unlink()
            later[-1][1](later[-1][2])  # logs and shadows work on when nobody asks
            assert file.exists()

    asyncio.run(ask())

    assert [seconds for seconds, *_ in later] == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_what_waits_in_a_worker_that_was_killed_is_not_shown_as_waiting(served: Served, tmp_path: Path) -> None:
    served.metrics_folder = tmp_path
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / f"{ended.pid}.prom").write_text(
        "# TYPE sextant_predictions_waiting gauge\nsextant_predictions_waiting 7.0\n"
        "# TYPE sextant_predictions_logged_total counter\nsextant_predictions_logged_total 5.0\n"
    )
    (tmp_path / f"{os.getppid()}.prom").write_text(
        "# TYPE sextant_predictions_waiting gauge\nsextant_predictions_waiting 2.0\n"
    )

    found = figures(TestClient(Application(served)))

    assert (found["sextant_predictions_waiting"], found["sextant_predictions_logged_total"]) == (2, 5)


def test_figures_are_shown_where_they_cannot_be_written(
    served: Served, record: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served.metrics_folder = tmp_path
    (tmp_path / f"{os.getpid()}.new").mkdir()
    client = TestClient(Application(served))
    client.post("/predict", json=record)

    assert requests(client) == {'{route="/predict",status="200"}': 1}
    assert "the other workers do not hear of the figures of this one" in caplog.text


def test_an_answer_that_failed_is_counted_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(Application(served))
    monkeypatch.setattr(served.require_predictor(), "coordinates", object())

    assert client.get("/coordinates").status_code == 500
    assert requests(client) == {'{route="/coordinates",status="500"}': 1}
