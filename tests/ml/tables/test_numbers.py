"""Columns of texts that are numbers but for a few words are named, with the line that says what the words are."""

from typing import Any

import pyarrow as pa
import pytest

from ml.declaration.tables import Table
from ml.tables.numbers import numbers_among_texts


def finding_of(values: list[Any], **declared: Any) -> Any:
    table = Table.model_validate({"source": {"path": "rows.csv"}, "key": "id", **declared})
    return numbers_among_texts(pa.table({"id": range(len(values)), "x": values}), table)


def test_blanks_among_numbers_are_named_with_what_to_write() -> None:
    finding = finding_of([*map(str, range(989)), *[" "] * 11])

    assert finding.faults == ("column 'x': 98.9% of 1,000 texts are numbers, the other 11 are ' ' (11)",)
    assert "write source.missing: {'x': [' ']}" in finding.reason
    assert "logical_types: {'x': 'category'}" in finding.reason


@pytest.mark.parametrize(
    "values",
    [
        [str(row) for row in range(100)],  # the source says that they are texts
        ["a", "b", "7"] * 40,
        [*map(str, range(90)), *(f"code {row}" for row in range(10))],
        [f"{row:05d}" for row in range(100)],
        [None] * 10,
        [],
        list(range(10)),
    ],
)
def test_other_texts_are_what_they_are(values: list[Any]) -> None:
    assert finding_of(values).passed


@pytest.mark.parametrize(
    "declared", [{"logical_types": {"x": "category"}}, {"ignore": ["x"]}, {"key": "x"}, {"computed": {"x": "'?'"}}]
)
def test_a_column_that_is_meant_to_be_so_is_left_alone(declared: dict[str, Any]) -> None:
    assert finding_of([*map(str, range(98)), "?", "?"], **declared).passed
