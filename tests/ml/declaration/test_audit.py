"""What an audit may declare, and that its documentation declares it."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ml.declaration.audit import Audit, ColumnAudit, TableAudit
from ml.declaration.use_case import UseCaseSpec
from ml.examples.audit import WARNS

PAGE = Path(__file__).parents[3] / "docs" / "audit.md"


def declaration(**changes: Any) -> dict[str, Any]:
    return {
        "description": "Which?",
        "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
        "examples": {"table": "rows", "target": "y", "split": {"validation_share": 0.2, "test_share": 0.2}},
        "models": {"logistic": {}},
    } | changes


def test_the_audit_is_on_by_default_and_blocks() -> None:
    found = UseCaseSpec.model_validate(declaration()).audit

    assert (found.alone_at_most, found.target_apart_at_most, found.warn) == (0.99, 0.8, [])


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([0, None], [0, None]),
        ([0, 1.5], [0, 1.5]),
        ([-(2**60) - 1, 2**60 + 1], [-(2**60) - 1, 2**60 + 1]),
        ([0, 2**70], [0, 2.0**70]),
        (["2024-01-01", "2024-02-01T01:00:00+02:00"], [datetime(2024, 1, 1), datetime(2024, 1, 31, 23)]),
    ],
)
def test_limits_are_numbers_or_times_in_utc_and_come_back_from_the_coordinates(
    limits: list[Any], expected: list[Any]
) -> None:
    audit = {"columns": {"size": {"between": limits}}}
    tables = {"rows": {"source": {"path": "rows.csv"}, "key": "id", "audit": audit}}

    spec = UseCaseSpec.model_validate(declaration(tables=tables))

    assert spec.tables["rows"].audit.columns["size"].between == expected
    assert UseCaseSpec.model_validate(spec.resolved()) == spec


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"between": [2, 1]}, r"between is \[least, greatest\], two numbers or two times, given: \[2, 1\]"),
        ({"between": [1, "2024-01-01"]}, "two numbers or two times"),
        ({"between": [None, None]}, "two numbers or two times"),
        ({"between": [1]}, "at least 2 items"),
        ({"one_of": []}, "at least 1 item"),
        ({"missing_at_most": 1.5}, "less than or equal to 1"),
        ({"type": "date"}, "'number', 'integer', 'text', 'boolean' or 'time'"),
        ({"missing": 0.1}, "unknown key 'missing', did you mean 'missing_at_most'"),
    ],
)
def test_a_mistake_in_a_column_is_refused_with_what_is_allowed(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ColumnAudit.model_validate(declared)


def test_a_check_that_there_is_not_cannot_warn() -> None:
    with pytest.raises(ValidationError, match="'missing_shares', 'ranges' or 'no_numbers_among_texts'"):
        TableAudit.model_validate({"warn": ["unique"]})


def test_a_warning_of_what_is_not_checked_is_refused() -> None:
    with pytest.raises(ValidationError, match="warn: ranges is for columns with between or one_of"):
        TableAudit.model_validate({"columns": {"size": {"type": "number"}}, "warn": ["ranges"]})
    with pytest.raises(ValidationError, match=r"audit\.warn: no_group_in_two_splits needs examples\.split\.group"):
        UseCaseSpec.model_validate(declaration(audit={"warn": ["no_group_in_two_splits"]}))


def test_what_the_documentation_declares_is_valid() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)]

    assert [each for block in blocks for each in block] == ["tables", "audit", "examples"]
    for block in blocks:
        for table in block.get("tables", {}).values():
            TableAudit.model_validate(table["audit"])
        Audit.model_validate(block.get("audit", {}))


def test_the_documentation_lists_every_check() -> None:
    text = PAGE.read_text()
    listed = set(re.findall(r"^\| `(\w+)` \|", text, re.M))
    fields = [TableAudit.model_fields["warn"], Audit.model_fields["warn"]]

    may_warn = {name for field in fields for name in field.annotation.__args__[0].__args__}  # type: ignore[union-attr]
    assert listed == may_warn | {*WARNS}
