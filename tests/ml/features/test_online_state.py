"""The plan that a service reads: built of the service's own structs, and the same document as ever."""

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.declaration.use_case import UseCaseSpec
from ml.features.define import define_features
from ml.features.events import events_of
from ml.features.matrix import feature_matrix
from ml.features.online_state import online_state
from ml.provenance.source import running
from ml.tables.computed import with_computed
from ml.tasks.task import Task
from service.plan.reading import read_plan
from service.records.reader import RecordReader
from service.synthesis.synthesizer import Synthesizer
from service.synthesis.views import connect

pytestmark = pytest.mark.filterwarnings("ignore")

START = pd.Timestamp("2024-01-01")
DECLARED: dict[str, Any] = {
    "description": "Late?",
    "tables": {
        "trips": {
            "source": {"path": "trips.csv"}, "key": "id", "time": "planned", "computed": {"late": "delay > 3"},
            "known_at": {"ended": ["delay", "late"]},
        },
        "buses": {"source": {"path": "buses.csv"}, "key": "bus"},
        "weather": {
            "source": {"path": "weather.csv"}, "key": ["stop", "seen"], "time": "seen", "valid_for": "6h",
        },
    },
    "relationships": ["trips.bus -> buses.bus", "trips.stop -> weather.stop"],
    "examples": {
        "table": "trips", "where": "delay is not null", "cutoff": "planned - 2h", "target": "late",
        "split": {"train_until": "2024-01-03", "validate_until": "2024-01-04"},
    },
    "features": {
        "ignore": ["bus"],
        "calendar": {"planned": ["hour"]},
        "history": {"table": "trips", "group_by": ["stop"], "windows": ["1d"], "aggregations": ["count", "mean"]},
    },
    "models": {"logistic": {"trials": 1}},
}  # fmt: skip


def tables() -> dict[str, pa.Table]:
    hours = pd.Series(range(96))
    planned = START + pd.to_timedelta(hours, "h")
    trips = {"id": hours, "planned": planned, "ended": planned + pd.Timedelta("1h"), "bus": hours % 3,
             "stop": "é", "delay": hours % 7 + 0.5, "late": hours % 7 > 2}  # fmt: skip
    frames = {
        "trips": pd.DataFrame(trips),
        "buses": pd.DataFrame({"bus": [0, 1, 2], "seats": [10, 20, 30]}),
        "weather": pd.DataFrame({"stop": "é", "seen": planned, "wind": hours * 0.5}),
    }
    return {name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in frames.items()}


def state(task: Task) -> dict[str, bytes]:
    spec = UseCaseSpec.model_validate(DECLARED)
    cutoffs = pd.Series([START + pd.Timedelta("2D"), START + pd.Timedelta("3D")])
    return online_state("trips", spec, define_features("trips", spec, tables()), tables(), cutoffs, task)


def test_the_plan_says_what_it_always_said() -> None:
    files = state(Task("multiclass", ("no", "yes")))

    plan = json.loads(files["plan.json"])

    windowed = {"kind": "window", "lookup": "trips_ended by stop", "window_s": 86400}
    for table in plan["events"].values():
        assert table["views"].pop()["query"].startswith("select ")
    assert plan == {
        "use_case": "trips",
        "record": {"planned": "time", "bus": "number", "stop": "text"},
        "key": {"id": "number"},
        "required": ["planned"],
        "cutoff": {"column": "planned", "before_s": 7200},
        "features": [
            {"name": "HOUR(planned)", "kind": "calendar", "column": "planned", "primitive": "hour"},
            {"name": "buses.seats", "kind": "lookup", "lookup": "buses", "column": "seats"},
            {"name": "stop", "kind": "column", "column": "stop"},
            {"name": "weather.wind", "kind": "lookup", "lookup": "weather", "column": "wind"},
            {"name": "stop.COUNT(trips_ended, Last 1 Days)", **windowed, "aggregation": "count"},
            {"name": "stop.MEAN(trips_ended.delay, Last 1 Days)", **windowed, "aggregation": "mean", "column": "delay"},
            {"name": "stop.MEAN(trips_ended.late, Last 1 Days)", **windowed, "aggregation": "mean", "column": "late"},
        ],
        "lookups": {
            "buses": {"kind": "static", "file": "buses.parquet", "on": ["bus"], "keys": ["bus"]},
            "weather": {
                "kind": "latest", "file": "weather.parquet", "on": ["stop"], "keys": ["stop"],
                "time": "seen", "valid_for_s": 21600, "at_cutoff": "excluded",
            },
            "trips_ended by stop": {
                "kind": "window", "file": "trips.ended.parquet", "on": ["stop"], "keys": ["stop"], "time": "ended",
                "scales": {"delay": 1, "late": 0}, "at_cutoff": "excluded", "since": "2024-01-02T00:00:00",
            },
        },
        "events": {
            "trips": {
                "record": {"id": "number", "ended": "time", "stop": "text", "delay": "number"},
                "key": "id",
                "views": [],
            },
            "buses": {"record": {"bus": "number", "seats": "number"}, "key": "bus", "views": []},
            "weather": {
                "record": {"stop": "text", "seen": "time", "wind": "number"}, "key": ["stop", "seen"], "views": [],
            },
        },
        "sources": [
            {
                "table": "weather", "time": "seen", "file": "weather.parquet", "before": "2024-01-03T00:00:00",
                "within_s": 7200,
            },
            {
                "table": "trips", "time": "ended", "file": "trips.ended.parquet", "before": "2024-01-03T00:00:00",
                "within_s": 7200,
            },
        ],
        "golden": "golden.json",
        "task": {"kind": "multiclass", "classes": ["no", "yes"]},
    }  # fmt: skip


def test_the_files_that_the_plan_names_hold_the_past_that_the_first_cutoff_needs() -> None:
    files = state(Task())

    plan = read_plan(files.pop("plan.json"))

    rows = {name: pq.read_table(io.BytesIO(content)) for name, content in files.items()}
    assert {lookup.file for lookup in plan.lookups.values()} == set(rows)
    assert rows["trips.ended.parquet"]["ended"][0].as_py() == START + pd.Timedelta("1D")  # a window of a day
    assert rows["weather.parquet"]["seen"][0].as_py() == START + pd.Timedelta("42h")  # valid for six hours


@pytest.mark.parametrize(
    "change",
    [
        {"target": "ended - planned > interval 1 hour"},
        {"cutoff": "ended - 2h", "target": "delay > 3"},
        {"known": ["bus", "stop"]},
    ],
)
def test_a_record_has_the_time_of_its_cutoff_whatever_else_it_has(change: dict[str, Any]) -> None:
    spec = UseCaseSpec.model_validate({**DECLARED, "examples": {**DECLARED["examples"], **change}})
    cutoffs = pd.Series([START + pd.Timedelta("2D")])

    plan = read_plan(
        online_state("trips", spec, define_features("trips", spec, tables()), tables(), cutoffs)["plan.json"]
    )

    assert plan.record[str(spec.examples.cutoff_column)] == "time"


def test_an_event_that_is_sent_has_the_computed_columns_of_the_batch_path() -> None:
    declared = json.loads(json.dumps(DECLARED))
    computed = {
        "ratio": "delay / (seats - 3)", "half": "seats // 2", "named": "'bus ' || seats", "root": "sqrt(delay - 3) > 1",
        "third": "small / 3",
    }  # fmt: skip
    declared["tables"]["trips"] |= {"computed": computed, "known_at": {"ended": ["delay", "seats", "small", *computed]}}
    declared["examples"]["target"] = "delay > 3"
    declared["features"]["history"]["aggregations"] = ["mean", "num_unique"]
    spec = UseCaseSpec.model_validate(declared)
    trips = tables()["trips"].drop_columns(["late"])
    seats = pa.array([row % 7 for row in range(96)])
    small = pa.array([row / 7 for row in range(96)])
    stored = trips.append_column("seats", seats).append_column("small", small)
    batch = {**tables(), "trips": with_computed("trips", spec.tables["trips"], stored)}
    plan = read_plan(
        online_state("trips", spec, define_features("trips", spec, batch), batch, pd.Series([START]), Task())[
            "plan.json"
        ]
    )
    (view,) = plan.events["trips"].views
    numbers = {name for name, kind in plan.events["trips"].record.items() if kind == "number"}
    sent = pa.table(
        {
            name: stored[name].cast(pa.float64()) if name in numbers else stored[name]
            for name in plan.events["trips"].record
        }
    )

    connection = connect()
    connection.register("event", sent)
    online = connection.sql(view.query).to_arrow_table()

    lookup = define_features("trips", spec, batch).lookups["trips_ended by stop"]
    expected = events_of(spec, lookup, ["stop"], batch["trips"])
    assert expected["ratio"].null_count == 14
    assert online.select(expected.column_names).to_pylist() == expected.to_pylist()


def test_a_computed_column_of_an_asked_row_is_that_of_its_snapshot_in_batch_and_service() -> None:
    computed = {"ratio": "a / b", "more": "a / b > 0.5", "half": "a // 2", "text": "'n' || a", "none": "a / b is null"}
    declared = {
        "description": "Late?",
        "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "seen", "computed": computed}},
        "examples": {
            "table": "rows", "cutoff": "seen", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2},
        },
        "models": {"logistic": {}},
    }  # fmt: skip
    spec = UseCaseSpec.model_validate(declared)
    seen = START + pd.to_timedelta(pd.Series(range(12)), "h")
    frame = pd.DataFrame(
        {"id": range(12), "seen": seen, "a": [n % 4 for n in range(12)], "b": [n % 3 - 1 for n in range(12)]}
    )
    stored = pa.Table.from_pandas(frame.assign(y=1), preserve_index=False)
    snapshot = with_computed("rows", spec.tables["rows"], stored)
    batch = {"rows": snapshot}
    definitions = define_features("rows", spec, batch)
    matrix = feature_matrix(spec, definitions, batch, pd.DataFrame({"id": range(12), "cutoff": seen}))
    numeric = [name for name in computed if name != "text"]

    plan = read_plan(online_state("rows", spec, definitions, batch, seen, Task())["plan.json"])
    assert plan.synthesis is not None
    sent = frame.drop(columns="id").assign(seen=seen.astype(str)).to_dict("records")
    records = RecordReader(plan).read(sent)
    online, texts = Synthesizer(plan.synthesis, numeric, ["text"]).values(records, {}, [[] for _ in records])

    expected = snapshot.select(numeric).to_pandas().astype("float64").to_numpy()
    np.testing.assert_array_equal(matrix[numeric].to_numpy(), expected)
    np.testing.assert_array_equal(online, expected.astype("float32"))
    assert np.isnan(expected[:, 0]).sum() == np.isnan(expected[:, 1]).sum() == 4
    assert matrix["text"].tolist() == [text for (text,) in texts] == snapshot["text"].to_pylist()


def test_whole_numbers_that_no_double_holds_keep_their_digits_in_batch_and_service() -> None:
    computed = {"digit": "a % 10", "odd": "a % 2 = 1", "code": "a::varchar", "half": "a // 2 % 1000"}
    declared = {
        "description": "Late?",
        "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id", "computed": computed}},
        "examples": {"table": "rows", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2}},
        "models": {"logistic": {}},
    }
    numbers = [2**53 + 1, 2**60 + 7, -(2**53) - 1, 2**63 - 1, 7, 0, None]
    spec = UseCaseSpec.model_validate(declared)
    stored = pa.table({"id": range(7), "a": numbers, "y": [0, 1, 0, 1, 0, 1, 0]})
    batch = {"rows": with_computed("rows", spec.tables["rows"], stored)}
    definitions = define_features("rows", spec, batch)

    matrix = feature_matrix(spec, definitions, batch, pd.DataFrame({"id": range(7), "cutoff": pd.NaT}))
    plan = read_plan(online_state("rows", spec, definitions, batch, pd.Series([START]), Task())["plan.json"])
    assert plan.synthesis is not None
    records = RecordReader(plan).read([{"a": number} for number in numbers])
    numeric = ["digit", "odd", "half"]
    online, texts = Synthesizer(plan.synthesis, numeric, ["code"]).values(records, {}, [[] for _ in records])

    assert matrix["digit"].tolist()[:6] == online[:6, 0].tolist() == [3, 3, -3, 7, 7, 0]
    np.testing.assert_array_equal(matrix[numeric].to_numpy("float32"), online)
    assert [text for (text,) in texts] == ["" if number is None else str(number) for number in numbers]
    assert matrix["code"].fillna("").tolist() == [text for (text,) in texts]


def test_the_code_of_a_plan_is_its_structs_and_nothing_else_of_the_service() -> None:
    reached = [name for name in running().reach("ml.features.online_state") if name.startswith("service")]

    assert reached == ["service", "service.plan", "service.plan.document", "service.plan.parts", "service.plan.texts"]
