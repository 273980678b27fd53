from __future__ import annotations

import math
from typing import Any

import pytest

from service.predict.blame import blame
from service.records.reader import Record


def sums(record: Record) -> bool:
    """Answer as a model that adds up in float32."""
    return sum(value for value in record.values.values() if isinstance(value, float)) < 3e38


@pytest.mark.parametrize(
    ("numbers", "blamed"),
    [
        ({"x": 3.2e38, "y": 1.0}, ["x"]),
        ({"x": 1.0, "y": 3.2e38, "z": 3.1e38}, ["y", "z"]),
        ({"x": 2e38, "y": 2e38}, ["x"]),  # either would do
        ({"x": math.nan, "y": 1.0, "z": None, "text": "3e38"}, []),
    ],
)
def test_the_numbers_that_make_the_difference_are_blamed(numbers: dict[str, Any], blamed: list[str]) -> None:
    answers = sums if blamed else lambda _: False

    assert blame(Record(numbers, 0), answers) == blamed
