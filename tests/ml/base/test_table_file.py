"""A table in a file gives the same rows as the table in memory, by any part of it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.base import hashing, table_file
from ml.base.hashing import hash_table
from ml.base.table_file import TableFile

ROWS = 1000
TABLE = pa.table({
    "a": [None if row % 7 == 0 else row for row in range(ROWS)],
    "a.b": [f"text {row}" if row % 3 else None for row in range(ROWS)],
    "flag": [row % 2 == 0 for row in range(ROWS)],
    "maybe": [None if row % 5 else row % 3 == 0 for row in range(ROWS)],
    "at": pa.array(range(ROWS), pa.timestamp("us")),
    "late": pa.array([None, *[253402300799 * 10**6] * (ROWS - 1)], pa.timestamp("us")),
})  # fmt: skip


@pytest.fixture(params=[7, 64, 10_000])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TableFile:
    """A file whose parts are read in batches of some rows, columns of more than 500 a batch at a time."""
    monkeypatch.setattr(table_file, "BATCH", request.param)
    monkeypatch.setattr(hashing, "_LONG", 500)
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=130)
    return TableFile(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("start", "length"), [(0, None), (0, 0), (3, 5), (129, 300), (1, 999), (1000, None), (990, 50)]
)
def test_rows_columns_and_hash_are_those_of_the_table(file: TableFile, start: int, length: int | None) -> None:
    part, rows = file.slice(start, length), TABLE.slice(start, length)

    assert part.num_rows == rows.num_rows
    assert part.read().equals(rows)
    assert part.select(["a"]).equals(rows.select(["a"]))
    assert part.select([]).num_rows == rows.num_rows
    assert pa.Table.from_batches(part.batches(part.column_names), part.schema).equals(rows)
    assert part.slice(1).select(["a.b", "a"]).equals(rows.slice(1).select(["a.b", "a"]))
    assert hash_table(part) == hash_table(rows)


def test_a_part_is_whole_if_it_has_all_rows(file: TableFile) -> None:
    assert file.is_whole
    assert file.slice(0, ROWS).is_whole
    assert not file.slice(1).is_whole
