from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.history.state import Histories
from service.plan.document import BundleError
from service.windows.sums import LIMIT
from tests.support.past import FEATURES, PLAN

TABLE: dict[str, Any] = {
    "_row": ["e1", "e2"],
    "a": ["x", "y"],
    "b": [1, 2],
    "at": pa.array([0, 1], pa.timestamp("us")),
    "v": pa.array([1, None], pa.int64()),
    "w": pa.array([None, None], pa.int64()),
}


def histories(folder: Path, **columns: Any) -> Histories:
    table = {name: values for name, values in {**TABLE, **columns}.items() if values is not None}
    pq.write_table(pa.table(table), folder / "events.parquet")
    return Histories(PLAN, FEATURES.values(), folder)


def test_keys_may_be_dictionaries_and_columns_empty(tmp_path: Path) -> None:
    past = histories(tmp_path, a=pa.array(["x", None]).dictionary_encode(), w=pa.nulls(2))

    assert set(past.state.windows["of_a_excluded"].spans) == {"x"}
    assert set(past.state.windows["of_both_excluded"].spans) == {("x", 1)}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"v": None}, r"it has no columns \['v'\]"),
        ({"_row": ["e1", "e1"]}, "1 rows repeat the '_row' of another row"),
        ({"_row": ["e1", None]}, "column '_row' is a text with 1 nulls"),
        ({"_row": [1, 2]}, "column '_row' is a number with 0 nulls"),
        ({"a": [1, 2]}, "key 'a' is a number, and the record's 'a' a text"),
        ({"at": [1, 2]}, "column 'at' is a number, not a time"),
        ({"v": ["1", "2"]}, "column 'v' is a text, and feeds a numeric input"),
        ({"v": [1.0, 2.0]}, "column 'v' is of type double; fixed-point values are integers"),
        ({"v": [1, LIMIT]}, f"column 'v' has values of {LIMIT} or more"),
        ({"v": [1, -LIMIT]}, f"column 'v' has values of {LIMIT} or more"),
    ],
)
def test_a_file_that_does_not_fit_the_plan_is_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        histories(tmp_path, **columns)
