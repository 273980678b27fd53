"""The same records through every protocol: logged, counted and warned of alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from service.frames.formats import FILE, PARQUET, STREAM, write_table
from service.http.app import Application
from service.http.served import Served
from service.predictions.log import PredictionLog
from service.predictions.reading import predictions
from service.predictions.settings import PredictionSettings

NAMES = {"sent_at": "BYTES", "due": "BYTES", "carrier": "BYTES", "weight": "FP64", "pieces": "FP64", "fragile": "BOOL"}
KINDS = {"BYTES": pa.string(), "FP64": pa.float64(), "BOOL": pa.bool_()}
OF_ITSELF = ("id", "request", "time", "date")
COUNTED = re.compile(r"(sextant_(?:records|missing|unknown|warn|score|decisions)\S*) (\S+)")

Records = list[dict[str, Any]]


def table_of(records: Records) -> pa.Table:
    return pa.Table.from_pylist(records, pa.schema([(name, KINDS[kind]) for name, kind in NAMES.items()]))


def lists_of(records: Records) -> dict[str, list[Any]]:
    return {name: [record[name] for record in records] for name in NAMES}


def inputs_of(records: Records) -> list[Any]:
    about = {"shape": [len(records)]}
    return [{"name": name, "datatype": NAMES[name], "data": data, **about} for name, data in lists_of(records).items()]


def split_of(records: Records) -> dict[str, Any]:
    return {"columns": [*NAMES], "data": [[record[name] for name in NAMES] for record in records]}


def as_table(path: str, kind: str) -> Callable[[Records], dict[str, Any]]:
    return lambda records: {
        "url": path,
        "content": write_table(kind, table_of(records)),
        "headers": {"content-type": kind},
    }


def as_json(path: str, body: Callable[[Records], Any]) -> Callable[[Records], dict[str, Any]]:
    return lambda records: {"url": path, "json": body(records)}


PROTOCOLS = {
    "records of SageMaker": as_json("/invocations", lambda records: {"records": records}),
    "dataframe_split": as_json("/invocations", lambda records: {"dataframe_split": split_of(records)}),
    "dataframe_records": as_json("/invocations", lambda records: {"dataframe_records": records}),
    "instances": as_json("/invocations", lambda records: {"instances": records}),
    "inputs": as_json("/invocations", lambda records: {"inputs": lists_of(records)}),
    "V2": as_json("/v2/models/parcels/infer", lambda records: {"inputs": inputs_of(records)}),
    "table of SageMaker": as_table("/invocations", STREAM),
    **{kind: as_table("/predict_batch", kind) for kind in (STREAM, FILE, PARQUET)},
}


def observed(bundle: Path, place: Path, request: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Return what is logged and counted of a request, but for what each answer has of itself."""
    served = Served()
    served.load(bundle)
    served.predictions = PredictionLog(PredictionSettings(str(place), features=True))
    client = TestClient(Application(served))
    assert client.post(**request).status_code == 200
    served.close()
    rows = predictions(str(place), "parcels").to_table().to_pylist()
    assert len({row["id"] for row in rows}) == len(rows)
    logged = [{name: value for name, value in row.items() if name not in OF_ITSELF} for row in rows]
    return logged, dict(COUNTED.findall(client.get("/metrics").text))


@pytest.mark.parametrize("count", [1, 120])
def test_records_are_logged_and_counted_alike_through_every_protocol(
    write_parcels: Callable[[], Path], parcel: dict[str, Any], tmp_path: Path, count: int
) -> None:
    bundle = write_parcels()
    cycle = {
        "weight": [None, 2.5, -70.0, 1e6],
        "pieces": [3.0, None, 20.0, 2.0],
        "carrier": ["UA", None, "", "XX"],
        "due": [None, "2014-01-05"],
        "fragile": [True, False, None],
    }
    records = [
        {**parcel, **{name: values[place % len(values)] for name, values in cycle.items()}} for place in range(count)
    ]
    expected = observed(
        bundle, tmp_path / "records", as_json("/predict", lambda records: {"records": records})(records)
    )
    assert len(expected[0]) == count

    for name, request in PROTOCOLS.items():
        assert observed(bundle, tmp_path / name.replace("/", "-"), request(records)) == expected, name
