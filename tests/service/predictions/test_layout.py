"""The columns of the prediction log."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.http.served import Served
from service.plan.document import Task
from service.predict.predictor import Predictor
from service.predictions.layout import Layout
from service.predictions.settings import PredictionSettings

AT_US = 1_700_000_000_123_456


def logged(predictor: Predictor, records: Sequence[Any], **settings: Any) -> pa.RecordBatch:
    """Return what would be logged of records."""
    layout, prediction = Layout(predictor, PredictionSettings("logs", **settings)), predictor.predict(records)
    (part,) = prediction.parts
    keys = prediction.keys or [None] * len(records)
    columns = keys, prediction.records, prediction.scores, prediction.warnings, part.numeric, part.categorical
    return layout.batch([(AT_US, b"r1", f"p{n}", *row) for n, row in enumerate(zip(*columns, strict=True))])


@pytest.fixture
def predictor(served: Served) -> Predictor:
    """Return the predictor of the normal bundle."""
    return served.require_predictor()


def test_a_row_is_typed_by_the_plan(predictor: Predictor, record: dict[str, Any]) -> None:
    batch = logged(predictor, [record, {"scheduled_departure": record["scheduled_departure"]}])

    assert {field.name: str(field.type) for field in batch.schema} == {
        "id": "string",
        "time": "timestamp[us, tz=UTC]",
        "request": "string",
        "cutoff": "timestamp[us]",
        "model": "string",
        "coordinates": "string",
        "record": "struct<scheduled_departure: timestamp[us], carrier: string, origin: string, tailnum: string, "
        "distance: double, charter: bool>",
        "score": "double",
        "warnings": "list<item: struct<kind: string, about: string, text: string>>",
    }
    one, other = batch.to_pylist()
    assert one == {
        "id": "p0",
        "time": datetime.fromtimestamp(1_700_000_000, UTC).replace(microsecond=123456),
        "request": "r1",
        "cutoff": datetime(2014, 1, 2, 8, 30),
        "model": "flight_delays:3",
        "coordinates": "c0ffee",
        "record": {**record, "scheduled_departure": datetime(2014, 1, 2, 10, 30)},
        "score": pytest.approx(0.9355352),
        "warnings": [],
    }
    absent = {"carrier": None, "origin": None, "tailnum": None, "distance": None, "charter": None}
    assert other["record"] == {"scheduled_departure": datetime(2014, 1, 2, 10, 30), **absent}
    notices = [(notice["kind"], notice["about"], notice["text"]) for notice in other["warnings"]]
    assert notices == [
        ("missing_key", "planes", "planes: no row, for tailnum is missing"),
        ("missing_key", "weather", "weather: no row, for origin is missing"),
        ("missing_key", "origin", "origin: no history, for origin is missing"),
    ]


def test_the_key_of_a_row_is_logged_as_one_text(write_bundle: Any, plan: Any, record: dict[str, Any]) -> None:
    served = Served()
    served.load(write_bundle({**plan, "key": {"id": "number", "leg": "text"}}))
    records = [{**record, "id": 2**53 + 1, "leg": "A"}, {**record, "id": 5.0}, record]

    shown = logged(served.require_predictor(), records)["key"].to_pylist()
    hashed = logged(served.require_predictor(), records, hashed=("id",), salt="pepper", left_out=("leg",))["key"]

    assert shown == [{"id": "9007199254740993", "leg": "A"}, {"id": "5", "leg": None}, {"id": None, "leg": None}]
    assert hashed.to_pylist() == [{"id": digest("9007199254740993")}, {"id": digest("5")}, {"id": None}]


def test_features_are_logged_where_they_are_wanted(predictor: Predictor, record: dict[str, Any]) -> None:
    batch = logged(predictor, [record, {**record, "tailnum": None}], features=True)

    one, other = batch["features"].to_pylist()
    assert one == {
        "distance": 500.0,
        "charter": 0.0,
        "HOUR(scheduled_departure)": 10.0,
        "planes.seats": 100.0,
        "weather.wind": 8.0,
        "origin.COUNT(flights)": 7.0,
        "carrier": "UA",
        "planes.maker": "BOEING",
    }
    assert other == {**one, "planes.seats": None, "planes.maker": None}
    assert batch.schema.field("features").type.field("distance").type == pa.float32()


def test_rows_without_features_have_nulls_in_their_place(predictor: Predictor, record: dict[str, Any]) -> None:
    layout, prediction = Layout(predictor, PredictionSettings("logs", features=True)), predictor.predict([record])
    row = (AT_US, b"", "", None, prediction.records[0], prediction.scores[0], [])

    bare, whole = layout.batch([(*row, None, None), (*row, prediction.parts[0].numeric[0], ["UA", ""])])["features"]

    assert set(bare.as_py().values()) == {None}
    assert (whole.as_py()["distance"], whole.as_py()["carrier"], whole.as_py()["planes.maker"]) == (500.0, "UA", None)


@pytest.mark.parametrize("number", [2**62 + 1, 10**30, -0.0, 3.4e38, 1e-45])
def test_any_number_that_is_answered_is_logged(predictor: Predictor, record: dict[str, Any], number: float) -> None:
    batch = logged(predictor, [{**record, "distance": number}, {**record, "distance": None}])

    assert [row["distance"] for row in batch["record"].to_pylist()] == [float(number), None]


def digest(text: str) -> str:
    return hmac.new(b"pepper", text.encode(), hashlib.sha256).hexdigest()


def test_values_are_hashed_alike_however_they_are_written(predictor: Predictor, record: dict[str, Any]) -> None:
    hashed = ("tailnum", "distance", "scheduled_departure", "charter")
    records = [record, {**record, "distance": 500.0, "tailnum": None, "charter": True}]

    one, other = logged(predictor, records, hashed=hashed, salt="pepper")["record"].to_pylist()

    assert one["tailnum"] == digest("N1")
    assert one["distance"] == other["distance"] == digest("500")
    assert one["scheduled_departure"] == digest("2014-01-02T10:30:00")
    assert (one["charter"], other["charter"], other["tailnum"]) == (digest("0"), digest("1"), None)
    assert one["carrier"] == "UA"


@pytest.mark.parametrize("how", ["hashed", "left_out"])
def test_a_hidden_value_is_nowhere(predictor: Predictor, record: dict[str, Any], how: str) -> None:
    hidden = {how: ("tailnum", "origin", "carrier", "scheduled_departure"), "salt": "pepper", "features": True}
    secret = {**record, "tailnum": "SECRET1", "origin": "SECRET2", "carrier": "SECRET3"}
    late = {**record, "scheduled_departure": "2014-01-02T17:17:17"}

    batch = logged(predictor, [secret, late], **hidden)

    assert "SECRET" not in str(batch.to_pylist())
    assert ":17" not in str(batch.to_pylist())
    assert batch["cutoff"].null_count == 2
    assert "HOUR(scheduled_departure)" not in batch["features"].to_pylist()[0]
    assert [notice["kind"] for notice in batch["warnings"].to_pylist()[0]] == ["unseen_key"] * 3
    assert [notice["about"] for notice in batch["warnings"].to_pylist()[0]] == ["planes", "weather", "origin"]
    assert [notice["kind"] for notice in batch["warnings"].to_pylist()[1]] == ["too_old"]
    assert ("tailnum" in batch["record"].to_pylist()[0]) == (how == "hashed")


def test_of_many_classes_and_several_targets_there_is_one_column_each(predictor: Predictor, record: Any) -> None:
    def answers(task: Task, score: Any, thresholds: Sequence[float]) -> dict[str, Any]:
        layout = Layout(predictor, PredictionSettings("logs"))
        layout.task, layout.thresholds = task, list(thresholds)
        (row,) = predictor.predict([record]).records
        return layout.batch([(AT_US, b"", "", None, row, score, [], None, None)]).to_pylist()[0]

    binary = answers(Task(), 0.5, [0.5])
    classes = answers(Task("multiclass", ("a", "b")), [0.25, 0.75], [])
    targets = answers(Task(several=("churn", "upgrade")), [0.2, 0.9], [0.1, 0.95])

    assert (binary["score"], binary["decision"]) == (0.5, True)
    assert (classes["class"], classes["probabilities"]) == ("b", {"a": 0.25, "b": 0.75})
    assert targets["probabilities"] == {"churn": 0.2, "upgrade": 0.9}
    assert targets["decisions"] == {"churn": True, "upgrade": False}


def test_the_size_counts_texts(predictor: Predictor, record: dict[str, Any]) -> None:
    layout = Layout(predictor, PredictionSettings("logs"))
    short, long = predictor.predict([record, {**record, "carrier": "x" * 100_000}]).records

    assert 500 < layout.size([short]) < 3_000
    assert layout.size([long]) - layout.size([short]) == 100_000 - 2
    assert layout.size([short, long]) == layout.size([short]) + layout.size([long])
    assert np.isfinite(layout.size([]))
