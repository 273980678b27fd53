"""One past for all: workers that are killed, and services that share a folder, answer by what had been accepted."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import psutil
import pytest

from resources.bentos import free_port, wait_until_ready
from service.history.events import Events
from service.history.log import EventLog
from service.predict.predictor import Predictor, load_predictor
from tests.support.postgres import PROGRAMS, cluster

ROOT = Path(__file__).parents[2]
WORKER = """
import sys
from pathlib import Path
import uvicorn
from service.http.app import Application
from service.http.served import Served
served = Served()
served.start(Path(sys.argv[1]), sys.argv[2])
uvicorn.run(Application(served), port=int(sys.argv[3]), log_level="warning")
"""


class Worker:
    """A process that answers by a bundle and a place of events, and can be killed and started again."""

    def __init__(self, bundle: Path, place: str, log: Any) -> None:
        self._command = [sys.executable, "-c", WORKER, str(bundle), place]
        self._log = log
        self.start()

    def start(self) -> None:
        self.port = free_port()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [*self._command, str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self._log, stderr=self._log)

    def wait(self) -> None:
        assert wait_until_ready(f"http://127.0.0.1:{self.port}", self.process, 120)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def post(self, path: str, body: Any) -> Any:
        return post(self.port, path, body)


def post(port: int, path: str, body: Any, **headers: str) -> Any:
    """Ask over a connection of its own; raises OSError or HTTPException if there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json", **headers})
        response = connection.getresponse()
        content = json.loads(response.read())
        assert response.status == 200, content
        return content
    finally:
        connection.close()


@contextmanager
def workers(bundle: Path, place: str, count: int) -> Iterator[list[Worker]]:
    with tempfile.TemporaryFile() as log, ExitStack() as stack:
        started = [Worker(bundle, place, log) for _ in range(count)]
        for worker in started:
            stack.callback(lambda worker=worker: worker.kill())
        for worker in started:
            worker.wait()
        yield started


def flight(number: int, choice: random.Random) -> dict[str, Any]:
    """An event that counts for the record, is of another origin, or is withdrawn."""
    at = choice.choice([None, "2014-01-02T07:30:00", "2014-01-01T00:00:00", "2014-01-02T08:30:00"])
    return {"id": f"e{number}", "origin": choice.choice(["JFK", "JFK", "LGA"]), "departed_at": at, "delay": 1.5}


class Reference:
    """A predictor of what has been accepted, in the order in which it has."""

    def __init__(self, bundle: Path) -> None:
        self.predictor: Predictor = load_predictor(bundle)
        self._events = Events(self.predictor.plan, self.predictor.histories)

    def accept(self, rows: list[Any]) -> None:
        self._events.accept("flights", rows)

    def score(self, record: Any) -> float:
        score = self.predictor.predict([record]).scores[0]
        assert isinstance(score, float)
        return score


@contextmanager
def place_of(kind: str, folder: Path) -> Iterator[str]:
    if kind == "folder":
        yield str(folder / "log")
        return
    with cluster() as database:
        yield database.url


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "database"])
def test_each_answer_is_that_of_all_that_was_accepted_before_though_workers_are_killed(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path, need: Callable[[object, str], None], kind: str
) -> None:
    need(PROGRAMS or kind == "folder", "postgresql")
    bundle, choice = write_bundle(), random.Random(7)
    reference, exact = Reference(bundle), {"x-sextant-events-max-age": "0"}
    with place_of(kind, tmp_path) as place, workers(bundle, place, 4) as all_of_them:
        away: list[Worker] = []
        for step in range(120):
            rows = [flight(choice.randrange(12), choice) for _ in range(choice.randrange(1, 4))]
            there = [worker for worker in all_of_them if worker not in away]
            target = choice.choice(there)
            killer = None
            if step % 40 == 20:  # at some moment of the request, or before, or after it
                killer = Timer(choice.random() * 0.004, target.process.kill)
                killer.start()
            body = {"table": "flights", "rows": rows}
            try:
                target.post("/events", body)
            except (OSError, http.client.HTTPException):  # accepted or not: to send it again changes nothing
                next(worker for worker in there if worker is not target).post("/events", body)
            reference.accept(rows)
            if killer is not None:
                killer.join()
                target.process.wait()
                away.append(target)
                target.start()
            elif away and step % 40 == 30:
                away.pop().wait()
            expected = reference.score(record)
            asked = [worker for worker in all_of_them if worker not in away]
            assert [post(worker.port, "/predict", record, **exact)["score"] for worker in asked] == [expected] * len(
                asked
            )
            if target in asked:  # which knows what it has accepted itself
                assert target.post("/predict", record)["score"] == expected


@pytest.mark.slow
def test_many_clients_at_once_see_what_was_accepted_and_all_end_with_the_order_of_the_log(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path
) -> None:
    bundle, lock = write_bundle(), Lock()
    sent = accepted = 0

    def send(client: int) -> None:
        nonlocal sent, accepted
        for number in range(10):
            event = {"id": f"n{client}.{number}", "origin": "JFK", "departed_at": "2014-01-02T07:30:00", "delay": 0}
            with lock:
                sent += 1
            all_of_them[(client + number) % 4].post("/events", {"table": "flights", "rows": [event]})
            with lock:
                accepted += 1
            with lock:
                least = accepted
            score = all_of_them[(client + number + 1) % 4].post("/predict", record)["score"]
            with lock:
                most = sent
            assert scores[least] <= score <= scores[most]

    def correct(client: int) -> None:
        choice = random.Random(client)
        for number in range(25):
            rows = [flight(choice.randrange(4), choice) for _ in range(3)]
            all_of_them[number % 4].post("/events", {"table": "flights", "rows": rows})

    counting = Reference(bundle)
    scores = [counting.score(record)]
    for number in range(40):  # of more, float32 would not tell the scores apart
        counting.accept([{"id": f"n{number}", "origin": "JFK", "departed_at": "2014-01-02T07:30:00", "delay": 0}])
        scores.append(counting.score(record))
    with workers(bundle, str(tmp_path), 4) as all_of_them, ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(send, client) for client in range(4)]:
            done.result()
        for done in [threads.submit(correct, client) for client in range(4)]:
            done.result()
        answers = {worker.post("/predict", record)["score"] for worker in all_of_them}

    ordered = Reference(bundle)
    for entry in EventLog(tmp_path, "flight_delays").read():
        ordered.accept(entry.rows)
    assert answers == {ordered.score(record)}


@pytest.mark.slow
def test_the_workers_of_a_service_that_keeps_no_events_share_them_while_it_lives(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path
) -> None:
    bundle, choice, port = write_bundle(), random.Random(3), free_port()
    reference, temporary = Reference(bundle), tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "bentoml.yaml").write_text("services:\n  ModelService:\n    workers: 3\n")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "SEXTANT_EVENTS"},
        "PYTHONPATH": str(ROOT),
        "BENTOML_HOME": str(tmp_path / "home"),
        "BENTOML_CONFIG": str(tmp_path / "bentoml.yaml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "SEXTANT_BUNDLE": str(bundle),
        "SEXTANT_DRAIN_SECONDS": "0",
        "TMPDIR": str(temporary),
    }
    command = [sys.executable, "-m", "bentoml", "serve", "service.service:ModelService", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*command, "--host", "127.0.0.1"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            assert wait_until_ready(f"http://127.0.0.1:{port}", process, 120), log.seek(0) or log.read()[-2000:]
            for step in range(30):
                rows = [flight(choice.randrange(5), choice)]
                ask_until_answered(port, "/events", {"table": "flights", "rows": rows})
                reference.accept(rows)
                if step % 10 == 5:
                    serving = [child for child in psutil.Process(process.pid).children() if "worker" in cmdline(child)]
                    choice.choice(serving).send_signal(signal.SIGKILL)
                answers = [ask_until_answered(port, "/predict", record)["score"] for _ in range(8)]
                assert answers == [reference.score(record)] * 8
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill() if process.poll() is None else None
            process.wait()
    assert not list(temporary.glob("sextant-*"))


def cmdline(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def ask_until_answered(port: int, path: str, body: Any) -> Any:
    """Ask, again where a worker was killed over it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return post(port, path, body)
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline
