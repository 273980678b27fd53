"""The audit of the examples counts what splits share, what is out of order, and how far their targets lie apart."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.examples.audit import (
    EQUAL,
    LARGE,
    audit_examples,
    example_checks,
    large_enough,
    order_of_splits,
    shared_groups,
    shared_rows,
    targets_apart,
)
from ml.examples.build import make_examples

SHARES = {"validation_share": 0.2, "test_share": 0.3}
DAYS = {"train_until": "2024-01-04", "validate_until": "2024-01-07"}


def declared(split: dict[str, Any], *, query: bool = False, **changes: Any) -> UseCaseSpec:
    question = (
        {"query": "select id, seen as cutoff, y as target from rows"} if query else {"target": "y", "cutoff": "seen"}
    )
    return UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "seen"}},
            "examples": {"table": "rows", "split": split, **question},
            "models": {"logistic": {}},
            **changes,
        }
    )


def rows(count: int = 9, **changes: Any) -> pa.Table:
    days = pd.date_range("2024-01-01", periods=9)[np.arange(count) * 9 // count]
    frame = {"id": range(count), "seen": days, "y": [row % 3 % 2 == 0 for row in range(count)], **changes}
    return pa.table(pd.DataFrame(frame))


def examples(**columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    return frame.assign(cutoff=pd.to_datetime(frame["cutoff"]) if "cutoff" in frame else pd.NaT)


def test_rows_in_two_splits_are_counted_for_each_pair() -> None:
    splits = ["train", "test", "train", "validation", "train", "test", "validation"]

    finding = shared_rows(examples(id=[1, 1, 2, 2, 3, 2, 4], split=splits), ["id"])

    assert not finding.passed
    assert finding.reason.startswith(
        "2 rows with the same id and cutoff are in train (2 rows) and test (2 rows), first 1; "
        "1 rows with the same id and cutoff are in train (1 rows) and validation (1 rows), first 2; "
    )
    assert [row["shared"] for row in finding.table] == [1, 2, 1]


@pytest.mark.parametrize(
    ("sizes", "groups", "faults"),
    [
        ({"train": 40, "validation": 20, "test": 20}, None, []),
        ({"train": 40, "validation": 19, "test": 4}, None, ["test has 4 rows, needed: 20", "validation has 19 rows"]),
        (
            {"train": 40, "validation": 20, "test": 20},
            4,
            ["test has the rows of 1 group", "validation has the rows of 1"],
        ),
        ({"train": 40, "validation": 20, "test": 20}, 40, []),
    ],
)
def test_splits_whose_figures_say_little_are_named(
    sizes: dict[str, int], groups: int | None, faults: list[str]
) -> None:
    names = [name for name, count in sizes.items() for _ in range(count)]
    frame = examples(split=names, target=[row % 2 for row in range(len(names))])
    of_rows = None if groups is None else pd.Series([row * groups // len(names) for row in range(len(names))])

    finding = large_enough(frame, of_rows, classes=["target"])

    assert len(finding.faults) == len(faults)
    assert all(fault.startswith(start) for fault, start in zip(finding.faults, faults, strict=True))


def test_a_class_with_one_row_in_a_split_is_named_and_numbers_have_none() -> None:
    names = [name for name in ("train", "validation", "test") for _ in range(30)]
    frame = examples(split=names, target=[0] * 15 + [1] * 15 + [0] * 29 + [1] + [0, 1] * 15)

    assert large_enough(frame, None, classes=["target"]).faults == ("a class has 1 row in validation, needed: 2",)
    assert large_enough(frame, None, classes=[]).passed


def test_the_same_key_at_another_cutoff_is_another_row() -> None:
    rows = examples(id=[1, 1], cutoff=["2024-01-01", "2024-02-01"], split=["train", "test"])

    assert shared_rows(rows, ["id"]).passed


def test_groups_in_two_splits_are_counted_with_their_rows_and_an_unknown_group_is_none() -> None:
    rows = examples(group=["a", "a", "a", "b", None, None], split=["train", "train", "test", "train", "train", "test"])

    finding = shared_groups(rows, "customer")

    assert finding.reason.startswith("1 values of customer are in train (2 rows) and test (1 rows), first a; ")
    assert shared_groups(rows.drop(index=2), "customer").passed


@pytest.mark.parametrize("embargo", [None, "2d"])
def test_rows_of_a_split_that_are_not_asked_before_the_next_are_counted(embargo: str | None) -> None:
    splits = ["train"] * 3 + ["validation"] * 3 + ["test"] * 3
    rows = examples(cutoff=pd.date_range("2024-01-01", periods=9), split=splits)

    finding = order_of_splits(rows, embargo)
    swapped = order_of_splits(rows.assign(split=[*splits[:2], "validation", "train", *splits[4:]]), embargo)

    assert finding.passed == (embargo is None)
    if embargo:
        assert "2 of 3 rows of train are asked at or after 2024-01-04 00:00:00 or within 2d before it" in finding.reason
        assert "2 of 3 rows of validation" in finding.reason
    else:
        assert swapped.reason.startswith(
            "1 of 3 rows of train are asked at or after 2024-01-03 00:00:00, when validation begins; "
        )


def split_targets(train: tuple[int, int], validation: tuple[int, int], test: tuple[int, int]) -> pd.DataFrame:
    """Examples with so many positives of so many rows in each split."""
    counts = dict(zip(("train", "validation", "test"), (train, validation, test), strict=True))
    target = [int(row < positive) for positive, rows in counts.values() for row in range(rows)]
    return examples(split=np.repeat(list(counts), [rows for _, rows in counts.values()]), target=target)


@pytest.mark.parametrize(
    ("validation", "passed"),
    [((200, 1000), True), ((250, 1000), True), ((600, 1000), False), ((3, 5), True)],
    ids=["the same", "beyond chance, but little", "wild", "by chance"],
)
def test_a_share_must_differ_both_wildly_and_beyond_chance(validation: tuple[int, int], passed: bool) -> None:
    finding = targets_apart(split_targets((400, 2000), validation, (200, 1000)), numbers=False, at_most=0.8)

    assert finding.passed == passed


def test_the_split_whose_share_lies_apart_is_named_with_both_shares_and_their_rows() -> None:
    finding = targets_apart(split_targets((200, 2000), (100, 1000), (600, 1000)), numbers=False, at_most=0.8)

    # 2 asin √0.6 - 2 asin √0.1 = 1.7722 - 0.6435
    assert finding.reason.startswith(
        "10.0% of 2,000 train rows and 60.0% of 1,000 test rows have target 1 (Cohen's h 1.13); correct examples.split"
    )
    assert [row["split"] for row in finding.table] == ["test", "validation"]


def test_the_class_whose_share_lies_apart_is_named() -> None:
    names = np.repeat(["train", "validation", "test"], 300)
    train, test = np.repeat(["a", "b", "c"], [100, 190, 10]), np.repeat(["a", "b", "c"], [100, 50, 150])

    finding = targets_apart(examples(split=names, target=[*train, *train, *test]), numbers=False, at_most=0.8)

    assert finding.reason.startswith(
        "3.3% of 300 train rows and 50.0% of 300 test rows have target c (Cohen's h 1.20); "
    )
    assert "target b" in finding.reason
    assert "target a" not in finding.reason


def test_numbers_that_lie_apart_are_told_by_the_share_up_to_a_value() -> None:
    names = np.repeat(["train", "validation", "test"], 500)
    target = [*range(500), *range(500), *range(400, 900)]

    finding = targets_apart(examples(split=names, target=np.array(target, dtype=float)), numbers=True, at_most=0.8)

    assert finding.reason.startswith("80.0% of 500 train rows and 0.0% of 500 test rows have targets up to 399 ")


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("size", [20, 60, 400])
def test_splits_of_one_distribution_are_called_wild_in_one_of_a_hundred_cases_at_most(size: int, numbers: bool) -> None:
    random, refused = np.random.default_rng(0), 0
    names = np.resize(["train", "train", "validation", "test"], size)

    for _ in range(300):
        target = random.normal(size=size) if numbers else (random.random(size) < 0.3).astype(int)
        refused += not targets_apart(examples(split=names, target=target), numbers, at_most=0.8).passed

    assert refused <= 3


@pytest.mark.parametrize(
    ("split", "query", "checks"),
    [
        (SHARES, False, ["no_row_in_two_splits", LARGE, EQUAL, "target_alike_in_splits"]),
        (
            {**SHARES, "group": "shop"},
            False,
            ["no_row_in_two_splits", "no_group_in_two_splits", LARGE, EQUAL, "target_alike_in_splits"],
        ),
        (SHARES, True, ["no_row_in_two_splits", "no_group_in_two_splits", LARGE, EQUAL, "target_alike_in_splits"]),
        (DAYS, True, ["no_row_in_two_splits", LARGE, EQUAL, "splits_in_order_of_time", "target_alike_in_splits"]),
    ],
)
def test_only_what_there_is_to_look_at_is_checked(split: dict[str, Any], query: bool, checks: list[str]) -> None:
    spec = declared(split, query=query)
    table = rows(60, shop=[row // 2 for row in range(60)])

    findings = audit_examples(spec, {"rows": table}, make_examples("case", spec, {"rows": table}))

    assert example_checks(spec) == checks
    assert [finding.check for finding in findings] == checks


def test_the_comparison_of_targets_can_be_switched_off() -> None:
    spec = declared(SHARES, audit={"target_apart_at_most": None})

    assert example_checks(spec) == ["no_row_in_two_splits", LARGE, EQUAL]


def test_a_group_that_a_split_by_dates_tears_apart_is_found() -> None:
    spec = declared({**DAYS, "group": "shop"})
    table = rows(shop=["a", "a", None, "b", "b", "b", "c", None, "a"])

    findings = audit_examples(spec, {"rows": table}, make_examples("case", spec, {"rows": table}))

    assert [finding.check for finding in findings if not finding.passed] == ["no_group_in_two_splits", LARGE]
    assert findings[1].reason.startswith("1 values of shop are in train (2 rows) and test (1 rows), first a; ")


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), groups=st.integers(20, 200))
def test_a_random_split_keeps_groups_together_in_the_declared_shares(seed: int, groups: int) -> None:
    spec = declared({**SHARES, "group": "shop"}, seed=seed)
    shops = [None if row % 10 == 0 else row % groups for row in range(1200)]
    table = rows(1200, shop=pd.array(shops, dtype="Int64"))

    examples = make_examples("case", spec, {"rows": table})

    findings = {finding.check: finding for finding in audit_examples(spec, {"rows": table}, examples)}
    assert findings["no_group_in_two_splits"].passed
    shares = examples.to_pandas()["split"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.3, abs=0.06)
    assert shares["validation"] == pytest.approx(0.2, abs=0.06)


def test_a_random_split_of_a_query_keeps_the_rows_of_a_key_together() -> None:
    spec = declared(SHARES, query=True)
    twice = spec.examples.query or ""
    query = f"{twice} union all select id, seen + interval 1 day as cutoff, not y as target from rows"
    examples_of = spec.examples.model_copy(update={"query": query})
    spec = spec.model_copy(update={"examples": examples_of})

    examples = make_examples("case", spec, {"rows": rows(300)}).to_pandas()

    assert len(examples) == 600
    assert examples.groupby("id")["split"].nunique().max() == 1


def test_a_group_that_is_no_column_is_refused_with_the_columns_that_there_are() -> None:
    spec = declared({**SHARES, "group": "shop"})

    with pytest.raises(
        DataError, match=r"examples\.split\.group names the columns \['shop'\], .* \['id', 'seen', 'y'\]"
    ):
        make_examples("case", spec, {"rows": rows()})


def test_the_rarest_class_of_all_targets_counts_and_each_target_may_lie_apart() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"split": ["train"] * 300 + ["validation"] * 100 + ["test"] * 100})
    frame["target a"] = random.integers(0, 2, 500)
    frame["target b"] = np.where(frame["split"] == "test", random.random(500) < 0.95, random.random(500) < 0.1)
    frame.loc[frame.index[300:400], "target b"] = [True] + [False] * 99

    large = large_enough(frame, None, classes=["target a", "target b"])
    apart = targets_apart(frame, False, 0.8, ["target a", "target b"])

    assert large.faults == ("a class has 1 row in validation, needed: 2",)
    assert len(apart.faults) == 1
    assert "test rows have b True" in apart.faults[0]
    assert {row["of"] for row in apart.table} == {"a", "b"}
