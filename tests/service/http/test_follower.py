from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http.app import Application
from service.http.bentos import Bentos
from service.http.follower import Follower, follow
from service.http.served import Served
from service.predict.predictor import Prediction, Predictor
from tests.support.stored_bentos import StoredBentos

EVENT = {"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00", "delay": 1.5}


@pytest.fixture
def followed(bentos: StoredBentos, monkeypatch: pytest.MonkeyPatch) -> Served:
    """Serve 1-a, and be about to follow; the tests look themselves, whenever they want."""
    monkeypatch.setenv("SEXTANT_FOLLOW", "60")
    served = Served()
    served.start(bentos.bundle("1-a"))
    assert served.not_ready is None
    return served


@pytest.fixture
def follower(followed: Served, bentos: StoredBentos) -> Follower:
    follower = Follower(followed, Bentos(bentos.folder), 60)
    follower.look()
    return follower


def answered(served: Served, record: dict[str, Any]) -> tuple[str, str, float]:
    """Return the model and the score of an answer, whose headers name the same model and coordinates."""
    response = TestClient(Application(served)).post("/predict", json=record)
    content = response.json()
    assert response.headers["x-sextant-model"] == content["model"]
    assert response.headers["x-sextant-coordinates"] == content["coordinates"]
    return content["model"], content["coordinates"], round(content["score"], 6)


def gauge(served: Served, name: str = "sextant_champion_refused") -> float:
    lines = TestClient(Application(served)).get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def test_a_promotion_and_a_rollback_reach_the_service(
    followed: Served, follower: Follower, bentos: StoredBentos, record: dict[str, Any]
) -> None:
    before = answered(followed, record)

    seen = []
    for version in ("2-b", "1-a", "2-b"):
        bentos.promote(version)
        follower.look()
        seen.append(answered(followed, record))

    assert before[:2] == ("flight_delays:1", "c1")
    assert seen[0][:2] == ("flight_delays:2", "c2")
    assert seen == [seen[0], before, seen[0]]
    assert before[2] != seen[0][2]
    assert (
        'sextant_model_info{coordinates="c2",model="flight_delays:2"} 1.0'
        in TestClient(Application(followed)).get("/metrics").text
    )


def test_a_pointer_that_was_not_written_costs_one_look(
    follower: Follower, bentos: StoredBentos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bentos, "latest", lambda bentos: pytest.fail("it was read"))

    for _ in range(3):
        follower.look()


def other_code(bentos: StoredBentos) -> None:
    (bentos.folder / "3-c" / "src" / "service" / "predict" / "answers.py").write_text("# of another release")


def other_use_case(bentos: StoredBentos) -> None:
    plan = bentos.bundle("3-c") / "plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "use_case": "churn"}))


BROKEN: list[tuple[Callable[[StoredBentos], Any], str]] = [
    (lambda bentos: (bentos.bundle("3-c") / "model.onnx").unlink(), "model.onnx is not there"),
    (lambda bentos: (bentos.bundle("3-c") / "model.onnx").write_bytes(b"torn"), "3-c is not served"),
    (lambda bentos: (bentos.bundle("3-c") / "planes.parquet").unlink(), "3-c is not served"),
    (lambda bentos: (bentos.bundle("3-c") / "plan.json").write_text("{}"), "plan.json cannot be served"),
    (lambda bentos: shutil.rmtree(bentos.folder / "3-c"), "is not in"),
    (other_code, "3-c was built with other code of the service; start the service anew to serve it"),
    (other_use_case, "3-c answers for the use case 'churn'"),
]


@pytest.mark.parametrize(("spoil", "reason"), BROKEN)
def test_a_broken_one_never_replaces_a_good_one_is_said_and_not_tried_again(
    followed: Served,
    follower: Follower,
    bentos: StoredBentos,
    record: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[StoredBentos], Any],
    reason: str,
) -> None:
    before, loads = answered(followed, record), list[str]()
    load = Bentos.load
    monkeypatch.setattr(Bentos, "load", lambda bentos, tag: (loads.append(tag), load(bentos, tag))[1])
    bentos.add("3-c", 3)
    spoil(bentos)

    bentos.promote("3-c")
    for _ in range(3):
        follower.look()

    assert loads == ["flight_delays:3-c"]
    assert answered(followed, record) == before
    assert reason in caplog.text
    assert "flight_delays:3-c is not served" in caplog.text
    assert gauge(followed) == 1
    assert gauge(followed, "sextant_ready") == 1
    bentos.promote("2-b")
    follower.look()
    assert answered(followed, record)[0] == "flight_delays:2"
    assert gauge(followed) == 0


def test_one_that_answers_otherwise_than_it_did_is_broken(
    followed: Served, follower: Follower, bentos: StoredBentos, record: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bentos.add("3-c", 3, golden_score=0.1)

    bentos.promote("3-c")
    follower.look()

    assert answered(followed, record)[0] == "flight_delays:1"
    assert "flight_delays:3-c: a golden score differs by" in caplog.text
    bentos.promote("1-a")
    follower.look()
    assert gauge(followed) == 0


@pytest.mark.parametrize("content", ["", "\n", "../1-a", "flight_delays:2-b", "..", "/", "\udcff", "2-b\0"])
def test_a_pointer_that_names_nothing_changes_nothing(
    followed: Served, follower: Follower, bentos: StoredBentos, record: dict[str, Any], content: str
) -> None:
    bentos.promote(content)
    follower.look()

    assert answered(followed, record)[0] == "flight_delays:1"


def test_a_pointer_that_goes_away_changes_nothing(
    followed: Served, follower: Follower, bentos: StoredBentos, record: dict[str, Any]
) -> None:
    (bentos.folder / "latest").unlink()
    follower.look()
    assert answered(followed, record)[0] == "flight_delays:1"

    bentos.promote("2-b")
    follower.look()
    assert answered(followed, record)[0] == "flight_delays:2"


class Slow(Predictor):
    """Answers once it may."""

    may, begun = Event(), Event()

    def predict(self, records: Sequence[Any], *limits: Any, **options: Any) -> Prediction:
        self.begun.set()
        assert self.may.wait(30)
        return super().predict(records, *limits, **options)


def test_a_request_is_answered_by_the_version_that_it_began_with(
    followed: Served, follower: Follower, bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Slow.may, Slow.begun = Event(), Event()
    monkeypatch.setattr(Slow, "is_quick", False)
    followed.require_predictor().__class__ = Slow
    client = TestClient(Application(followed))
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(client.post, "/predict", json={"records": [record] * 2})
        assert Slow.begun.wait(30)
        bentos.promote("2-b")
        follower.look()
        after = answered(followed, record)
        Slow.may.set()
        response = asked.result(30)

    content = response.json()
    assert after[0] == "flight_delays:2"
    assert (content["model"], content["coordinates"]) == ("flight_delays:1", "c1")
    assert (response.headers["x-sextant-model"], response.headers["x-sextant-coordinates"]) == ("flight_delays:1", "c1")
    assert content["scores"] == pytest.approx([bentos.score(1)] * 2, abs=1e-6)


def test_the_memory_of_the_version_before_is_freed(followed: Served, follower: Follower, bentos: StoredBentos) -> None:
    before = weakref.ref(followed.require_predictor()), weakref.ref(followed.require_events())
    gc.collect()
    gc.freeze()  # as a worker does once its bundle is loaded
    try:
        bentos.promote("2-b")
        follower.look()

        assert [reference() for reference in before] == [None, None]
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_a_service_that_ends_does_not_become_ready_again(
    followed: Served, follower: Follower, bentos: StoredBentos
) -> None:
    followed.drain()

    bentos.promote("2-b")
    follower.look()

    assert followed.not_ready == "the service is shutting down"


def test_a_worker_that_comes_back_serves_what_the_others_do(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEXTANT_FOLLOW", "60")
    bentos.promote("2-b")
    served = Served()
    served.start(bentos.bundle("1-a"))

    follower = follow(served, bentos.bundle("1-a"))

    assert follower is not None
    follower.end()
    assert answered(served, record)[0] == "flight_delays:2"


def test_a_service_whose_bundle_is_broken_is_healed_by_a_rollback(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEXTANT_FOLLOW", "60")
    (bentos.bundle("2-b") / "plan.json").write_text("{}")
    bentos.promote("2-b")
    served = Served()
    served.start(bentos.bundle("2-b"))
    follower = follow(served, bentos.bundle("2-b"))
    assert follower is not None
    follower.end()
    assert TestClient(Application(served)).get("/readyz").status_code == 503

    bentos.promote("1-a")
    follower.look()

    assert TestClient(Application(served)).get("/readyz").status_code == 200
    assert answered(served, record)[0] == "flight_delays:1"


def test_nobody_is_followed_by_default(bentos: StoredBentos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEXTANT_FOLLOW", raising=False)
    served = Served()
    served.start(bentos.bundle("1-a"))

    assert follow(served, bentos.bundle("1-a")) is None
    assert "sextant_champion_refused" not in TestClient(Application(served)).get("/metrics").text


def test_a_bundle_that_lies_in_no_store_follows_that_of_the_environment(
    bentos: StoredBentos, write_bundle: Any, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEXTANT_FOLLOW", "60")
    monkeypatch.setenv("BENTOML_HOME", str(bentos.folder.parents[1]))
    served = Served()
    served.start(write_bundle())

    follower = follow(served, write_bundle())

    assert follower is not None
    follower.end()
    assert answered(served, record)[0] == "flight_delays:1"


@pytest.mark.parametrize("value", ["soon", "-1", "1e9"])
def test_seconds_that_are_none_are_said(bentos: StoredBentos, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SEXTANT_FOLLOW", value)
    served = Served()

    served.start(bentos.bundle("1-a"))

    assert "SEXTANT_FOLLOW" in str(served.not_ready)
    assert follow(served, bentos.bundle("1-a")) is None


def test_events_of_the_log_are_in_the_version_that_comes(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEXTANT_FOLLOW", "60")
    served = Served()
    served.start(bentos.bundle("1-a"), tmp_path / "log")
    follower = Follower(served, Bentos(bentos.folder, partial(served.open, place=tmp_path / "log")), 60)
    client = TestClient(Application(served))
    scores = {}

    for version in ("1-a", "2-b"):
        bentos.promote(version)
        follower.look()
        scores[version] = [answered(served, record)[2]]
    assert client.post("/events", json={"table": "flights", "rows": [EVENT]}).status_code == 200
    for version in ("2-b", "1-a"):
        bentos.promote(version)
        follower.look()
        scores[version].append(answered(served, record)[2])

    assert all(before < after for before, after in scores.values())


@pytest.mark.parametrize("started_with", ["1-a", "2-b"])
def test_a_service_that_lacks_its_challenger_is_not_ready_whoever_is_promoted(
    bentos: StoredBentos, monkeypatch: pytest.MonkeyPatch, started_with: str
) -> None:
    if started_with == "2-b":
        (bentos.bundle("2-b") / "plan.json").write_text("{}")
    bentos.add("3-c", 3)
    monkeypatch.setenv("SEXTANT_FOLLOW", "60")
    monkeypatch.setenv("SEXTANT_SPLIT", "9-z:0.5")
    served = Served()
    served.start(bentos.bundle(started_with))

    bentos.promote("3-c")
    Follower(served, Bentos(bentos.folder), 60).look()

    assert served.require_predictor().name == "flight_delays:3"
    assert str(served.not_ready).startswith("SEXTANT_SPLIT: '9-z' is not in")


def test_a_service_that_is_healed_has_all_that_its_settings_ask_for(
    bentos: StoredBentos, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (bentos.bundle("1-a") / "plan.json").write_text("{}")
    bentos.add("3-c", 3)
    monkeypatch.setenv("SEXTANT_FOLLOW", "60")
    monkeypatch.setenv("SEXTANT_SPLIT", "2-b:1")
    served = Served()
    served.start(bentos.bundle("1-a"))
    assert served.not_ready is not None

    bentos.promote("3-c")
    Follower(served, Bentos(bentos.folder), 60).look()

    assert served.not_ready is None
    assert answered(served, record)[0] == "flight_delays:2"
