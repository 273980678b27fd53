from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest

from service.synthesis.labels import Labels, as_sql
from tests.support.synthesized import PLAN, record


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "DOUBLE", None),
        (math.nan, "DOUBLE", None),
        (17, "DOUBLE", 17.0),
        (17.0, "BIGINT", 17),
        (17.5, "BIGINT", None),
        (2.0**63, "BIGINT", None),
        (1.0, "BOOLEAN", True),
        ("x", "VARCHAR", "x"),
        (dt.datetime(1970, 1, 1, 0, 0, 1), "TIMESTAMP", 1_000_000),
    ],
)
def test_a_value_is_one_of_its_type_or_missing(value: Any, kind: Any, expected: Any) -> None:
    assert as_sql(value, kind) == expected
    assert type(as_sql(value, kind)) is type(expected)


def test_labels_are_numbered_rows_with_the_types_of_the_plan() -> None:
    assert PLAN.synthesis is not None
    labels = Labels(PLAN.synthesis)

    columns = labels.of([record(1.0, 5, age=4), record(None, 6, city="Köln", loyal=1.0)])

    assert columns == {
        "row": [0, 1],
        "cutoff": [5_000_000, 6_000_000],
        "instance": [1, None],
        "age": [4.0, None],
        "city": [None, "Köln"],
        "loyal": [None, True],
    }
    assert list(labels.types) == list(columns)
