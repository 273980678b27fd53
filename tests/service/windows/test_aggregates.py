from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.windows.aggregates import as_float

CONNECTION = duckdb.connect()


def in_duckdb(number: int, kind: str) -> float:
    row = CONNECTION.execute(f"select cast(cast(? as {kind}) as double)", [str(number)]).fetchone()
    assert row is not None
    return float(row[0])


@given(st.integers(0, 2**126))
def test_spreads_become_floats_as_in_duckdb(number: int) -> None:
    assert as_float(number) == in_duckdb(number, "hugeint")


@given(st.integers(-(2**63), 2**63 - 1))
def test_sums_become_floats_as_bigint_does_in_duckdb(number: int) -> None:
    assert as_float(number) == in_duckdb(number, "bigint")


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, 2**64 + 1, 2**117 - 1, -(2**64) - 1, -(2**100) + 3])
def test_what_outgrows_64_bits_does_too(number: int) -> None:
    assert as_float(number) == in_duckdb(number, "hugeint")
