from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from service.tables.groups import group_rows

TEXTS, NUMBERS = st.sampled_from(["x", "y", None]), st.sampled_from([1, 2, None])


@given(st.lists(st.tuples(TEXTS, NUMBERS, TEXTS), max_size=12), st.integers(1, 3))
def test_each_key_has_its_rows_in_their_order(rows: list[tuple[Any, ...]], width: int) -> None:
    types = [pa.string(), pa.int64(), pa.string()]
    names = ["a", "b", "c"][:width]
    columns = {name: pa.array([row[i] for row in rows], types[i]) for i, name in enumerate(names)}

    order, spans = group_rows(pa.table(columns), names)

    expected: dict[Any, list[int]] = {}
    for position, row in enumerate(rows):
        if None not in row[:width]:
            expected.setdefault(row[0] if width == 1 else row[:width], []).append(position)
    assert {key: order[start:stop].tolist() for key, (start, stop) in spans.items()} == expected
    assert len(order) == sum(map(len, expected.values()))
