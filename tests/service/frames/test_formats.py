"""Bodies as tables: what is read, and what is refused before it takes memory."""

from __future__ import annotations

import datetime as dt
import io
import random
import resource
import struct
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

from service.frames.columns import ColumnsError
from service.frames.formats import (
    CSV,
    FILE,
    PARQUET,
    STREAM,
    Bounds,
    FormatError,
    TooLargeError,
    read_rows,
    write_table,
)
from service.plan.document import Plan
from service.predict.rows import Rows
from service.records.deadline import OutOfTimeError

RECORD: dict[str, Any] = {"at": "time", "name": "text", "number": "number", "flag": "flag"}
PLAN = Plan("parcels", RECORD, [], [])
TABLE = pa.table(
    {
        "at": pa.array([dt.datetime(2014, 1, 1), None, dt.datetime(1960, 5, 6, 7, 8, 9, 123_456)], pa.timestamp("us")),
        "name": ["UA", None, ""],
        "number": [1.5, None, -3.0],
        "flag": [True, None, False],
    }
)
RECORDS = [
    {"at": "2014-01-01T00:00:00.000000", "name": "UA", "number": 1.5, "flag": True},
    {"at": None, "name": None, "number": None, "flag": None},
    {"at": "1960-05-06T07:08:09.123456", "name": "", "number": -3.0, "flag": False},
]


def read(kind: str, body: bytes, rows: int = 1000, unpacked: int = 1_000_000, deadline: float | None = None) -> Rows:
    return read_rows(kind, body, PLAN, Bounds(rows, unpacked, deadline))


def records(kind: str, body: bytes, **bounds: int) -> list[dict[str, Any]]:
    rows = read(kind, body, **bounds)
    return rows.records(range(len(rows)))


def packed(table: pa.Table, compression: str | None) -> bytes:
    sink = io.BytesIO()
    with ipc.new_stream(sink, table.schema, options=ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize("kind", [STREAM, FILE, PARQUET])
def test_a_table_is_read_as_its_records(kind: str) -> None:
    rows = read(kind, write_table(kind, TABLE))

    assert len(rows) == 3
    assert rows.records(range(3)) == RECORDS
    assert rows.records([2, 0]) == [RECORDS[2], RECORDS[0]]
    columns = rows.columns(1, 3)
    np.testing.assert_array_equal(columns["number"].values, [np.nan, -3.0])
    np.testing.assert_array_equal(columns["flag"].values, [np.nan, 0.0])
    assert columns["name"].values.tolist() == [None, ""]


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_a_packed_stream_is_read(compression: str | None) -> None:
    assert records(STREAM, packed(TABLE, compression)) == RECORDS


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip", "data_page_version": "2.0"},
        {"compression": "none", "use_dictionary": False, "row_group_size": 1},
        {"compression": "brotli", "write_page_index": True, "write_page_checksum": True},
        {
            "column_encoding": {"number": "BYTE_STREAM_SPLIT", "name": "DELTA_LENGTH_BYTE_ARRAY"},
            "use_dictionary": False,
        },
    ],
)
def test_parquet_is_read_as_it_is_written(options: Any) -> None:
    assert records(PARQUET, parquet(TABLE, **options)) == RECORDS


@pytest.mark.parametrize("kind", [STREAM, PARQUET])
@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("number", pa.array([1, None], pa.int8()), [1, None]),
        ("number", pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
        ("number", pa.array([1.5, None], pa.float16()), [1.5, None]),
        ("number", pa.array([float("nan"), 0.1], pa.float32()), [None, float(np.float32(0.1))]),
        ("number", pa.array([Decimal("1.25"), None]), [1.25, None]),
        ("number", pa.array([None, None], pa.null()), [None, None]),
        ("name", pa.array(["ä", None], pa.large_string()), ["ä", None]),
        ("name", pa.array(["a" * 20, None], pa.string_view()), ["a" * 20, None]),
        ("name", pa.array(["a", None]).dictionary_encode(), ["a", None]),
        ("name", pa.array([None, None], pa.null()), [None, None]),
        ("at", pa.array([-1, None], pa.timestamp("ms")), ["1969-12-31T23:59:59.999000", None]),
        ("at", pa.array([1999, None], pa.timestamp("ns")), ["1970-01-01T00:00:00.000001", None]),
        ("at", pa.array([dt.date(2014, 1, 2), None]), ["2014-01-02T00:00:00.000000", None]),
        ("at", pa.array(["2014-01-02T10", None]), ["2014-01-02T10", None]),
        ("flag", pa.array([None, None], pa.null()), [None, None]),
    ],
    ids=str,
)
def test_the_types_of_a_column_are_many(kind: str, name: str, column: Any, values: list[Any]) -> None:
    rows = read(kind, write_table(kind, pa.table({name: column})))

    assert [row[name] for row in rows.records(range(2))] == values


def test_times_that_no_calendar_has_are_told_in_words() -> None:
    table = pa.table({"at": pa.array([2**62, -(2**62), 1, None], pa.timestamp("s"))})

    rows = read(STREAM, write_table(STREAM, table))

    told = [f"{2**62} s since 1970", f"{-(2**62)} s since 1970", "1970-01-01T00:00:01.000000", None]
    assert [row["at"] for row in rows.records(range(4))] == told
    column = rows.columns(0, 4)["at"]
    assert column.doubtful is not None
    assert (column.doubtful.tolist(), column.values[2]) == ([True, True, False, False], 1_000_000)


@pytest.mark.parametrize("kind", [STREAM, FILE, PARQUET])
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"number": ["a"]}, "the column 'number' holds string, and the model takes numbers"),
        ({"number": [True]}, "the column 'number' holds bool"),
        ({"name": [1]}, "the column 'name' holds int64, and the model takes texts"),
        ({"name": pa.array([b"a"])}, "the column 'name' holds .*binary"),
        ({"flag": [1]}, "the column 'flag' holds int64, and the model takes true and false"),
        ({"at": pa.array([1], pa.timestamp("us", "UTC"))}, "the column 'at' holds timestamp"),
        ({"number": [[1.0]]}, "the column 'number' holds list"),
        ({"number": [1.0], "wings": [2]}, "unknown columns \\['wings'\\]; the model of parcels takes at, flag, name"),
        ({"nummber": [1.0]}, "did you mean it by 'nummber'"),
        ({"wings": [1.0]}, "it has none of a record's columns"),
    ],
)
def test_columns_that_are_none_of_a_record_are_named(kind: str, table: Any, message: str) -> None:
    with pytest.raises(ColumnsError, match=message):
        read(kind, write_table(kind, pa.table(table)))


def test_a_column_that_is_there_twice_is_named() -> None:
    table = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], ["number", "number"])

    with pytest.raises(ColumnsError, match="'number' is there 2 times"):
        read(STREAM, write_table(STREAM, table))


@pytest.mark.parametrize("kind", [STREAM, FILE, PARQUET, CSV])
def test_a_table_without_rows_has_none(kind: str) -> None:
    assert len(read(kind, write_table(kind, TABLE.slice(0, 0)))) == 0


@pytest.mark.parametrize("kind", [STREAM, FILE, PARQUET, CSV])
def test_more_rows_than_allowed_are_refused(kind: str) -> None:
    body = write_table(kind, pa.table({"number": np.zeros(1001)}))

    with pytest.raises(TooLargeError, match="more than 1000 rows"):
        read(kind, body)
    assert len(read(kind, body, rows=1001)) == 1001


@pytest.mark.parametrize("kind", [STREAM, FILE, PARQUET, CSV])
def test_the_clock_is_looked_at(kind: str) -> None:
    with pytest.raises(OutOfTimeError):
        read(kind, write_table(kind, TABLE), deadline=time.monotonic() - 1)


@pytest.mark.parametrize("kind", [STREAM, FILE, PARQUET, CSV])
@pytest.mark.parametrize("body", [b"", b"x", b"ARROW1", b"PAR1PAR1", b"\xff" * 100, b"\0" * 100, b"\n\n"])
def test_what_is_no_table_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises((FormatError, ColumnsError)):
        read(kind, body)


ZEROS = pa.table({"number": np.zeros(30_000_000)})  # 240 MB


@pytest.mark.parametrize("how", ["zstd", "lz4", "parquet gzip", "parquet, dictionary"])
def test_a_bomb_is_refused_before_it_is_unpacked(how: str) -> None:
    if how.startswith("parquet"):
        options: Any = {"compression": "gzip", "use_dictionary": False} if "gzip" in how else {}
        body, kind = parquet(ZEROS, **options), PARQUET
        if "dictionary" in how:  # whose pages are small: its rows are counted
            with pytest.raises(TooLargeError, match="rows"):
                read(kind, body, rows=1_000_000)
            return
    else:
        body, kind = packed(ZEROS, how), STREAM
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(TooLargeError, match="unpacks to more than 1000000 bytes"):
        read(kind, body, rows=10**9)

    assert len(body) < 2_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_a_size_that_is_not_true_is_an_error() -> None:
    body = bytearray(packed(pa.table({"number": np.zeros(1000)}), "zstd"))
    place = body.index(struct.pack("<q", 8000), body.index(b"number"))
    real = body.rindex(struct.pack("<q", 8000))

    for size in (16, 2**62, -5):
        body[real : real + 8] = struct.pack("<q", size)
        with pytest.raises((FormatError, TooLargeError)):
            read(STREAM, bytes(body))
    assert place


def shared(how: str) -> Any:
    text = "x" * 10_000
    if how == "view":
        return pa.array([text] * 500, pa.string()).dictionary_encode().dictionary_decode().cast(pa.string_view())
    return pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), [text])


def test_a_text_that_many_rows_share_counts_for_each() -> None:
    table = pa.table({"name": shared("dictionary")})

    for kind in (STREAM, PARQUET):
        body = write_table(kind, table)
        assert len(body) < 30_000
        with pytest.raises(TooLargeError, match="unpacks to more than"):
            read(kind, body)
        assert records(kind, body, unpacked=6_000_000)[499] == {"name": "x" * 10_000}


def test_texts_that_repeat_the_begin_of_the_one_before_are_refused() -> None:
    body = parquet(
        pa.table({"name": ["x" * 100] * 5}), use_dictionary=False, column_encoding={"name": "DELTA_BYTE_ARRAY"}
    )

    with pytest.raises(FormatError, match="'name' is encoded as DELTA_BYTE_ARRAY"):
        read(PARQUET, body)


def test_a_text_that_is_no_utf_8_is_refused() -> None:
    array = pa.StringArray.from_buffers(1, pa.py_buffer(struct.pack("<ii", 0, 2)), pa.py_buffer(b"\xff\xfe"))

    with pytest.raises(FormatError, match="UTF8"):
        read(STREAM, write_table(STREAM, pa.table({"name": array})))


def test_a_broken_body_is_read_or_refused() -> None:
    rng = random.Random(5)
    table = pa.concat_tables([TABLE] * 40)
    bodies = [
        *((kind, write_table(kind, table)) for kind in (STREAM, FILE, PARQUET, CSV)),
        (STREAM, packed(table, "zstd")),
        (PARQUET, parquet(table, compression="none", use_dictionary=False)),
    ]
    for _ in range(400):
        kind, body = rng.choice(bodies)
        broken = bytearray(body)
        for _ in range(rng.choice([1, 1, 4])):
            place = rng.randrange(len(broken))
            broken[place : place + 4] = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\x7f", rng.randbytes(4), b""])
        try:
            rows = read(kind, bytes(broken))
            rows.columns(0, len(rows)) if len(rows) else None
            rows.records(range(len(rows)))
        except (FormatError, TooLargeError, ColumnsError):
            pass
