from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest

from service.records.keys import Key, join_key, time_text
from service.records.reader import Record

TIME = dt.datetime(1970, 1, 1, 0, 0, 1)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (["x"], "x"),
        (["x", 1], ("x", 1)),
        ([TIME], 1_000_000),
        (["x", None], None),
        ([math.nan], None),
    ],
)
def test_a_key_is_a_value_or_several_and_none_where_one_is_missing(values: list[Any], key: Any) -> None:
    columns = {f"c{number}": value for number, value in enumerate(values)}

    assert join_key(values) == key
    assert Key(list(columns)).of(Record(columns, 0)) == key


def test_a_warning_names_the_columns_and_their_values() -> None:
    record = Record({"a": "x", "b": 2, "at": TIME}, 0)

    assert Key(["a", "b", "at"]).text(record) == "a 'x', b 2, at 1970-01-01T00:00:01"


def test_a_time_before_all_years_has_a_name_too() -> None:
    assert time_text(1_000_000) == "1970-01-01T00:00:01"
    assert time_text(-(10**17)) == "before any time"


def test_a_warning_repeats_no_long_value() -> None:
    text = Key(["carrier"]).text(Record({"carrier": "x" * 1_000_000}, 0))

    assert text.startswith("carrier 'xxx")
    assert len(text) < 150
