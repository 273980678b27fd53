"""The audit of a table counts what is wrong in it, column by column, and lets good tables pass."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.declaration.sources.file import FileSource
from ml.declaration.sources.rows import Rows, table_rows
from ml.declaration.tables import Table
from ml.tables.audit import audit_table, table_checks
from ml.tables.findings import AuditError, Finding
from ml.tables.sources import load_table

GOOD = {
    "id": [1, 2, 3, 4],
    "size": [1.5, 2.0, None, 4.0],
    "count": [1, 2, None, 4],
    "kind": ["a", "b", "a", None],
    "paid": [True, False, None, True],
    "at": [datetime(2024, 1, day) for day in (1, 2, 3, 4)],
}


class RowsSource(FileSource):
    """A file that is never read, for its rows are there."""

    values: dict[str, Any]

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        yield table_rows("rows", pd.DataFrame(self.values))


def audited(columns: dict[str, Any], rows: dict[str, Any] | None = None, **audit: Any) -> dict[str, Finding]:
    """The findings of a table whose columns are declared so, by check."""
    declared = Table.model_validate({"source": {"path": "x.csv"}, "key": "id", "audit": {"columns": columns, **audit}})
    findings = audit_table(pa.table({**GOOD, **(rows or {})}), declared)
    assert [finding.check for finding in findings] == table_checks(declared)
    return {finding.check: finding for finding in findings}


def test_a_table_that_is_as_declared_passes_every_check() -> None:
    findings = audited(
        {
            "id": {"type": "integer", "unique": True, "missing_at_most": 0},
            "size": {"type": "number", "between": [1, 4], "missing_at_most": 0.25},
            "count": {"type": "integer", "one_of": [1, 2, 4]},
            "kind": {"type": "text", "one_of": ["a", "b"]},
            "paid": {"type": "boolean"},
            "at": {"between": ["2024-01-01", None]},
        },
        unexpected="refuse",
    )

    assert [finding.reason for finding in findings.values() if not finding.passed] == []
    assert findings["schema"].reason == "6 columns, of which 6 are declared; others are not allowed"
    assert findings["ranges"].reason == "all values lie within the limits of size, count, kind, at"


@pytest.mark.parametrize(
    ("column", "declared", "values", "check", "reason"),
    [
        (
            "size", {"between": [0, 3]}, None, "ranges",
            "column 'size': 1 of 4 values are not between 0 and 3, first 4.0",
        ),
        ("size", {"between": [None, 1]}, None, "ranges", "column 'size': 3 of 4 values are not at most 1, first 1.5"),
        ("kind", {"one_of": ["b"]}, None, "ranges", "column 'kind': 2 of 4 values are not among b, first 'a'"),
        ("count", {"one_of": [1, 4]}, None, "ranges", "column 'count': 1 of 4 values are not among 1, 4, first 2"),
        (
            "at", {"between": ["2024-01-02", "2024-01-03T12:00:00Z"]}, None, "ranges",
            "column 'at': 2 of 4 values are not between 2024-01-02 00:00:00 and 2024-01-03 12:00:00, first '2024-01-01",
        ),
        (
            "size", {"type": "integer"}, None, "types",
            "column 'size': 1 of 4 values are no integer (it holds double), first 1.5",
        ),
        (
            "kind", {"type": "number"}, ["1", "x", None, "3"], "types",
            "column 'kind': 1 of 4 values are no number (it holds string), first 'x'",
        ),
        (
            "kind", {"type": "number"}, ["1", "2", None, "3"], "types",
            "column 'kind': 3 of 4 values are no number (it holds string), first '1'; correct the source, or say in "
            "logical_types",
        ),
        (
            "kind", {"type": "time"}, ["2024-01-01", "soon"] * 2, "types",
            "2 of 4 values are no time (it holds string), first 'soon'",
        ),
        ("kind", {"between": [0, 1]}, None, "types", "column 'kind': 3 of 4 values are no number"),
        ("id", {"type": "text"}, None, "types", "column 'id': 4 of 4 values are no text (it holds int64), first 1"),
        ("id", {"type": "boolean"}, None, "types", "column 'id': 4 of 4 values are no boolean"),
        (
            "paid", {"type": "number"}, None, "types",
            "column 'paid': 3 of 4 values are no number (it holds bool), first True",
        ),
        (
            "size", {"missing_at_most": 0.2}, None, "missing_shares",
            "column 'size': 1 of 4 values are missing (25.00%, allowed: 20.00%)",
        ),
        (
            "kind", {"unique": True}, None, "uniqueness",
            "column 'kind': 2 of 4 rows share their value with another, first 'a'",
        ),
        ("price", {}, None, "schema", "the column price is missing; correct the source, or audit.columns"),
    ],
)  # fmt: skip
def test_a_fault_fails_its_own_check_alone_and_is_counted(
    column: str, declared: dict[str, Any], values: list[Any] | None, check: str, reason: str
) -> None:
    findings = audited({column: declared}, {column: values} if values else None)

    assert [name for name, finding in findings.items() if not finding.passed] == [check]
    assert reason in findings[check].reason


def test_large_whole_numbers_are_compared_digit_by_digit() -> None:
    huge = 2**60 + 1
    values = {"count": [huge - 1, huge, huge + 1, None]}

    for declared in ({"between": [huge, huge]}, {"one_of": [huge, 1.5]}, {"one_of": [huge]}):
        reason = audited({"count": declared}, values)["ranges"].reason
        assert f"2 of 4 values are not {'between' if 'between' in declared else 'among'} {huge}" in reason
    assert audited({"count": {"between": [0, 10**30]}}, values)["ranges"].passed


@pytest.mark.parametrize("far", [2**62, 2**63 - 1, -(2**62)])
def test_times_that_python_has_not_are_compared_too(far: int) -> None:
    times = pa.array([0, far, None, 1], pa.int64()).cast(pa.timestamp("us"))

    finding = audited({"at": {"between": ["1970-01-01", "2030-01-01"]}}, {"at": times})["ranges"]

    assert "column 'at': 1 of 4 values are not between" in finding.reason


def test_the_column_with_the_most_wrong_values_comes_first() -> None:
    findings = audited(
        {"id": {"between": [4, None]}, "size": {"between": [2, None]}, "at": {"between": ["2025-01-01", None]}}
    )

    assert [row["column"] for row in findings["ranges"].table] == ["at", "id", "size"]
    assert [row["rows"] for row in findings["ranges"].table] == ["4", "3", "1"]
    assert findings["ranges"].reason.startswith("column 'at': 4 of 4")


def test_columns_that_nobody_expects_are_refused_where_that_is_asked_for() -> None:
    assert audited({"size": {}})["schema"].passed

    findings = audited({"size": {}, "kind": {}, "none": {"required": False}}, unexpected="refuse")

    assert findings["schema"].reason == (
        "the column at is not expected; the column count is not expected; the column paid is not expected; correct "
        "the source, or audit.columns"
    )


def test_missing_values_are_no_values_out_of_range() -> None:
    gaps = {"size": [None, None, None, 1.0], "kind": [None, None, None, "a"]}

    findings = audited({"size": {"between": [0, 2], "unique": True}, "kind": {"one_of": ["a"], "unique": True}}, gaps)

    assert all(finding.passed for finding in findings.values())


@pytest.mark.parametrize(
    ("rows", "declared", "check", "words"),
    [
        ({"id": [1, 1, 2]}, {}, "uniqueness", "key ['id']: 2 rows share their key with another, first {'id': 1"),
        ({"id": [1, None, 2]}, {}, "missing_shares", "key ['id']: 1 rows have no key"),
        ({"id": [1, 2, 3]}, {"time": "at"}, "schema", "the columns ['at'] are declared but the source has none such"),
        (
            {"id": [1, 2, 3], "at": ["2024-01-01", "soon", "later"]}, {"time": "at"}, "types",
            "column 'at': must hold times, but 2 of 3 values do not parse as a time, first 'soon'",
        ),
        (
            {"id": [1, 2, 3], "at": ["2024-01-01", None, None]}, {"time": "at"}, "missing_shares",
            "column 'at': 2 rows have no time",
        ),
        (
            {"id": [1, 2, 3], "size": ["1", "2", "x"]}, {"logical_types": {"size": "number"}}, "types",
            "column 'size': 1 of 3 values are no numbers, first 'x'",
        ),
    ],
)  # fmt: skip
def test_a_table_of_which_nothing_can_be_made_carries_its_finding(
    rows: dict[str, Any], declared: dict[str, Any], check: str, words: str
) -> None:
    table = Table.model_validate({"source": RowsSource(path="rows.csv", values=rows), "key": "id", **declared})

    with pytest.raises(AuditError) as refused:
        load_table("shop", "orders", table)

    assert [finding.check for finding in refused.value.findings] == [check]
    assert words in refused.value.findings[0].reason
    assert check in table_checks(table)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), min_size=1, max_size=12))
def test_a_row_repeats_another_exactly_if_all_parts_of_their_keys_are_equal(keys: list[tuple[int, str]]) -> None:
    numbers, letters = map(list, zip(*keys, strict=True))
    source = RowsSource(path="rows.csv", values={"number": numbers, "letter": letters})
    table = Table.model_validate({"source": source, "key": ["number", "letter"]})

    if shared := sum(keys.count(key) > 1 for key in keys):
        with pytest.raises(AuditError, match=rf": {shared} rows share their key with another"):
            load_table("shop", "orders", table)
    else:
        assert load_table("shop", "orders", table).num_rows == len(keys)


@pytest.mark.slow
def test_the_flights_are_as_the_documentation_declares_and_what_it_shows_of_a_refusal_is_true() -> None:
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    audit = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", page, re.S)[0])["tables"]["flights"]["audit"]
    case = yaml.safe_load((Path(__file__).parents[3] / "configs" / "flight_delays" / "defs.yaml").read_text())
    flights = {**case["attributes"]["tables"]["flights"], "audit": audit}
    declared = Table.model_validate(flights)
    audit["columns"]["dep_delay"]["between"] = [-60, 900]
    table = load_table("flight_delays", "flights", declared)

    good, bad = (audit_table(table, expected) for expected in (declared, Table.model_validate(flights)))

    assert [finding.reason for finding in good if not finding.passed] == []
    refused = [finding.reason for finding in bad if not finding.passed]
    assert len(refused) == 1
    assert f"use case 'flight_delays', raw/flights: {refused[0]}" in " ".join(page.split())
