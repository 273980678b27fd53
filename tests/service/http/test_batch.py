"""Tables through HTTP, answered as their records are."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import onnx
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc
from starlette.testclient import TestClient

from service.frames.formats import CSV, FILE, PARQUET, STREAM, write_table
from service.http import batch
from service.http.app import Application
from service.http.limits import Limits
from service.http.served import Served
from service.predictions.log import PredictionLog
from service.predictions.reading import predictions
from service.predictions.settings import PredictionSettings
from tests.support.applications import unnamed

FORMATS = [STREAM, FILE, PARQUET, CSV]


@pytest.fixture
def sender(parcels: Served) -> TestClient:
    return TestClient(Application(parcels))


@pytest.fixture
def parcels_twice(parcels: Served) -> tuple[TestClient, TestClient]:
    """Return clients of two services of one model, which count for themselves."""
    other = Served()
    other.version, other.not_ready = parcels.version, None
    return TestClient(Application(parcels)), TestClient(Application(other))


@pytest.fixture
def records(parcel: dict[str, Any]) -> list[dict[str, Any]]:
    rng = random.Random(3)
    return [
        {
            **parcel,
            "weight": rng.choice([None, rng.uniform(-50, 300), 5.0]),
            "pieces": rng.choice([float(rng.randrange(1, 30)), 3.0]),
            "carrier": rng.choice(["UA", "DL", "ÖBB", None]),
            "fragile": rng.choice([True, False, None]),
        }
        for _ in range(250)
    ]


def table_of(records: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(records)


def read(kind: str, content: bytes) -> pa.Table:
    if kind == PARQUET:
        return pq.read_table(io.BytesIO(content))
    if kind == CSV:
        return csv.read_csv(io.BytesIO(content))
    with (ipc.open_stream if kind == STREAM else ipc.open_file)(pa.py_buffer(content)) as reader:
        return reader.read_all()


def send(client: TestClient, kind: str, body: bytes, accept: str | None = None) -> Any:
    headers = {"content-type": kind, **({"accept": accept} if accept else {})}
    return client.post("/predict_batch", content=body, headers=headers)


@pytest.mark.parametrize("given", FORMATS)
@pytest.mark.parametrize("answered", FORMATS)
def test_rows_are_answered_as_records_in_every_format(
    sender: TestClient, records: list[dict[str, Any]], given: str, answered: str
) -> None:
    expected = sender.post("/predict", json={"records": records}).json()

    response = send(sender, given, write_table(given, table_of(records)), answered)

    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith(answered)
    assert response.headers["x-sextant-coordinates"] == "c0ffee"
    table = read(answered, response.content)
    assert table.schema.names == ["score", "decision", "warnings", "id"]
    assert len(set(table["id"].to_pylist())) == len(records)
    assert table["score"].to_pylist() == expected["scores"]
    assert table["decision"].to_pylist() == expected["decisions"]
    warnings = ["; ".join(texts) for texts in expected["warnings"]] if answered == CSV else expected["warnings"]
    if given != CSV:  # in which 3.0 is written as 3, and said so
        assert table["warnings"].to_pylist() == warnings
    if answered != CSV:
        about = {b"sextant.model": b"parcels:3", b"sextant.coordinates": b"c0ffee"}
        assert {name: table.schema.metadata[name] for name in about} == about


SHARED = pa.array([0, 1, None, 2], pa.int8())
NS = pa.timestamp("ns")


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("carrier", pa.DictionaryArray.from_arrays(SHARED, ["UA", None, "DL"]), ["UA", None, None, "DL"]),
        ("carrier", pa.array(["UA", None, "ÖBB" * 9, ""], pa.string_view()), ["UA", None, "ÖBB" * 9, ""]),
        (
            "carrier",
            pa.DictionaryArray.from_arrays(SHARED, pa.array(["UA", None, "DL"], pa.string_view())),
            ["UA", None, None, "DL"],
        ),
        (
            "carrier",
            pa.DictionaryArray.from_arrays(SHARED, ["UA", "DL", *map(str, range(126))]),
            ["UA", "DL", None, "0"],
        ),
        ("carrier", pa.DictionaryArray.from_arrays(SHARED, pa.nulls(3)), [None, None, None, None]),
        ("due", pa.DictionaryArray.from_arrays(SHARED, ["2014-01-05", None, "2014-01-06"]), None),
        ("due", pa.DictionaryArray.from_arrays(SHARED, pa.array([1_388_880_000_000_000_000, None, -1], NS)), None),
        ("sent_at", pa.DictionaryArray.from_arrays(SHARED, ["2014-01-05", None, "2014-01-06"]), None),
        ("sent_at", pa.array([-1, 0, -86_400_000_000_001, 5], NS), None),
        ("pieces", pa.DictionaryArray.from_arrays(SHARED, [3, None, 900]), [3, None, None, 900]),
        ("fragile", pa.DictionaryArray.from_arrays(SHARED, [True, None, False]), [True, None, None, False]),
    ],
)
@pytest.mark.parametrize("times", [1, 30])
def test_columns_that_hold_the_same_are_answered_alike(
    sender: TestClient, parcel: dict[str, Any], name: str, column: pa.Array, values: list[Any] | None, times: int
) -> None:
    if values is None:
        values = [None if value is None else str(value).replace(" ", "T")[:26] for value in column.to_numpy(False)]
        values = [None if value == "NaT" else value for value in values]
    records = [{**parcel, name: value} for value in values] * times
    table = table_of([parcel] * len(column)).drop_columns([name]).append_column(name, column)

    response = send(sender, STREAM, write_table(STREAM, pa.concat_tables([table] * times)), "application/json")

    expected = sender.post("/predict", json={"records": records})
    assert response.status_code == expected.status_code
    if response.status_code == 200:
        assert unnamed(response.json()) == unnamed(expected.json())
    else:
        assert response.json()["problems"] == expected.json()["problems"]


@pytest.mark.parametrize("given", FORMATS)
def test_the_format_of_the_answer_is_that_of_the_table_unless_json_is_accepted(
    sender: TestClient, records: list[dict[str, Any]], given: str
) -> None:
    body = write_table(given, table_of(records[:3]))

    assert send(sender, given, body).headers["content-type"].startswith(given)
    content = send(sender, given, body, "application/json").json()
    assert content["scores"] == sender.post("/predict", json={"records": records[:3]}).json()["scores"]
    assert content["model"] == "parcels:3"


def test_a_column_that_is_left_out_is_missing(sender: TestClient, parcel: dict[str, Any]) -> None:
    del parcel["weight"], parcel["carrier"]

    response = send(
        sender, CSV, b"pieces,sent_at,due,fragile\n3,2014-01-02T10:30:00,2014-01-05,true\n", "application/json"
    )

    expected = sender.post("/predict", json={"records": [parcel]}).json()
    assert unnamed(response.json()) == unnamed(expected)


@pytest.mark.parametrize("count", [3, 5_000])
def test_problems_name_row_and_column_as_those_of_records(
    sender: TestClient, parcel: dict[str, Any], count: int
) -> None:
    records = [dict(parcel) for _ in range(count)]
    records[1]["weight"], records[2]["sent_at"] = 1e39, None

    response = send(sender, STREAM, write_table(STREAM, table_of(records)))

    expected = sender.post("/predict", json={"records": records}).json()
    assert response.status_code == 422
    assert response.json() == {**expected, "error": "2 problems in 2 rows; no row was scored"}


def test_a_field_of_csv_that_is_no_number_is_named(sender: TestClient) -> None:
    response = send(sender, CSV, b"sent_at,weight\n2014-01-02,1\n2014-01-02,far\n")

    assert response.status_code == 422
    (problem,) = response.json()["problems"]
    assert (problem["record"], problem["field"], problem["given"]) == (1, "weight", "far")


@pytest.mark.parametrize(
    ("kind", "body", "accept", "status", "message"),
    [
        ("application/json", b"{}", None, 415, "send application/vnd.apache.arrow.stream"),
        ("", b"{}", None, 415, "send application/vnd.apache.arrow.stream"),
        (CSV, b"a,b\n", "image/png", 406, "the answer may be text/csv"),
        (CSV, b"", None, 400, "the body cannot be read as text/csv: Empty CSV file"),
        (CSV, b'sent_at\n"2014\n', None, 400, "a quote is never closed"),
        (PARQUET, b"PAR1", None, 400, "it does not begin and end with PAR1"),
        (STREAM, b"\0" * 30, None, 400, "the body cannot be read as application/vnd.apache.arrow.stream"),
        (CSV, b"sent_at,wings\n2014-01-01,2\n", None, 422, "unknown columns ['wings']"),
        (CSV, b"weight\n1\n", None, 422, "'sent_at' is required, and not there"),
        (CSV, b"sent_at\n" + b"2014-01-01\n" * 11, None, 413, "more than 10 rows"),
        (CSV, b"sent_at\n" + b"2014-01-01\n" * 2000, None, 413, "longer than 20000 bytes"),
    ],
)
def test_what_cannot_be_answered_is_said(
    parcels: Served, kind: str, body: bytes, accept: str | None, status: int, message: str
) -> None:
    parcels.limits = Limits(batch_rows=10, batch_bytes=20_000)

    response = send(TestClient(Application(parcels)), kind, body, accept)

    assert response.status_code == status
    assert message in response.json()["error"]


def test_words_and_time_have_a_bound(parcels: Served) -> None:
    client, body = TestClient(Application(parcels)), b"sent_at,pieces\n" + b"2014-01-01,1000\n" * 1_000

    parcels.limits = Limits(batch_bytes=20_000)
    wordy = send(client, CSV, body)
    parcels.limits = Limits(seconds=1e-9)
    late = send(client, CSV, body)

    assert (wordy.status_code, late.status_code) == (413, 503)
    assert "more than 20000 bytes, so no row was scored; send fewer at a time" in wordy.json()["error"]
    assert "no row was scored" in late.json()["error"]


def test_without_pyarrow_records_are_asked_for(sender: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "find_spec", lambda name: None)

    response = send(sender, CSV, b"sent_at\n2014-01-01\n")

    assert response.status_code == 501
    assert "send records to /predict" in response.json()["error"]


def test_rows_are_counted(sender: TestClient, records: list[dict[str, Any]]) -> None:
    send(sender, PARQUET, write_table(PARQUET, table_of(records)))

    figures = sender.get("/metrics").text
    assert 'sextant_request_seconds_count{route="/predict_batch",status="200"} 1.0' in figures
    assert "sextant_list_records_sum 250.0" in figures
    expected = sender.post("/predict", json={"records": records}).json()
    assert f"sextant_warned_records_total {float(sum(map(bool, expected['warnings'])))}" in figures


@pytest.mark.parametrize("several", [{"classes": ("a", "b", "c")}, {"targets": ("x", "y")}])
def test_several_answers_are_a_column_each(write_bundle: Any, several: dict[str, Any]) -> None:
    """A model of classes, or targets, whose answers are its numbers."""
    names = several.get("classes") or several["targets"]
    columns = dict.fromkeys(names, "number")
    task = {"kind": "multiclass" if "classes" in several else "binary", **several}
    plan = {
        "use_case": "several",
        "record": columns,
        "required": [],
        "task": task,
        "features": [{"name": name, "kind": "column", "column": name} for name in names],
    }
    folder = write_bundle(plan)
    width = len(names)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["numeric"], ["score"])],
        "several",
        [value("numeric", onnx.TensorProto.FLOAT, [None, width])],
        [value("score", onnx.TensorProto.FLOAT, [None, width])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    reference = {"targets": {name: {"threshold": {"value": 0.5}} for name in several.get("targets", ())}}
    carried = {
        "sextant.inputs": {"numeric": list(names), "categorical": []},
        "sextant.task": task,
        "sextant.reference": reference,
    }
    onnx.helper.set_model_props(model, {name: json.dumps(content) for name, content in carried.items()})
    onnx.save(model, folder / "model.onnx")
    (folder / "golden.json").write_text('{"records": [], "scores": []}')
    served = Served()
    served.load(folder)
    client = TestClient(Application(served))
    shares = [[0.25, 0.75, 0.0], [0.5, 0.5, 0.0], [0.125, 0.25, 0.625]] * 60
    table = pa.table({name: [row[place] for row in shares] for place, name in enumerate(names)})
    expected = client.post("/predict", json={"records": table.to_pylist()}).json()

    answered = read(STREAM, send(client, STREAM, write_table(STREAM, table)).content)
    as_json = send(client, STREAM, write_table(STREAM, table), "application/json").json()

    assert unnamed(as_json) == unnamed(expected)
    for name in names:
        assert answered[f"probability_{name}"].to_pylist() == [row[name] for row in expected["probabilities"]]
    if "classes" in several:
        assert answered["class"].to_pylist() == expected["classes"]
    else:
        assert answered["decision_x"].to_pylist() == [row["x"] for row in expected["decisions"]]


@pytest.fixture
def keyed(write_bundle: Any) -> TestClient:
    """Return a client of a model that predicts numbers with an interval, whose records may say which row they are."""
    plan = {
        "use_case": "keyed",
        "task": {"kind": "regression"},
        "record": {"weight": "number"},
        "key": {"row": "text"},
        "required": [],
        "features": [{"name": "weight", "kind": "column", "column": "weight"}],
    }
    folder = write_bundle(plan, numeric=["weight"], categorical=[], weights=[1.0])
    model = onnx.load(folder / "model.onnx")
    carried = {
        "sextant.task": {"kind": "regression"},
        "sextant.reference": {"interval": {"wanted": 0.9, "half_width": 0.125, "rows": 100}},
    }
    for name, content in carried.items():
        model.metadata_props.add(key=name, value=json.dumps(content))
    onnx.save(model, folder / "model.onnx")
    (folder / "golden.json").write_text('{"records": [], "scores": []}')
    served = Served()
    served.load(folder)
    return TestClient(Application(served))


@pytest.mark.parametrize("count", [2, 200])
def test_numbers_have_the_ends_of_their_interval_and_rows_may_have_a_key(keyed: TestClient, count: int) -> None:
    records = [{"row": f"r{place}", "weight": float(place)} for place in range(count)]
    expected = keyed.post("/predict", json={"records": records}).json()
    columns = {name: [interval[name] for interval in expected["intervals"]] for name in ("lower", "upper")}

    for kind in FORMATS:
        table = read(PARQUET, send(keyed, kind, write_table(kind, table_of(records)), PARQUET).content)
        assert table.schema.names == ["score", "lower", "upper", "warnings", "id"]
        assert table["score"].to_pylist() == expected["scores"]
        assert {name: table[name].to_pylist() for name in columns} == columns
    tensors = [
        {"name": name, "datatype": kind, "shape": [count], "data": [record[name] for record in records]}
        for name, kind in {"row": "BYTES", "weight": "FP64"}.items()
    ]
    outputs = keyed.post("/v2/models/keyed/infer", json={"inputs": tensors}).json()["outputs"]
    answered = {output["name"]: output["data"] for output in outputs}
    assert {name: answered[name] for name in ("score", "lower", "upper")} == {"score": expected["scores"], **columns}
    assert keyed.get("/v2/models/keyed").json()["outputs"][1]["name"] == "lower"


def test_a_key_of_another_type_is_named(keyed: TestClient) -> None:
    response = send(keyed, STREAM, write_table(STREAM, pa.table({"row": [1], "weight": [1.0]})))

    assert response.status_code == 422
    assert "the column 'row' holds int64, and the model takes texts" in response.json()["error"]


@pytest.mark.parametrize("count", [2, 200])
def test_rows_see_all_events_that_were_accepted_before_or_say_that_they_do_not(
    parcels: Served, parcel: dict[str, Any], count: int
) -> None:
    class Behind:
        refreshing = None

        refreshed = 0

        def stale(self) -> bool:
            return True

        def refresh(self) -> None:
            self.refreshed += 1

        def behind(self) -> str:
            return "the database is away"

    events: Any = Behind()
    parcels.require_predictor().events = events

    response = send(TestClient(Application(parcels)), STREAM, write_table(STREAM, table_of([parcel] * count)))

    warnings = read(STREAM, response.content)["warnings"].to_pylist()
    assert warnings == [["the history may lack events: the database is away"]] * count
    assert events.refreshed == 1


def figures_of(client: TestClient) -> dict[str, str]:
    """Return the figures of what was answered, but for the sums of floats, whose order differs, and for times."""
    lines = [line.rpartition(" ") for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    left_out = ("sextant_request", "sextant_score_sum", "python_", "process_", "sextant_predictions")
    return {name: value for name, _, value in lines if not name.startswith(left_out)}


@pytest.mark.parametrize("kind", FORMATS)
def test_rows_of_a_table_are_counted_as_records_are(
    parcels_twice: tuple[TestClient, TestClient], records: list[dict[str, Any]], kind: str
) -> None:
    by_record, by_table = parcels_twice
    if kind == CSV:  # in which 3.0 is written as 3, and a warning says so
        records = [{**record, "pieces": 3.5} for record in records]

    by_record.post("/predict", json={"records": records})
    response = send(by_table, kind, write_table(kind, table_of(records)))

    assert response.status_code == 200
    assert figures_of(by_table) == figures_of(by_record)


@pytest.mark.parametrize("model", ["parcels", "served"])
def test_rows_of_a_table_are_logged_as_records_are(
    request: pytest.FixtureRequest, tmp_path: Path, model: str, parcel: dict[str, Any], record: dict[str, Any]
) -> None:
    served: Served = request.getfixturevalue(model)
    served.predictions = PredictionLog(PredictionSettings(str(tmp_path), features=True))
    client = TestClient(Application(served))
    records = [dict(parcel if model == "parcels" else record) for _ in range(150)]
    records[7]["carrier"], records[9]["carrier"] = "Zeppelin", None

    listed = client.post("/predict", json={"records": records}).json()
    tabled = read(STREAM, send(client, STREAM, write_table(STREAM, table_of(records))).content)
    served.predictions.close()

    logged = predictions(str(tmp_path), served.require_predictor().plan.use_case).to_table()
    assert sorted(logged["id"].to_pylist()) == sorted([*listed["ids"], *tabled["id"].to_pylist()])
    rows = {row.pop("id"): row for row in logged.to_pylist()}
    for one, other in zip(listed["ids"], tabled["id"].to_pylist(), strict=True):
        alike = [{**rows[name], "time": None, "request": None} for name in (one, other)]
        assert alike[0] == alike[1]


def test_rows_for_which_the_log_has_no_room_are_counted_as_lost(
    parcels: Served, tmp_path: Path, parcel: dict[str, Any]
) -> None:
    parcels.predictions = PredictionLog(PredictionSettings(str(tmp_path), most_bytes=1_000))

    response = send(TestClient(Application(parcels)), STREAM, write_table(STREAM, table_of([parcel] * 500)))

    assert response.status_code == 200
    assert parcels.predictions.lost["full"] == 500
    parcels.predictions.close()
