"""Computed columns: of their own row, of one another, and not before what they are made of."""

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from ml.base.sql import DataError
from ml.declaration.tables import Table
from ml.tables.computed import sent_types, with_computed

ROWS = pa.table(
    {
        "id": [1, 2, 3],
        "a": pa.array([0.0, 1.0, 4.0]),
        "b": pa.array([0.0, 0.0, 2.0], pa.float32()),
        "left": pa.array([1, 2, 3], pa.timestamp("us")),
        "came": pa.array([2, None, 4], pa.timestamp("us")),
    }
)


def table(**declared: Any) -> Table:
    return Table.model_validate({"source": {"path": "rows.csv"}, "key": "id", **declared})


def test_a_column_may_be_computed_of_another_computed_one() -> None:
    declared = table(computed={"ratio": "a / b", "Large": "RATIO > 1", "no": "ratio is null"})

    computed = with_computed("x", declared, ROWS)

    assert computed.select(["ratio", "Large", "no"]).to_pylist() == [
        {"ratio": None, "Large": None, "no": True},
        {"ratio": None, "Large": None, "no": True},
        {"ratio": 2.0, "Large": True, "no": False},
    ]


@pytest.mark.parametrize("names", [["ratio", "large", "no"], ["no", "large", "ratio"], ["large", "no", "ratio"]])
def test_the_order_in_which_columns_are_computed_is_that_of_their_needs(names: list[str]) -> None:
    expressions = {"ratio": "a / b", "large": "RATIO > 1", "no": "not coalesce(large, true)"}
    declared = table(computed={name: expressions[name] for name in names})

    computed = with_computed("x", declared, ROWS)

    assert computed["large"].to_pylist() == [None, None, True]
    assert computed["no"].to_pylist() == [False, False, False]


@pytest.mark.parametrize("computed", [{"c": "d + 1", "d": "c"}, {"c": "C + 1"}])
def test_columns_that_are_computed_of_one_another_are_refused(computed: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"computed columns in a circle: '\w' of '\w'.*; compute them of other"):
        table(computed=computed)


def test_a_name_that_is_no_column_is_refused_with_those_that_are() -> None:
    with pytest.raises(DataError, match=r"x: '\"user\" = 1' names \['user'\], which are no columns; there are \['a', "):
        with_computed("x", table(computed={"c": '"user" = 1'}), ROWS)


@pytest.mark.parametrize("time", ["left", "came"])
def test_a_column_is_not_known_before_what_it_is_made_of(time: str) -> None:
    known_at = {"came": ["a"], "left": ["b"]}
    known_at[time] = [*known_at[time], "c"]
    late = table(computed={"c": "a + id"}, time="left", known_at=known_at)

    if time == "came":
        assert with_computed("x", late, ROWS)["c"].to_pylist() == [1.0, 3.0, 7.0]
        return
    with pytest.raises(
        DataError, match=r"'c' .* of 'a', which is known from 'came' on: later, or never, in 3 of 3 rows"
    ):
        with_computed("x", late, ROWS)


def test_numbers_that_are_no_double_are_told_apart_where_they_are_sent() -> None:
    assert sent_types(table(computed={"a": "id"}), ROWS) == {"id": "BIGINT"}
