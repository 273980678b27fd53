"""Events in a PostgreSQL that the tests start: one past for replicas."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psycopg2
import pytest
from starlette.testclient import TestClient

from service.history.events import Events
from service.history.places import open_store
from service.history.postgres import PostgresLog, compact_database
from service.history.store import Entry, EventLogError, StoreError, UncertainError
from service.http.app import Application
from service.http.served import Served
from service.records.deadline import OutOfTimeError
from service.records.reader import Record
from tests.support.past import PLAN, Row, histories_of, reference, sent, values_of
from tests.support.postgres import PROGRAMS, Cluster, cluster

pytestmark = pytest.mark.slow

ROW: Row = {"id": "e1", "a": "x", "b": 1, "at": 1_000_000, "v": 3, "w": 250}
RECORD = Record({"a": "x", "b": 1}, 2_000_000)
EVENT = {"id": "f8", "origin": "JFK", "departed_at": "2014-01-02T07:00:00", "delay": 1.5}
KEYS = {"events": ["id"]}


@pytest.fixture(scope="module")
def database() -> Iterator[Cluster]:
    if not PROGRAMS:
        pytest.skip("needs postgresql: apt-get install postgresql")
    with cluster() as server:
        yield server


@pytest.fixture
def url(database: Cluster) -> str:
    """The database, without tables."""
    with psycopg2.connect(database.url) as connection, connection.cursor() as cursor:
        cursor.execute("drop table if exists sextant_logs, sextant_events")
    return database.url


def run(url: str, statement: str) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def test_replicas_take_in_what_any_of_them_accepted_in_one_order(url: str) -> None:
    one, other = histories_of([]), histories_of([])
    first, second = Events(PLAN, one, PostgresLog(url, "past")), Events(PLAN, other, PostgresLog(url, "past"))
    for events in (first, second):
        events.replay()

    first.accept("events", [sent(ROW)])
    second.accept("events", [sent({**ROW, "v": 7})])
    first.accept("events", [sent({**ROW, "id": "e2"})])
    first.refresh(), second.refresh()

    expected = reference([{**ROW, "v": 7}, {**ROW, "id": "e2"}], RECORD)
    np.testing.assert_array_equal(values_of(one, RECORD), expected)
    np.testing.assert_array_equal(values_of(other, RECORD), expected)
    after = histories_of([])
    Events(PLAN, after, PostgresLog(url, "past")).replay()
    np.testing.assert_array_equal(values_of(after, RECORD), expected)


def test_many_writers_at_once_leave_readers_none_to_skip(url: str) -> None:
    logs = [PostgresLog(url, "past") for _ in range(4)]
    reader = PostgresLog(url, "past")
    read = [*reader.read()]

    def write(log: PostgresLog) -> None:
        for number in range(25):
            with log.turn(time.monotonic() + 30):
                log.append("events", [{"id": f"{id(log)}.{number}"}])

    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(write, log) for log in logs]
        while not all(one.done() for one in done):
            read += reader.news().entries
        for one in done:
            one.result()
    read += reader.news().entries

    assert [entry.line for entry in read] == list(range(1, 101))
    assert read == PostgresLog(url, "past").read()


def test_an_entry_that_was_not_ended_is_as_if_it_had_not_been(url: str) -> None:
    log = PostgresLog(url, "past")
    with pytest.raises(ZeroDivisionError), log.turn():
        1 / 0  # noqa: B018

    with log.turn():
        log.append("events", [ROW])

    assert PostgresLog(url, "past").read() == [Entry(1, "events", [ROW])]


def test_who_waits_too_long_for_its_turn_has_done_nothing(url: str) -> None:
    log, other = PostgresLog(url, "past"), PostgresLog(url, "past")

    with log.turn(), pytest.raises(OutOfTimeError), other.turn(time.monotonic() + 0.05):
        pass

    assert other.read() == []


@pytest.mark.parametrize("seed", range(4))
def test_what_is_compacted_makes_the_same_histories_for_all_who_had_read_some_of_it(url: str, seed: int) -> None:
    choice, behind, present = random.Random(seed), histories_of([ROW]), histories_of([ROW])
    late, writer = Events(PLAN, behind, PostgresLog(url, "past")), Events(PLAN, present, PostgresLog(url, "past"))
    late.replay(), writer.replay()
    for step in range(30):
        row = {**ROW, "id": f"e{choice.randrange(6)}", "v": step, "at": choice.choice([None, 500_000, 1_500_000])}
        writer.accept("events", [sent(row)])
        if step == choice.randrange(30):
            late.refresh()
        if step in (15, 25):
            assert compact_database(url, "past", KEYS)
    late.refresh()

    fresh = histories_of([ROW])
    Events(PLAN, fresh, PostgresLog(url, "past")).replay()
    for histories in (behind, fresh):
        np.testing.assert_array_equal(values_of(histories, RECORD), values_of(present, RECORD))
    assert len(PostgresLog(url, "past").read()) == 1 + 30 - 26


def test_many_entries_are_compacted_by_whoever_appends_to_them(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.history.postgres.DUE_ENTRIES", 3)
    log, histories = PostgresLog(url, "past"), histories_of([])
    events = Events(PLAN, histories, log)
    events.replay()

    for value in range(5):
        events.accept("events", [sent({**ROW, "v": value})])
        if log._compacting is not None:
            assert log._compacting.wait(60) == 0
    events.refresh()

    assert len(PostgresLog(url, "past").read()) < 5
    np.testing.assert_array_equal(values_of(histories, RECORD), reference([{**ROW, "v": 4}], RECORD))


def test_one_process_at_a_time_compacts(url: str) -> None:
    PostgresLog(url, "past").read()
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext('sextant_events past'))")
        assert not compact_database(url, "past", KEYS)


def test_entries_that_are_deleted_are_forgotten_by_all(url: str) -> None:
    histories = histories_of([])
    events = Events(PLAN, histories, PostgresLog(url, "past"))
    events.replay()
    events.accept("events", [sent(ROW)])

    run(url, "delete from sextant_events; delete from sextant_logs")
    events.refresh()

    np.testing.assert_array_equal(values_of(histories, RECORD), reference([], RECORD))
    events.accept("events", [sent(ROW)])
    np.testing.assert_array_equal(values_of(histories, RECORD), reference([ROW], RECORD))


@pytest.mark.parametrize("entry", ["nonsense", '{"table": "events", "rows": [{"id": "e1", "v": "three"}]}'])
def test_an_entry_that_cannot_be_taken_is_named_until_it_is_corrected(url: str, entry: str) -> None:
    histories = histories_of([])
    events = Events(PLAN, histories, PostgresLog(url, "past"))
    events.replay()
    events.accept("events", [sent(ROW)])
    run(url, f"insert into sextant_events values ('past', 2, '{entry}'); update sextant_logs set last = 2")

    for _ in range(2):
        events.refresh()
        assert "sextant_events, use_case past, number 2" in str(events.not_ready())
    with pytest.raises(EventLogError):
        events.accept("events", [sent(ROW)])

    run(url, "delete from sextant_events where number = 2")
    events.refresh()
    assert events.not_ready() is None
    np.testing.assert_array_equal(values_of(histories, RECORD), reference([ROW], RECORD))


def test_an_environment_without_the_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)

    with pytest.raises(StoreError, match=r"extras: \[postgres\].*pip install psycopg2-binary"):
        open_store("postgresql+psycopg2://nowhere/past", "past")


def test_a_commit_whose_end_is_not_known_is_said_to_be_so(url: str) -> None:
    log = PostgresLog(url, "past")
    log.read()

    class Lost:
        """A connection that is lost at the commit."""

        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def commit(self) -> None:
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

    with log.turn():
        log._writer._open = Lost(log._writer._open)
        with pytest.raises(UncertainError, match="may have been accepted or not"):
            log.append("events", [ROW])


@pytest.fixture
def replica(
    write_bundle: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Served, TestClient]]:
    bundle = write_bundle()

    monkeypatch.setenv("SEXTANT_EVENTS_SECONDS", "1.5")

    def start(url: str) -> tuple[Served, TestClient]:
        served = Served()
        served.load(bundle, url)
        return served, TestClient(Application(served))

    return start


def until(check: Callable[[], bool]) -> float:
    """Return how long it took for something to become true."""
    begun = time.monotonic()
    while not check():
        assert time.monotonic() - begun < 30
    return time.monotonic() - begun


def test_an_answer_says_how_old_its_history_is_and_has_it_new_where_that_is_asked(
    url: str, replica: Any, record: dict[str, Any]
) -> None:
    (_, one), (_, other) = replica(url), replica(url)
    before = other.post("/predict", json=record).json()["score"]

    assert one.post("/events", json={"table": "flights", "rows": [EVENT]}).status_code == 200
    own = one.post("/predict", json=record).json()["score"]
    exact = other.post("/predict", json=record, headers={"x-sextant-events-max-age": "0"})

    assert exact.json()["score"] == own > before
    assert 0 <= float(exact.headers["x-sextant-events-age"]) < 1
    one.post("/events", json={"table": "flights", "rows": [{**EVENT, "id": "f9"}]})
    newest = one.post("/predict", json=record).json()["score"]
    assert until(lambda: other.post("/predict", json=record).json()["score"] == newest > own) < 1
    for wrong in ("soon", "-1", "nan"):
        assert other.post("/predict", json=record, headers={"x-sextant-events-max-age": wrong}).status_code == 400


def test_without_the_database_answers_go_on_with_a_warning_and_events_are_refused_until_it_is_back(
    database: Cluster, url: str, replica: Any, record: dict[str, Any]
) -> None:
    served, client = replica(url)
    client.post("/events", json={"table": "flights", "rows": [EVENT]})
    score = client.post("/predict", json=record).json()["score"]

    database.stop()
    try:
        refused = client.post("/events", json={"table": "flights", "rows": [{**EVENT, "id": "f9"}]})
        until(lambda: served.not_ready is not None)
        late = client.post("/predict", json=record)
        exact = client.post("/predict", json=record, headers={"x-sextant-events-max-age": "0"})
        begun_without, other = replica(url)
        never = other.post("/predict", json=record).json()["warnings"]
    finally:
        database.start()

    assert (refused.status_code, exact.status_code) == (503, 503)
    assert refused.json()["error"].startswith("no row was accepted: the database of events cannot be used")
    assert late.json()["score"] == score
    assert "the history may lack events: they were last read" in late.json()["warnings"][0]
    assert float(late.headers["x-sextant-events-age"]) > 1.5
    assert "events were never read" in str(begun_without.not_ready)
    assert "the history may lack events: they were never read" in never[0]
    until(lambda: client.get("/readyz").status_code == other.get("/readyz").status_code == 200)
    for replica_of_it in (client, other):
        content = replica_of_it.post("/predict", json=record).json()
        assert (content["score"], content["warnings"]) == (score, [])
    assert client.post("/events", json={"table": "flights", "rows": [EVENT]}).json() == {"accepted": 1, "replaced": 1}
