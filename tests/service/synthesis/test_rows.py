from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.plan.parts import SynthesisTable
from service.synthesis.row_files import load_rows
from service.synthesis.rows import Index

TABLE = SynthesisTable("rows.parquet", {"key": "VARCHAR", "group": "DOUBLE", "at": "TIMESTAMP"}, "key")
COLUMNS: dict[str, Any] = {
    "key": ["a", "b", "c"],
    "group": [1.0, None, 1.0],
    "at": pa.array([3, None, 1], pa.timestamp("us")),
}


def rows(folder: Path, **columns: Any) -> Any:
    pq.write_table(pa.table({**COLUMNS, **columns}), folder / "rows.parquet")
    return load_rows(TABLE, {"group"}, folder / "rows.parquet")


@given(st.lists(st.sampled_from([None, -(2**63), 0, 5, 2**63 - 1])), st.sets(st.sampled_from([-(2**63), 0, 4, 5])))
def test_an_index_finds_the_rows_of_each_value(column: list[int | None], values: set[int]) -> None:
    positions = Index.of(pa.chunked_array([pa.array(column, pa.int64())])).find(list(values))

    expected = {value: [i for i, cell in enumerate(column) if cell == value] for value in values}
    assert dict(zip(values, [rows.tolist() for rows in positions], strict=True)) == expected


@pytest.mark.parametrize("values", [["", "é", "z", "😀"], [False, True], [-0.5, 0.0, 1e300]])
def test_values_of_every_type_are_found(values: list[Any]) -> None:
    index = Index.of(pa.chunked_array([[values[-1], None, *values]]))

    places = [positions.tolist() for positions in index.find(values[:2])]
    assert places == ([[2], [3]] if len(values) > 2 else [[2], [0, 3]])


def test_a_changed_table_leaves_the_earlier_one_as_it_was(tmp_path: Path) -> None:
    before = rows(tmp_path)

    after, replaced = before.edit({"a": None, "d": {"key": "d", "group": 1.0, "at": None}})

    assert replaced == {"a"}
    for table, keys in [(before, ["a", "c"]), (after, ["c", "d"])]:
        assert table.values(table.find("group", {1.0}), "key") == keys
    assert sorted(after.values(after.all(), "key")) == ["b", "c", "d"]
    assert after.values(after.find("group", {1.0}), "at") == [1, None]


def test_a_missing_value_is_in_no_group(tmp_path: Path) -> None:
    table, _ = rows(tmp_path, group=[np.nan, None, 2.0]).edit({"d": {"key": "d", "group": None, "at": 1}})

    assert table.values(table.all(), "group") == [None, None, 2.0, None]
    assert table.find("group", {1.0}).unknown == {1.0}
