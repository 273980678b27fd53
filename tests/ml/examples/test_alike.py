"""Rows that are equal in all that is known of them stay together in a random split, and are counted."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.declaration.use_case import UseCaseSpec
from ml.examples.alike import alike
from ml.examples.audit import EQUAL, audit_examples, example_checks
from ml.examples.build import make_examples
from ml.tables.findings import Finding

VISITS = pa.table({"v": [1], "at": [pd.Timestamp("2024-01-01")]})
CUTOFF = {"examples": {"cutoff": "at"}}
SHARES = {"validation_share": 0.2, "test_share": 0.2}


def declared(task: str = "binary", **changes: Any) -> UseCaseSpec:
    table = {"source": {"path": "rows.csv"}, "key": "id", **changes.pop("table", {})}
    examples = {"table": "rows", "target": "y", "split": SHARES} | changes.pop("examples", {})
    return UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "task": task,
            "tables": {"rows": table, "visits": {"source": {"path": "v.csv"}, "key": ["v", "at"], "time": "at"}},
            "examples": examples,
            "models": {"ridge" if task == "regression" else "logistic": {}},
            **changes,
        }
    )


def rows(count: int, copies: int = 1, seed: int = 0) -> pd.DataFrame:
    """So many different rows, each a few times, with ids of their own, in no order."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": random.normal(size=count), "b": random.choice(["x", "y", None], count)})
    frame["gaps"] = np.where(random.random(count) < 0.5, np.nan, 1.0)
    frame["y"] = random.integers(0, 2, count)
    frame = pd.concat([frame] * copies).sample(frac=1, random_state=seed, ignore_index=True)
    return frame.assign(id=range(len(frame)))


def split_of(frame: pd.DataFrame, spec: UseCaseSpec) -> pd.DataFrame:
    examples = make_examples("case", spec, {"rows": pa.table(frame), "visits": VISITS}).to_pandas()
    return examples.merge(frame, on="id")


def finding(frame: pd.DataFrame, spec: UseCaseSpec) -> Finding:
    tables = {"rows": pa.table(frame), "visits": VISITS}
    findings = audit_examples(spec, tables, make_examples("case", spec, tables))
    assert [each.check for each in findings] == example_checks(spec)
    return next(each for each in findings if each.check == EQUAL)


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("copies", [2, 3])
def test_copies_with_keys_of_their_own_are_in_one_split_and_the_shares_hold(task: str, copies: int) -> None:
    frame = rows(500, copies)

    examples = split_of(frame, declared(task))

    assert examples.groupby("a")["split"].nunique().max() == 1
    shares = examples["split"].value_counts(normalize=True)
    assert shares[["test", "validation"]].tolist() == pytest.approx([0.2, 0.2], abs=0.01)
    assert finding(frame, declared(task)).passed
    sets = f"500 sets of {500 * copies:,} rows are equal in all of 3 columns"
    assert finding(frame, declared(task)).reason == f"{sets} that features are made of; none of these is in two splits"


def test_copies_with_another_target_stay_together_too() -> None:
    frame = rows(500, 2)
    frame["y"] = np.random.default_rng(1).integers(0, 2, 1000)

    assert split_of(frame, declared()).groupby("a")["split"].nunique().max() == 1


def test_without_equal_rows_the_split_is_what_it_was() -> None:
    frame = rows(300)

    by_class = split_of(frame, declared()).groupby(["y", "split"]).size()

    for label, count in frame["y"].value_counts().items():
        assert by_class[label, "test"] == by_class[label, "validation"] == round(0.2 * count)


def test_what_many_rows_have_in_common_is_no_copy() -> None:
    """Four kinds of rows: to keep each in one split would leave nothing to learn from."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"id": range(400), "a": random.integers(0, 2, 400), "b": random.integers(0, 2, 400)})
    frame["y"] = random.integers(0, 2, 400)

    examples = split_of(frame, declared())

    assert (examples.groupby(["a", "b"])["split"].nunique() == 3).all()
    passed = finding(frame, declared())
    assert passed.passed
    assert "4 of more than 8 rows each are divided" in passed.reason


@pytest.mark.parametrize(
    ("changes", "together"),
    [
        ({}, True),
        ({"table": {"ignore": ["serial"]}}, True),
        ({"examples": {"where": "id >= 0"}}, True),
        ({"examples": {"known": ["a", "b"], "cutoff": "at"}}, True),  # a time is a feature by its calendar alone
        ({"examples": {"cutoff": "at"}, "features": {"calendar": {"at": ["hour"]}}}, False),
        ({"features": {"ignore": ["serial"]}}, True),
        ({"features": {"only": ["a", "b"]}}, True),
        ({"features": {"ignore": ["serial"]}, "table": {"computed": {"odd": "serial % 2"}}}, False),
        (
            {
                "features": {"ignore": ["serial"]},
                "relationships": ["rows.serial -> visits.v"],
                "examples": {"cutoff": "at"},
            },
            False,
        ),
        ({"serial": True}, False),
    ],
)
def test_only_what_is_known_of_a_row_counts(changes: dict[str, Any], together: bool) -> None:
    frame = rows(300, 2).assign(at=pd.date_range("2024-01-01", periods=600, freq="h"))
    if changes.keys() - {"examples"}:
        frame["serial"] = np.arange(600)
    changes = {name: change for name, change in changes.items() if name != "serial"}

    assert (split_of(frame, declared(**changes)).groupby("a")["split"].nunique().max() == 1) == together


def test_rows_that_something_else_is_known_of_by_their_key_are_not_equal() -> None:
    spec = declared(
        table={"time": "at"},
        examples={"cutoff": "at"},
        features={"history": {"table": "rows", "group_by": ["id"], "windows": ["1d"]}},
    )
    frame = rows(100, 2).assign(at=pd.Timestamp("2024-01-01"))

    assert alike(spec, {"rows": pa.table(frame)}, pa.table(frame[["id"]])) is None
    assert EQUAL not in example_checks(spec)


def test_rows_of_one_column_that_are_the_key_or_the_target_are_not_looked_at() -> None:
    frame = rows(100)[["id", "y"]]

    assert alike(declared(), {"rows": pa.table(frame)}, pa.table(frame[["id"]])) is None
    assert finding(frame, declared()).passed


def test_a_group_of_ones_own_goes_first_and_the_copies_that_it_tears_apart_are_counted() -> None:
    frame = rows(300, 2).assign(serial=np.arange(600) % 50)
    spec = declared(examples={"split": {**SHARES, "group": "serial"}})
    frame["serial"] = frame["serial"].astype(str)

    counted = finding(frame.drop(columns="serial").assign(shop=frame["serial"]), declared(
        examples={"split": {**SHARES, "group": "shop"}, "known": ["a", "b", "gaps"]}
    ))  # fmt: skip

    assert not counted.passed
    assert "sets of equal rows are in train" in counted.reason
    assert finding(frame, spec).passed  # the group is a column, in which they differ


def test_in_a_split_by_dates_they_are_counted_and_nothing_is_wrong() -> None:
    days = pd.date_range("2024-01-01", periods=600, freq="h")
    frame = rows(300, 2).assign(at=days)
    spec = declared(
        examples={
            "cutoff": "at", "known": ["a", "b"],
            "split": {"train_until": "2024-01-14", "validate_until": "2024-01-20"},
        }
    )  # fmt: skip

    counted = finding(frame, spec)

    assert counted.passed
    assert any(row["shared"] for row in counted.table)
