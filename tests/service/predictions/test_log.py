"""The prediction log: what was answered, in files."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from service.frames.formats import STREAM, write_table
from service.http.app import Application
from service.http.served import Served
from service.http.trace import Trace
from service.predict.identity import prediction_ids
from service.predict.predictor import Prediction, Predictor, load_predictor
from service.predict.rows import ROWS
from service.predictions import log as module
from service.predictions.layout import Layout
from service.predictions.log import PredictionLog, open_predictions
from service.predictions.reading import predictions
from service.predictions.settings import PredictionSettings
from service.predictions.store import Store
from tests.support.serving import serving

CLIENTS = 32


class Away(Store):
    """A store that takes nothing until it is back."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.back, self.tried = threading.Event(), threading.Event()

    def put(self, path: str, content: Any) -> None:
        self.tried.set()
        if not self.back.is_set():
            raise OSError("away")
        super().put(path, content)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder for the log."""
    return tmp_path / "logs"


@pytest.fixture
def predictor(served: Served) -> Predictor:
    """Return the predictor of the normal bundle."""
    return served.require_predictor()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads look more often."""
    monkeypatch.setattr(module, "LOOKED_AFTER_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.01)


def named(predictor: Predictor, records: Sequence[Any]) -> Prediction:
    """Return the answers to some records, with their ids."""
    return replace(predictor.predict(records), ids=prediction_ids(len(records)))


def figures(log: PredictionLog) -> dict[str, float]:
    """Return the figures of a log, those of losses by reason."""
    samples = [sample for metric in log.collect() for sample in metric.samples]
    return {"_".join([s.name.removeprefix("sextant_predictions_"), *s.labels.values()]): s.value for s in samples}


def test_what_is_answered_is_logged_and_read_again(served: Served, record: dict[str, Any], place: Path) -> None:
    served.predictions = PredictionLog(PredictionSettings(str(place)))
    client = TestClient(Application(served))

    one = client.post("/predict", json=record, headers={"x-request-id": "one"}).json()
    many = client.post("/predict", json={"records": [record, {**record, "tailnum": "N9"}] * 200}).json()
    client.post("/predict", json={"records": [record, {}]})
    served.close()

    rows = predictions(str(place), "flight_delays").to_table().to_pylist()
    assert [row["score"] for row in rows] == [one["score"], *many["scores"]]
    assert [[notice["text"] for notice in row["warnings"]] for row in rows] == [one["warnings"], *many["warnings"]]
    assert rows[0]["request"] == "one"
    assert len({row["request"] for row in rows}) == 2
    assert len({row["id"] for row in rows}) == 401
    (file,) = (place).rglob("*.*")
    assert file.parent.name == f"date={rows[0]['time'].date()}"
    assert {row["date"] for row in rows} == {rows[0]["time"].date()}
    assert figures(served.predictions)["logged_total"] == 401


def test_what_is_scored_and_not_answered_is_not_logged(
    served: Served, record: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.predictions = PredictionLog(PredictionSettings(str(place)))
    client = TestClient(Application(served))

    def fails(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("service.predict.answers.one", fails)
        assert client.post("/predict", json=record).status_code == 500
    assert client.post("/predict", json={"records": [record] * 2}).status_code == 200
    served.close()

    assert figures(served.predictions)["logged_total"] == 2


def test_a_table_prepares_no_more_than_there_is_room_for(parcels: Served, parcel: dict[str, Any], place: Path) -> None:
    least = Layout(parcels.require_predictor(), PredictionSettings(str(place))).least_size(1)
    settings = PredictionSettings(str(place), most_bytes=int(2.5 * least * ROWS))
    log = parcels.predictions = PredictionLog(settings)
    table = pa.table({name: [value] * (4 * ROWS) for name, value in parcel.items()})
    prepared = list[int]()
    prepare = log.prepare
    log.prepare = lambda *arguments: prepared.append(1) or prepare(*arguments)  # type: ignore[method-assign,func-returns-value]
    headers = {"content-type": STREAM}

    answered = TestClient(Application(parcels)).post(
        "/predict_batch", content=write_table(STREAM, table), headers=headers
    )
    parcels.close()

    assert answered.status_code == 200
    assert len(prepared) < 3
    counted = figures(log)
    assert counted["lost_total_full"] == 4 * ROWS - counted["logged_total"] >= 2 * ROWS
    assert counted["waiting"] == counted["waiting_bytes"] == 0


def test_what_waits_for_the_access_log_keeps_no_predictions(
    served: Served, record: dict[str, Any], place: Path
) -> None:
    served.predictions = PredictionLog(PredictionSettings(str(place)))
    trace = Trace(
        b"",
        answered=[
            served.predictions.prepare(served.require_predictor(), named(served.require_predictor(), [record]), b"")
        ],
    )

    served.note("/predict", 200, 0.1, trace)
    served.close()

    assert trace.answered == []
    assert figures(served.predictions)["logged_total"] == 1


def test_a_cutoff_before_the_first_year_is_logged(
    write_parcels: Callable[[], Path], parcel: dict[str, Any], place: Path
) -> None:
    folder = write_parcels()
    plan = json.loads((folder / "plan.json").read_text())
    plan["cutoff"]["before_s"] = 7200
    (folder / "plan.json").write_text(json.dumps(plan))
    predictor = load_predictor(folder)
    log = PredictionLog(PredictionSettings(str(place)))

    log.add(log.prepare(predictor, named(predictor, [{**parcel, "sent_at": "0001-01-01T00:00:00"}]), b""))
    log.close()

    assert figures(log)["logged_total"] == 1


def test_without_the_setting_nothing_is_logged(served: Served) -> None:
    assert served.predictions is open_predictions({}, served.require_predictor()) is None


def test_files_are_made_by_rows(predictor: Predictor, record: dict[str, Any], place: Path) -> None:
    log = PredictionLog(PredictionSettings(str(place), rows=250))
    log.add(log.prepare(predictor, named(predictor, [record] * 1000), b""))
    log.close()

    assert [pq.read_metadata(file).num_rows for file in sorted(place.rglob("*.parquet"))] == [400, 400, 200]


def test_files_are_made_by_time(predictor: Predictor, record: dict[str, Any], place: Path) -> None:
    log, written = PredictionLog(PredictionSettings(str(place), seconds=0.05)), threading.Event()
    log.store.put = lambda path, content: written.set()  # type: ignore[method-assign]
    log.add(log.prepare(predictor, named(predictor, [record]), b""))

    assert written.wait(30)
    log.close()


def test_a_file_holds_one_day_and_one_model(
    predictor: Predictor, record: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(PredictionSettings(str(place)))
    midnight = 1_700_006_400_000_000_000
    for moment in (midnight - 1_000, midnight):
        monkeypatch.setattr(module.time, "time_ns", lambda moment=moment: moment)
        log.add(log.prepare(predictor, named(predictor, [record]), b""))
    predictor.name = "flight_delays:4"
    log.add(log.prepare(predictor, named(predictor, [record]), b""))
    log.close()

    by_file = {file: pq.read_table(file) for file in place.rglob("*.parquet")}
    assert sorted((file.parent.name, table["model"].to_pylist()) for file, table in by_file.items()) == [
        ("date=2023-11-14", ["flight_delays:3"]),
        ("date=2023-11-15", ["flight_delays:3"]),
        ("date=2023-11-15", ["flight_delays:4"]),
    ]
    read = predictions(str(place), "flight_delays")
    assert read.count_rows(filter=module_filter(date(2023, 11, 15))) == 2


def module_filter(day: date) -> Any:
    from pyarrow import compute

    return compute.field("date") == day


def test_while_the_store_is_away_nothing_is_lost_until_there_is_no_room(
    predictor: Predictor, record: dict[str, Any], place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Away(str(place))
    size = Layout(predictor, PredictionSettings("")).size(predictor.predict([record]).records)
    log = PredictionLog(PredictionSettings(str(place), seconds=0.01, most_bytes=100 * size), store)
    fitting, prediction = 0, named(predictor, [record])
    while not log.lost["full"]:
        log.add(log.prepare(predictor, prediction, b""))
        fitting += 1
    assert store.tried.wait(30)
    waiting = figures(log)
    store.back.set()
    log.close()

    assert waiting["waiting"] == fitting - 1 >= 99
    assert waiting["waiting_bytes"] <= 100 * size
    after = figures(log)
    assert (after["logged_total"], after["lost_total_full"]) == (fitting - 1, 1)
    assert (after["waiting"], after["waiting_bytes"]) == (0, 0)
    assert predictions(str(place), "flight_delays").count_rows() == fitting - 1
    assert "does not take predictions" in caplog.text
    assert "1 predictions are lost: {'full': 1" in caplog.text


def test_what_cannot_be_written_in_the_end_is_lost_and_said(
    predictor: Predictor, record: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(module, "CLOSED_AFTER_S", 0.05)
    log = PredictionLog(PredictionSettings(str(place)), Away(str(place)))
    log.add(log.prepare(predictor, named(predictor, [record] * 3), b""))
    log.close()
    log.add(log.prepare(predictor, named(predictor, [record]), b""))

    assert figures(log)["lost_total_ended"] == 4
    assert "3 predictions are lost" in caplog.text
    assert not list(place.rglob("*.parquet"))


def test_rows_that_cannot_be_columns_are_lost_alone(
    predictor: Predictor, record: dict[str, Any], place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, prediction = PredictionLog(PredictionSettings(str(place))), named(predictor, [record])
    broken = named(predictor, [record] * 100)
    broken.records[7].values["distance"] = "far"
    log.add(log.prepare(predictor, broken, b""))
    log.add(log.prepare(predictor, prediction, b""))
    log.close()

    assert (figures(log)["lost_total_failed"], figures(log)["logged_total"]) == (1, 100)
    assert (figures(log)["waiting"], figures(log)["waiting_bytes"]) == (0, 0)
    assert "predictions of flight_delays:3 cannot be logged: 1" in caplog.text


def test_an_answer_that_lacks_a_part_is_lost_alone(predictor: Predictor, record: dict[str, Any], place: Path) -> None:
    log = PredictionLog(PredictionSettings(str(place)))
    log.add(log.prepare(predictor, replace(named(predictor, [record] * 5), ids=["one"]), b""))
    log.add(log.prepare(predictor, named(predictor, [record]), b""))
    log.close()

    assert (figures(log)["lost_total_failed"], figures(log)["logged_total"]) == (5, 1)


def test_a_share_is_drawn_by_the_hash_of_the_id(predictor: Predictor, record: dict[str, Any], place: Path) -> None:
    log = PredictionLog(PredictionSettings(str(place), share=0.25))
    log.add(log.prepare(predictor, named(predictor, [record] * 4000), b""))
    log.close()

    ids = predictions(str(place), "flight_delays").to_table()["id"].to_pylist()
    assert 800 < len(ids) < 1200
    assert all(module.crc32(name.encode()) < 2**30 for name in ids)
    assert figures(log)["logged_total"] == len(ids)


def test_several_writers_write_files_of_their_own(predictor: Predictor, record: dict[str, Any], place: Path) -> None:
    logs = [PredictionLog(PredictionSettings(str(place), rows=100)) for _ in range(3)]
    with ThreadPoolExecutor(8) as threads:
        for number in range(60):
            log = logs[number % 3]
            threads.submit(log.add, log.prepare(predictor, named(predictor, [record] * 10), b""))
    for log in logs:
        log.close()

    assert predictions(str(place), "flight_delays").count_rows() == 600
    assert {file.name.split("-")[1] for file in place.rglob("*.parquet")} == {log.worker for log in logs}


def test_a_service_with_a_setting_that_cannot_be_used_is_not_ready_and_says_why(
    write_bundle: Any, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setenv("SEXTANT_PREDICTIONS", str(place))
    monkeypatch.setenv("SEXTANT_PREDICTIONS_WITHOUT", "tail")
    served = Served()

    served.start(write_bundle())

    assert "it has no ['tail'], only ['HOUR(" in TestClient(Application(served)).get("/readyz").json()["error"]


def ask_until_refused(place: str, record: dict[str, Any], begin: threading.Barrier) -> list[float]:
    """Return the scores that a client was answered until the service ended."""
    scores: list[float] = []
    begin.wait()
    connection = HTTPConnection(place, timeout=10)
    while True:
        try:
            connection.request("POST", "/predict", json.dumps(record), {"content-type": "application/json"})
            scores.append(json.loads(connection.getresponse().read())["score"])
        except OSError:
            return scores


@pytest.mark.slow
def test_sigterm_under_load_loses_no_prediction_in_an_object_store(
    write_bundle: Any, record: dict[str, Any], tmp_path: Path, s3: str
) -> None:
    begin = threading.Barrier(CLIENTS + 1)
    settings = {"SEXTANT_PREDICTIONS": f"{s3}/logs", "SEXTANT_PREDICTIONS_SECONDS": "0.3", "SEXTANT_WORKERS": "2"}
    with (
        serving(write_bundle(), tmp_path, SEXTANT_DRAIN_SECONDS="1", **settings) as (process, place),
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        records = [{**record, "distance": 10.0 * number} for number in range(CLIENTS)]
        clients = [threads.submit(ask_until_refused, place, asked, begin) for asked in records]
        begin.wait()
        process.send_signal(signal.SIGTERM)
        answered = {10.0 * number: client.result(60) for number, client in enumerate(clients)}
        ended = process.wait(60)

    table = predictions(f"{s3}/logs", "flight_delays").to_table().to_pylist()
    logged: dict[float, list[float]] = {}
    for row in table:
        logged.setdefault(row["record"]["distance"], []).append(row["score"])
    assert ended == 0
    assert logged == answered
    assert len({row["id"] for row in table}) == len(table)
    names = [file.rpartition("/")[2].split("-") for file in predictions(f"{s3}/logs", "flight_delays").files]
    assert len({worker for _, worker, _ in names}) in (1, 2)
