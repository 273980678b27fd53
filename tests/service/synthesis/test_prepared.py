from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.plan.parts import SqlType
from service.synthesis.prepared import Prepared

SHAPES: dict[str, dict[str, SqlType]] = {
    "__labels": {"row": "BIGINT", "at": "TIMESTAMP"},
    'it\'s "odd"': {"a text": "VARCHAR", "number": "DOUBLE", "flag": "BOOLEAN"},
}
QUERY = 'select "row", "at", "a text", number, flag from __labels positional join "it\'s ""odd""" -- comment'
PREPARED = Prepared(QUERY, ["a text", "number", "flag"], SHAPES)


@given(st.text(st.characters(codec="utf-8")) | st.none(), st.floats(allow_nan=False, allow_infinity=False) | st.none())
def test_values_come_through_whole(text: str | None, number: float | None) -> None:
    tables = {
        "__labels": {"row": [0], "at": [1]},
        'it\'s "odd"': {"a text": [text], "number": [number], "flag": [True]},
    }

    assert PREPARED.run(tables) == [(0, text, number, True)]


def test_the_types_of_the_result_are_known_without_rows() -> None:
    assert PREPARED.types() == {"row": "BIGINT", "a text": "VARCHAR", "number": "DOUBLE", "flag": "BOOLEAN"}


def test_more_threads_than_connections_get_each_their_own_rows() -> None:
    def run(number: int) -> list[tuple[Any, ...]]:
        odd = {"a text": ["x"], "number": [float(number)], "flag": [None]}
        return PREPARED.run({"__labels": {"row": [number], "at": [0]}, 'it\'s "odd"': odd})

    with ThreadPoolExecutor(12) as threads:
        results = list(threads.map(run, range(60)))

    assert results == [[(number, "x", float(number), None)] for number in range(60)]
