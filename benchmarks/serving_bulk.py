"""Many rows at once: the requests for `serving.py --bulk`, the same rows of breast_cancer in the forms of each side."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from serving_sides import _renamed
from sklearn.datasets import load_breast_cancer

ROWS = 100_000
Request = tuple[bytes, int]  # and its rows


def requests(names: list[str]) -> dict[str, dict[str, Request]]:
    """Return the requests of each side, by what they are."""
    table = _table(names, ROWS)
    some = table.slice(0, 10_000).to_pylist()  # of which a body of 8 MB holds a half
    ours: dict[str, Request] = {
        "/predict_batch, Arrow": (_post("/predict_batch", "application/vnd.apache.arrow.stream", _arrow(table)), ROWS),
        "/predict_batch, Parquet": (_post("/predict_batch", "application/vnd.apache.parquet", _parquet(table)), ROWS),
        "/predict_batch, CSV": (_post("/predict_batch", "text/csv", _csv(table)), ROWS),
        "/v2 infer, binary": (_binary(table), ROWS),
        "/v2 infer, JSON": (_tensors(table.slice(0, 5_000)), 5_000),
        "/predict": (_json("/predict", {"records": some[:5_000]}), 5_000),
    }
    theirs = {
        f"/predict_many, {count} rows": (_json("/predict_many", {"records": some[:count]}), count)
        for count in (100, 1_000, 10_000)
    }
    return {"sextant": ours, "FastAPI, joblib": theirs}


def _table(names: list[str], rows: int) -> pa.Table:
    """Return rows of the data set again and again, each number a little different."""
    X, _ = load_breast_cancer(return_X_y=True, as_frame=True)
    X.columns = [_renamed("_".join(name.split())) for name in X.columns]
    rng = np.random.default_rng(0)
    chosen = X[names].to_numpy()[rng.integers(0, len(X), rows)]
    return pa.table(dict(zip(names, (chosen * rng.uniform(0.99, 1.01, chosen.shape)).T, strict=True)))


def _written(write: Callable[[Any], Any]) -> bytes:
    sink = io.BytesIO()
    write(sink)
    return sink.getvalue()


def _arrow(table: pa.Table) -> bytes:
    def write(sink: Any) -> None:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=10_000)

    return _written(write)


def _parquet(table: pa.Table) -> bytes:
    return _written(lambda sink: pq.write_table(table, sink))


def _csv(table: pa.Table) -> bytes:
    return _written(lambda sink: csv.write_csv(table, sink))


def _binary(table: pa.Table) -> bytes:
    inputs, contents = [], []
    for name in table.schema.names:
        contents.append(table[name].to_numpy().tobytes())
        parameters = {"binary_data_size": len(contents[-1])}
        inputs.append({"name": name, "datatype": "FP64", "shape": [table.num_rows], "parameters": parameters})
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    body = b"".join([head, *contents])
    path = "/v2/models/breast_cancer/infer"
    return _post(path, "application/octet-stream", body, f"inference-header-content-length: {len(head)}\r\n")


def _tensors(table: pa.Table) -> bytes:
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [table.num_rows], "data": table[name].to_pylist()}
        for name in table.schema.names
    ]
    return _json("/v2/models/breast_cancer/infer", {"inputs": inputs})


def _json(path: str, body: Any) -> bytes:
    return _post(path, "application/json", json.dumps(body).encode())


def _post(path: str, kind: str, content: bytes, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n{more}\r\n"
    return head.encode() + content
