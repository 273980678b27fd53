from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from service.plan.document import BundleError
from service.synthesis.row_files import SentTable
from tests.service.synthesis.test_rows import TABLE, rows


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"key": ["a", "b", "a"]}, "1 rows have no 'key', or that of another row"),
        ({"key": ["a", None, None]}, "2 rows have no 'key'"),
        ({"group": [1, 2, 3]}, "it has 'group' as int64, not DOUBLE"),
        ({"at": pa.array([1, 2, 3], pa.timestamp("ns"))}, r"it has 'at' as timestamp\[ns\], not TIMESTAMP"),
    ],
)
def test_a_file_that_is_not_the_table_is_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        rows(tmp_path, **columns)


def test_a_file_is_held_with_times_in_microseconds_and_no_nan(tmp_path: Path) -> None:
    loaded = rows(tmp_path, group=[float("nan"), 0.5, None])

    assert loaded.table.to_pydict() == {"key": ["a", "b", "c"], "group": [None, 0.5, None], "at": [3, None, 1]}


def test_a_table_that_takes_rows_names_them_by_their_key() -> None:
    sent = SentTable("rows", TABLE)

    assert sent.columns() == ["key", "group", "at"]
    assert sent.name({"key": "k", "group": None, "at": 1}) == "k"
    assert sent.type_problems(pa.schema({"key": pa.string(), "group": pa.int64(), "at": pa.timestamp("us")})) == [
        "'group' as int64, not DOUBLE"
    ]
