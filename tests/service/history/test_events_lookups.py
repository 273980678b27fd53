"""Rows of lookups that are sent, and silences, over the small bundle."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.history import events as events_module
from service.history.compaction import compact_file
from service.history.events import Accepted, Events
from service.history.log import EventLog
from service.http.app import Application
from service.http.served import Served
from service.plan.document import BundleError
from service.predict.predictor import Predictor, load_predictor
from service.records.reader import InvalidRecords
from tests.service.conftest import NUMERIC
from tests.service.http.test_metrics import figures

PLANES = "select tailnum, cast(seats as double) as seats, cast(maker as varchar) as maker from event"
WEATHER = "select station, cast(observed_at as timestamp) as observed_at, cast(wind as double) as wind from event"
SEATS, WIND = NUMERIC.index("planes.seats"), NUMERIC.index("weather.wind")


@pytest.fixture
def fed(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan to whose lookups rows may be sent, and which says what silences are usual."""
    plan["events"] |= {
        "planes": {
            "record": {"tailnum": "text", "seats": "number", "maker": "text"},
            "key": "tailnum",
            "views": [{"file": "planes.parquet", "query": PLANES}],
        },
        "weather": {
            "record": {"station": "text", "observed_at": "time", "wind": "number"},
            "key": ["station", "observed_at"],
            "views": [{"file": "weather.parquet", "query": WEATHER}],
        },
    }
    plan["sources"] = [
        {"table": "weather", "time": "observed_at", "file": "weather.parquet", "within_s": 7200},
        {"table": "flights", "time": "departed_at", "file": "flights.parquet", "within_s": 14400},
    ]
    return plan


def features(predictor: Predictor, record: dict[str, Any]) -> tuple[float, float, str]:
    """Return the seats of the plane and the wind at the origin of a record, and the plane's maker."""
    matrices = predictor.features([record])
    return float(matrices.numeric[0, SEATS]), float(matrices.numeric[0, WIND]), matrices.categorical[0, 1]


def plane(tailnum: str = "N1", seats: float | None = 7, maker: str | None = "FOKKER") -> dict[str, Any]:
    return {"tailnum": tailnum, "seats": seats, "maker": maker}


def wind(value: float, at: str = "2014-01-02T08:00:00", station: str = "JFK") -> dict[str, Any]:
    return {"station": station, "observed_at": at, "wind": value}


def test_new_and_corrected_rows_count_from_the_next_answer_on(
    fed: dict[str, Any], write_bundle: Any, record: dict[str, Any]
) -> None:
    predictor = load_predictor(write_bundle(fed))
    events = Events(predictor.plan, predictor.histories)
    assert features(predictor, record) == (100, 8, "BOEING")

    assert events.accept("planes", [plane(), plane("N9", 9)]) == Accepted(2, 1)
    assert events.accept("weather", [wind(80), wind(85, "2014-01-02T08:29:00")]) == Accepted(2, 1)

    assert features(predictor, record) == (7, 85, "FOKKER")
    assert features(predictor, {**record, "tailnum": "N9"})[0] == 9
    assert features(predictor, {**record, "scheduled_departure": "2014-01-02T10:00:00"})[1] == 80


def test_what_is_left_out_of_a_row_is_missing_for_it_is_replaced_as_a_whole(
    fed: dict[str, Any], write_bundle: Any, record: dict[str, Any]
) -> None:
    predictor = load_predictor(write_bundle(fed))

    Events(predictor.plan, predictor.histories).accept("planes", [{"tailnum": "N1"}])

    seats, _, maker = features(predictor, record)
    assert (seats != seats, maker) == (True, "")


@pytest.mark.parametrize(
    ("table", "row", "field"),
    [
        ("planes", {"seats": 1}, "tailnum"),
        ("weather", {"station": "JFK"}, "observed_at"),
        ("planes", {"tailnum": "N1", "seats": "7"}, "seats"),
    ],
)
def test_a_bad_row_is_named_and_nothing_of_its_request_counts(
    fed: dict[str, Any], write_bundle: Any, record: dict[str, Any], table: str, row: dict[str, Any], field: str
) -> None:
    predictor = load_predictor(write_bundle(fed))
    good = plane() if table == "planes" else wind(80)

    with pytest.raises(InvalidRecords) as raised:
        Events(predictor.plan, predictor.histories).accept(table, [good, row])

    assert [(problem.record, problem.field) for problem in raised.value.problems] == [(1, field)]
    assert features(predictor, record) == (100, 8, "BOEING")


def test_accepted_rows_are_there_after_a_restart(
    fed: dict[str, Any], write_bundle: Any, record: dict[str, Any], tmp_path: Path
) -> None:
    folder = write_bundle(fed)
    before, after = load_predictor(folder), load_predictor(folder)
    Events(before.plan, before.histories, EventLog(tmp_path, "fed")).accept("planes", [plane()])

    Events(after.plan, after.histories, EventLog(tmp_path, "fed")).replay()

    assert features(after, record) == features(before, record) == (7, 8, "FOKKER")


def test_a_query_that_leaves_rows_of_a_lookup_out_is_refused(fed: dict[str, Any], write_bundle: Any) -> None:
    fed["events"]["planes"]["views"][0]["query"] += " where seats > 3"
    predictor = load_predictor(write_bundle(fed))

    with pytest.raises(BundleError, match=r"planes\.parquet, which is that of a lookup, leaves out rows"):
        Events(predictor.plan, predictor.histories).accept("planes", [plane(seats=1)])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (PLANES.replace("cast(seats as double)", "cast(seats as varchar)"), "'seats' as a text, not a number"),
        (PLANES.replace("cast(maker as varchar)", "1"), "'maker' as a number, not a text"),
        (PLANES.replace("tailnum", "1 as tailnum"), "'tailnum' as a number, not a text"),
    ],
)
def test_a_query_that_does_not_make_rows_of_the_lookup_is_refused(
    fed: dict[str, Any], write_bundle: Any, query: str, message: str
) -> None:
    fed["events"]["planes"]["views"][0]["query"] = query
    predictor = load_predictor(write_bundle(fed))

    with pytest.raises(BundleError, match=message):
        Events(predictor.plan, predictor.histories)


@pytest.mark.parametrize(
    ("table", "key"), [("planes", "seats"), ("planes", ["tailnum", "maker"]), ("weather", "observed_at")]
)
def test_a_table_whose_key_names_no_row_of_the_lookup_is_refused(
    fed: dict[str, Any], write_bundle: Any, table: str, key: Any
) -> None:
    fed["events"][table]["key"] = key

    with pytest.raises(BundleError, match=f"{table}.parquet'] are files of no lookup"):
        load_predictor(write_bundle(fed))


def test_a_prediction_sees_all_rows_of_a_request_or_none(
    fed: dict[str, Any], write_bundle: Any, record: dict[str, Any]
) -> None:
    predictor = load_predictor(write_bundle(fed))
    events, done, seen = Events(predictor.plan, predictor.histories), Event(), set[tuple[float, ...]]()
    records = [{**record, "tailnum": "N1"}, {**record, "tailnum": "N2"}]

    def predict() -> None:
        while not done.is_set():
            seen.add(tuple(predictor.features(records).numeric[:, SEATS].tolist()))

    thread = Thread(target=predict)
    events.accept("planes", [plane("N1", 1), plane("N2", 1)])
    thread.start()
    for seats in range(2, 30):
        events.accept("planes", [plane("N1", seats), plane("N2", seats)])
    done.set()
    thread.join()

    assert seen
    assert all(first == second for first, second in seen)


def test_each_answer_is_warned_of_an_unusual_silence_until_something_is_heard(
    fed: dict[str, Any], write_bundle: Any, record: dict[str, Any]
) -> None:
    served = Served()
    served.load(write_bundle(fed))
    client, later = TestClient(Application(served)), {**record, "scheduled_departure": "2014-01-02T13:00:00"}

    def warnings(*records: dict[str, Any]) -> list[list[str]]:
        answered = client.post("/predict", json={"records": records}).json()["warnings"]
        return [[text for text in texts if "nothing was heard" in text] for texts in answered]

    assert warnings(record, later) == [
        [],
        [
            "weather by observed_at: nothing was heard since 2014-01-02T08:00:00, 3:00:00 before the cutoff "
            "2014-01-02T11:00:00; up to 2:00:00 are usual",
            "flights by departed_at: nothing was heard since 2014-01-02T06:00:00, 5:00:00 before the cutoff "
            "2014-01-02T11:00:00; up to 4:00:00 are usual",
        ],
    ]
    client.post("/events", json={"table": "weather", "rows": [wind(5, "2014-01-02T10:30:00", station="EWR")]})
    client.post("/events", json={"table": "planes", "rows": [plane()]})
    assert [len(texts) for texts in warnings(record, later)] == [0, 1]


def test_a_service_that_has_heard_nothing_for_too_long_is_not_ready_and_says_why(
    fed: dict[str, Any], write_bundle: Any
) -> None:
    fed["sources"][0] |= {"not_ready_after_s": 86400}
    served = Served()
    served.load(write_bundle(fed))
    client = TestClient(Application(served))

    silent = client.get("/readyz")
    client.post("/events", json={"table": "weather", "rows": [wind(5, dt.datetime.now(dt.UTC).isoformat()[:19])]})

    assert silent.status_code == 503
    assert silent.json()["error"].startswith("weather by observed_at: nothing was heard since 2014-01-02T08:00:00, ")
    assert silent.json()["error"].endswith(" in UTC; up to 1 day, 0:00:00 are allowed")
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(("setting", "reason"), [("1", None), ("0", "nothing was heard"), ("yes", "takes 1 or 0")])
def test_a_trial_is_ready_in_silence(
    fed: dict[str, Any], write_bundle: Any, monkeypatch: pytest.MonkeyPatch, setting: str, reason: str | None
) -> None:
    fed["sources"][0] |= {"not_ready_after_s": 86400}
    monkeypatch.setenv("SEXTANT_READY_IN_SILENCE", setting)
    served = Served()

    served.start(write_bundle(fed))

    assert served.not_ready is None if reason is None else reason in str(served.not_ready)


def test_the_newest_time_of_each_source_and_what_is_usual_are_shown(fed: dict[str, Any], write_bundle: Any) -> None:
    served = Served()
    client = TestClient(Application(served))
    assert not any("history" in name for name in figures(client))

    served.load(write_bundle(fed))

    found = {name: value for name, value in figures(client).items() if "history" in name}
    eight = dt.datetime(2014, 1, 2, 8, tzinfo=dt.UTC).timestamp()
    assert found == {
        'sextant_history_newest_seconds{table="weather",time="observed_at"}': eight,
        'sextant_history_newest_seconds{table="flights",time="departed_at"}': eight - 7200,
        'sextant_history_usual_seconds{table="weather",time="observed_at"}': 7200,
        'sextant_history_usual_seconds{table="flights",time="departed_at"}': 14400,
    }


def test_the_document_has_a_schema_of_the_rows_of_each_table(fed: dict[str, Any], write_bundle: Any) -> None:
    served = Served()
    served.load(write_bundle(fed))

    document = TestClient(Application(served)).get("/openapi.json").json()

    kinds = document["components"]["schemas"]["Events"]["oneOf"]
    rows = {kind["properties"]["table"]["const"]: kind["properties"]["rows"]["items"] for kind in kinds}
    assert rows["weather"]["required"] == ["station", "observed_at"]
    assert set(rows["planes"]["properties"]) == {"tailnum", "seats", "maker"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": "wind"}, "source 'weather': 'wind' is no time of a lookup or table of 'weather.parquet'"),
        ({"within_s": 0}, r"source 'weather': \[0.0\] s are not above 0"),
        ({"not_ready_after_s": 60}, r"\[7200.0, 60.0\] s are not above 0, the limit of readiness the greater one"),
    ],
)
def test_a_source_that_contradicts_the_plan_is_refused(
    fed: dict[str, Any], write_bundle: Any, change: dict[str, Any], message: str
) -> None:
    fed["sources"][0] |= change

    with pytest.raises(BundleError, match=message):
        load_predictor(write_bundle(fed))


TIMES = [
    "0001-01-01",
    "2014-01-02T05",
    "2014-01-02T08:00:00.000001",
    "2014-01-02T08:30:00",
    "9999-12-31T23:59:59.999999",
]


def a_request(choice: random.Random) -> tuple[str, list[dict[str, Any]]]:
    """Return a table and some rows of it, of few keys, with values and times that nobody would send."""
    at = choice.choice([*TIMES, "2014-01-02T08:00:00", "2014-01-02 08:00:00.000"])
    planes = plane(choice.choice(["N1", "N2", "", "\0"]), choice.choice([None, 2.5, 1e30, -3.4e38, 2**70]), None)
    winds = wind(choice.choice([1, 2, 4.5]), at, choice.choice(["JFK", "LGA", "XX"]))
    when = choice.choice([at, None])
    flights = {"id": choice.choice(["f1", "f2", "a|b"]), "origin": choice.choice(["JFK", None]), "departed_at": when}
    return choice.choice([("planes", [planes]), ("weather", [winds]), ("flights", [flights | {"delay": 1.5}])])


@pytest.mark.parametrize("seed", range(3))
def test_who_was_there_and_whoever_reads_what_was_kept_answer_and_warn_alike(
    fed: dict[str, Any],
    write_bundle: Any,
    record: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    bundle, choice = write_bundle(fed), random.Random(seed)
    records = [
        {**record, "scheduled_departure": when, "tailnum": tailnum, "origin": origin}
        for when in ["2014-01-02T09:00:00", "2014-01-02T10:00:00.000002", "2014-01-02T11:00", "9999-12-31T23:59:59"]
        for tailnum in ["N1", "N2", "", "\0", None]
        for origin in ["JFK", "LGA", "XX"]
    ]

    def opened() -> tuple[Predictor, Events]:
        predictor = load_predictor(bundle)
        events = Events(predictor.plan, predictor.histories, EventLog(tmp_path, "flight_delays"))
        events.replay()
        return predictor, events

    def answers(predictor: Predictor) -> tuple[bytes, list[list[str]]]:
        matrices = predictor.features(records)
        return np.nan_to_num(matrices.numeric, nan=-7).tobytes(), matrices.warnings

    services = [opened(), opened()]
    for _ in range(3):
        for _ in range(10):
            choice.choice(services)[1].accept(*a_request(choice))
        for _, events in services:
            events.refresh()
        replayed, _ = opened()
        with monkeypatch.context() as patch:
            patch.setattr(events_module, "MANY", 0)
            loaded, _ = opened()
        compact_file(tmp_path / "flight_delays.events.jsonl", {name: t.keys for name, t in loaded.plan.events.items()})
        compacted, _ = opened()

        expected = answers(services[0][0])
        for predictor in (services[1][0], replayed, loaded, compacted):
            assert answers(predictor) == expected
