"""Promotions that reach a served process under load; it is started as in production, by `bentoml serve`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from resources.bentos import free_port, stop, wait_until_ready
from tests.support.stored_bentos import StoredBentos

ROOT = Path(__file__).parents[3]
CLIENTS = 8
SETTINGS = {"SEXTANT_FOLLOW": "0.2", "SEXTANT_WORKERS": "2", "SEXTANT_MAX_SECONDS": "5"}
JSON = {"content-type": "application/json"}


@contextmanager
def serving(bundle: Path, scratch: Path, **settings: str) -> Iterator[str]:
    """Start two workers that look for promotions five times a second; yield their address."""
    (scratch / "temporary").mkdir()
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BENTOML_HOME": str(scratch / "home"),
        "BENTOML_DO_NOT_TRACK": "True",
        "SEXTANT_BUNDLE": str(bundle),
        "SEXTANT_DRAIN_SECONDS": "0",
        "TMPDIR": str(scratch / "temporary"),
        **settings,
    }
    command = [sys.executable, "-m", "bentoml", "serve", "service.service:ModelService", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            assert wait_until_ready(f"http://127.0.0.1:{port}", process, 120), log.seek(0) or log.read()[-2000:]
            yield f"127.0.0.1:{port}"
        finally:
            stop(process)


class Client:
    """Asks over one connection until it may stop; each answer is a status and who it says answered, with its score."""

    def __init__(self, address: str, record: dict[str, Any]) -> None:
        self._connection, self._body = HTTPConnection(address, timeout=30), json.dumps(record)
        self._many = json.dumps({"records": [record] * 3})
        self.latest, self.answers = "", Counter[tuple[Any, ...]]()

    def ask(self, ended: Event) -> None:
        """Ask for one record and for several, by turns."""
        while not ended.is_set():
            for body in (self._body, self._many):
                self._connection.request("POST", "/predict", body, JSON)
                response = self._connection.getresponse()
                content = json.loads(response.read())
                scores = [content["score"]] if "score" in content else content["scores"]
                headers = response.headers["x-sextant-model"], response.headers["x-sextant-coordinates"]
                about = content["model"], content["coordinates"]
                self.answers[response.status, *about, *headers, *{round(score, 6) for score in scores}] += 1
                self.latest = content["model"]
        self._connection.close()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def are_answered_by(clients: list[Client], model: str) -> bool:
    return {client.latest for client in clients} == {model}


def is_refused(address: str) -> bool:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        return b"sextant_champion_refused 1.0" in answer.read()


class Teller:
    """Sends events one by one, and takes them back; after each it asks, and notes how many there are."""

    def __init__(self, address: str, record: dict[str, Any]) -> None:
        self._address, self._record = address, record
        self.answers: list[tuple[int, str, float]] = []

    def tell(self, ended: Event) -> None:
        """Go on until it may stop, over a new connection each time, so that any of the workers answers."""
        there = set[int]()
        while not ended.is_set():
            number = len(self.answers) % 10
            there ^= {number}
            departed = "2014-01-02T07:00:00" if number in there else None
            event = {"id": f"new {number}", "origin": "JFK", "departed_at": departed, "delay": 1}
            self._ask("/events", {"table": "flights", "rows": [event]})
            content = self._ask("/predict", self._record)
            self.answers.append((len(there), content["model"], content["score"]))

    def _ask(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(f"http://{self._address}{path}", json.dumps(body).encode(), JSON)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def has_heard(self, model: str, since: int) -> bool:
        """Return whether a model has answered since some answers."""
        return model in {name for _, name, _ in self.answers[since:]}


@pytest.mark.slow
def test_no_event_is_lost_while_versions_change(bentos: StoredBentos, record: dict[str, Any], tmp_path: Path) -> None:
    ended = Event()
    with (
        serving(bentos.bundle("1-a"), tmp_path, **SETTINGS, SEXTANT_EVENTS=str(tmp_path / "events")) as address,
        ThreadPoolExecutor(1) as threads,
    ):
        teller = Teller(address, record)
        telling = threads.submit(teller.tell, ended)
        try:
            for version, number in (("2-b", 2), ("1-a", 1), ("2-b", 2), ("1-a", 1)):
                bentos.promote(version)
                until(partial(teller.has_heard, f"flight_delays:{number}", len(teller.answers)))
        finally:
            ended.set()
        telling.result(60)

    expected = [bentos.score(int(model[-1]), events) for events, model, _ in teller.answers]
    assert [score for *_, score in teller.answers] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_no_request_fails_or_mixes_versions_through_promotions_a_broken_one_and_a_rollback(
    bentos: StoredBentos, record: dict[str, Any], tmp_path: Path
) -> None:
    bentos.add("3-c", 3)
    (bentos.add("4-d", 4) / "src" / "bundle" / "model.onnx").write_bytes(b"torn")
    scores = {number: round(bentos.score(number), 6) for number in (1, 2, 3)}
    ended = Event()
    with (
        serving(bentos.bundle("1-a"), tmp_path, **SETTINGS) as address,
        socket.create_connection(address.split(":"), timeout=60) as silent,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        clients = [Client(address, record) for _ in range(CLIENTS)]
        asking = [threads.submit(client.ask, ended) for client in clients]
        try:
            for version, number in (("2-b", 2), ("3-c", 3), ("4-d", 3), ("1-a", 1), ("3-c", 3)):
                bentos.promote(version)
                if version == "4-d":
                    until(partial(is_refused, address))
                until(partial(are_answered_by, clients, f"flight_delays:{number}"))
        finally:
            ended.set()
        for future in asking:
            future.result(60)
        with suppress(ConnectionResetError):
            assert silent.recv(1) == b""  # who sends nothing is dropped

    seen = sum((client.answers for client in clients), Counter())
    expected = {
        (200, f"flight_delays:{number}", f"c{number}", f"flight_delays:{number}", f"c{number}", score)
        for number, score in scores.items()
    }
    assert seen.keys() == expected
    assert all(len(client.answers) == len(expected) for client in clients)
