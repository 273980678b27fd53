from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from service.frames.formats import STREAM, write_table
from service.http import shadow as module
from service.http.app import Application
from service.http.figures import MOST_MODELS, Figures
from service.http.served import Served
from service.http.shadow import Shadow
from service.http.version import load_version
from service.predict.predictor import Prediction
from tests.support.applications import unnamed
from tests.support.stored_bentos import StoredBentos


@pytest.fixture
def shadowed(bentos: StoredBentos) -> Served:
    """Serve 1-a with 2-b as its shadow, which works when a test says so."""
    served = Served()
    served.load(bentos.bundle("1-a"))
    served.figures = Figures()
    served.metrics.add(served.figures)
    served.shadow = Shadow(load_version(bentos.bundle("2-b")), served.figures)
    return served


def outcomes(served: Served) -> dict[str, float]:
    """Return the number of records of the shadow by outcome."""
    name = "sextant_shadow_records_total"
    lines = TestClient(Application(served)).get("/metrics").text.splitlines()
    counted = [line.rpartition(" ") for line in lines if line.startswith(name)]
    assert all('model="flight_delays:2"' in labels for labels, _, _ in counted)
    return {labels.partition('outcome="')[2].rstrip('"}'): float(value) for labels, _, value in counted}


def work(served: Served) -> None:
    assert served.shadow is not None
    served.shadow.end()
    served.shadow.work()


def test_a_shadow_is_compared_and_never_heard(shadowed: Served, record: dict[str, Any], bentos: StoredBentos) -> None:
    client, alone = TestClient(Application(shadowed)), Served()
    alone.load(bentos.bundle("1-a"))
    plain = TestClient(Application(alone))
    bodies: list[Any] = [record, {"records": [record, {**record, "distance": 0}]}, {"records": [record] * 250}]

    for body in bodies:
        response, without = client.post("/predict", json=body), plain.post("/predict", json=body)
        assert unnamed(response.json()) == unnamed(without.json())
        assert response.headers["x-sextant-model"] == without.headers["x-sextant-model"] == "flight_delays:1"
    assert outcomes(shadowed) == {}
    work(shadowed)

    assert outcomes(shadowed) == {"score": 252, "same": 1}  # a distance of 0 has no weight
    text = client.get("/metrics").text
    assert 'sextant_shadow_difference_count{model="flight_delays:2"} 253.0' in text
    difference = abs(bentos.score(1) - bentos.score(2))
    total = next(line for line in text.splitlines() if line.startswith("sextant_shadow_difference_sum"))
    assert float(total.split()[-1]) == pytest.approx(252 * difference, rel=1e-4)


def test_decisions_that_differ_are_counted(shadowed: Served, bentos: StoredBentos, record: dict[str, Any]) -> None:
    middle = (bentos.score(1) + bentos.score(2)) / 2
    for version in (shadowed.version, shadowed.shadow and shadowed.shadow.version):
        assert version is not None
        version.predictor.model.thresholds[:] = [middle]
    client = TestClient(Application(shadowed))

    assert client.post("/predict", json=record).json()["decision"] is True
    client.post("/predict", json={"records": [{**record, "distance": 1}] * 2})
    work(shadowed)

    assert outcomes(shadowed) == {"decision": 1, "score": 2}


def test_records_that_a_shadow_refuses_are_counted(
    shadowed: Served, record: dict[str, Any], bentos: StoredBentos
) -> None:
    assert shadowed.shadow is not None
    champion = shadowed.require_predictor()
    prediction = champion.predict([record])
    shadowed.shadow.offer([{"scheduled_departure": "2014-01-02T10:30:00", "wings": 2}], prediction, champion)
    shadowed.shadow.offer([record], prediction, champion)
    work(shadowed)

    assert outcomes(shadowed) == {"refused": 1, "score": 1}


def test_a_shadow_that_fails_is_logged_and_goes_on(
    shadowed: Served, record: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shadowed.shadow is not None
    predictor = shadowed.shadow.version.predictor
    with monkeypatch.context() as patched:
        patched.setattr(predictor, "predict", lambda records: 1 / 0)
        TestClient(Application(shadowed)).post("/predict", json=record)
        work(shadowed)
    TestClient(Application(shadowed)).post("/predict", json=record)
    work(shadowed)

    assert outcomes(shadowed) == {"failed": 1, "score": 1}
    assert "flight_delays:2-b failed as a shadow" in caplog.text


def test_what_waits_for_a_shadow_has_a_bound(
    shadowed: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_RECORDS", 5)
    client = TestClient(Application(shadowed))

    for _ in range(3):
        assert client.post("/predict", json={"records": [record] * 2}).status_code == 200
    assert outcomes(shadowed) == {"dropped": 2}
    work(shadowed)
    client.post("/predict", json={"records": [record] * 5})
    work(shadowed)

    assert outcomes(shadowed) == {"dropped": 2, "score": 9}


def test_the_rows_of_tables_are_compared_as_records_are_and_few_tables_wait(
    shadowed: Served, record: dict[str, Any], bentos: StoredBentos
) -> None:
    client = TestClient(Application(shadowed))
    table = write_table(STREAM, pa.Table.from_pylist([record] * 150))

    for _ in range(3):
        assert client.post("/predict_batch", content=table, headers={"content-type": STREAM}).status_code == 200
    assert outcomes(shadowed) == {"dropped": 150}
    work(shadowed)

    assert outcomes(shadowed) == {"score": 300, "dropped": 150}


def test_the_texts_that_wait_for_a_shadow_have_a_bound(
    shadowed: Served, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CHARACTERS", 2_000)
    client = TestClient(Application(shadowed))

    for _ in range(3):
        assert client.post("/predict", json={**record, "tailnum": "N" * 900}).status_code == 200
    assert outcomes(shadowed) == {"dropped": 1}
    work(shadowed)

    assert sum(outcomes(shadowed).values()) == 3


def test_a_shadow_of_the_settings_works_behind_the_requests(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEXTANT_SHADOW", "flight_delays:2-b")
    served = Served()
    served.start(bentos.bundle("1-a"))
    assert served.not_ready is None

    assert TestClient(Application(served)).post("/predict", json=record).json()["model"] == "flight_delays:1"

    assert served.shadow is not None
    while not outcomes(served):
        pass
    served.shadow.end()
    assert outcomes(served) == {"score": 1}


def test_one_that_has_become_the_champion_is_not_compared_with_itself(
    shadowed: Served, bentos: StoredBentos, record: dict[str, Any]
) -> None:
    shadowed.swap(load_version(bentos.bundle("2-b")))

    TestClient(Application(shadowed)).post("/predict", json=record)
    work(shadowed)

    assert outcomes(shadowed) == {}


def test_classes_are_compared_by_the_greatest_difference_of_a_probability(shadowed: Served) -> None:
    assert shadowed.shadow is not None
    task = shadowed.require_predictor().plan.task
    seen: list[Any] = []
    figures: Any = type("Seen", (), {"compared": lambda self, *about: seen.append(about)})()
    classes = type(task)(kind="multiclass", classes=("a", "b", "c"))

    def predictor(scores: list[list[float]]) -> Any:
        plan = type("Plan", (), {"task": classes})()
        predict = {"predict": lambda self, records: Prediction(scores, [[]] * len(records))}
        about = {"name": "x:1", "id": "c", "plan": plan, "thresholds": [], "events": None}
        return type("Fixed", (), {**about, **predict})()

    fixed = predictor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    shadow = Shadow(replace(shadowed.shadow.version, predictor=fixed), figures)
    answered = [[0.5, 0.25, 0.25], [0.6, 0.2, 0.2]]
    other = predictor(answered)
    other.name = "x:2"
    shadow.offer([{}, {}], Prediction([*answered], [[], []]), other)
    shadow.end()
    shadow.work()

    ((model, differences, differ),) = seen
    assert (model, differ) == ("x:1", [False, True])
    assert differences == pytest.approx([0.05, 0.5])


def test_of_many_models_the_figures_of_the_last_ones_are_shown() -> None:
    figures = Figures()
    for number in range(10):
        figures.scored(f"m:{number}", 0.01)
        figures.compared(f"m:{number}", [0.0, 0.5], [False, True])
        figures.shadowed(f"m:{number}", "dropped", 3)

    models = {sample.labels["model"] for metric in figures.collect() for sample in metric.samples}

    assert models == {f"m:{number}" for number in range(10 - MOST_MODELS, 10)}
