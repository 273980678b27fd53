"""The split: stratified, repeatable, and steady as rows are added."""

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import make_examples
from ml.tasks.metrics import Kind


def split(keys: list[int], seed: int = 0) -> dict[int, tuple[str, int]]:
    """Split and target of each key; every third one is positive."""
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "seed": seed,
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {
                "table": "rows",
                "target": "id % 3 = 0",
                "split": {"validation_share": 0.2, "test_share": 0.3},
            },
            "models": {"logistic": {}},
        }
    )
    rows = make_examples("case", spec, {spec.examples.table: pa.table({"id": keys})}).to_pylist()
    return {row["id"]: (row["split"], row["target"]) for row in rows}


def test_each_class_has_the_declared_shares() -> None:
    rows = list(split(list(range(3000))).values())

    for target, size in ((1, 1000), (0, 2000)):
        shares = {name: rows.count((name, target)) / size for name in ("train", "validation", "test")}
        assert shares == pytest.approx({"train": 0.5, "validation": 0.2, "test": 0.3})


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    keys = list(range(600))

    assert split(keys) == split(keys[::-1])
    assert split(keys) != split(keys, seed=1)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(added=st.integers(1, 1500), before=st.booleans())
def test_new_rows_never_turn_a_training_row_into_a_test_row(added: int, before: bool) -> None:
    keys, new = list(range(3000)), list(range(3000, 3000 + added))

    first, then = split(keys), split(new + keys if before else keys + new)

    assert [key for key in keys if first[key][0] == "train" and then[key][0] == "test"] == []
    assert sum(first[key] != then[key] for key in keys) < 0.05 * len(keys)


def examples_of(task: Kind, targets: list[Any], *, query: bool = False) -> list[dict[str, Any]]:
    """The examples of a table of targets, split by time: two fifths train, two validate, one tests."""
    times = [datetime(2024, 1, 1) + timedelta(days=10 * (5 * row // len(targets))) for row in range(len(targets))]
    question = (
        {"query": "select id, seen as cutoff, y as target from rows"} if query else {"target": "y", "cutoff": "seen"}
    )
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "task": task,
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "seen"}},
            "examples": {
                "table": "rows",
                "split": {"train_until": "2024-01-21", "validate_until": "2024-02-10"},
                **question,
            },
            "models": {"lightgbm": {}},
        }
    )
    tables = {"rows": pa.table({"id": range(len(targets)), "seen": times, "y": targets})}
    return make_examples("case", spec, tables).to_pylist()


@pytest.mark.parametrize("query", [False, True])
@pytest.mark.parametrize(
    ("task", "targets", "expected"),
    [
        ("binary", [True, False] * 5, [1, 0] * 5),
        ("multiclass", ["a", "b"] * 5, ["a", "b"] * 5),
        ("multiclass", [3, 1] * 5, ["3", "1"] * 5),
        ("regression", [3, 1] * 5, [3.0, 1.0] * 5),
    ],
)
def test_a_target_becomes_what_the_task_needs(task: Kind, targets: list[Any], expected: list[Any], query: bool) -> None:
    assert [row["target"] for row in examples_of(task, targets, query=query)] == expected


def test_rows_of_a_query_without_a_class_are_no_examples() -> None:
    assert len(examples_of("multiclass", ["a", "b", "a", "b", None] * 4, query=True)) == 16


@pytest.mark.parametrize(
    ("task", "targets", "message"),
    [
        ("multiclass", ["a", "b"] * 4 + ["c", "a"], "class 'c' has 1 rows in test and none in train; leave such rows"),
        ("multiclass", ["a", "b"] * 4 + ["a", "a"], "one class only in the test split: all 2 rows are a"),
        ("multiclass", ["a", None] * 5, "is null in 5 of 10 rows; leave these rows out with examples.where"),
        ("multiclass", [*map(str, range(5000))], "2000 classes in the train split, allowed: 1000; .* task: regression"),
        ("regression", [1.0, 2.0] * 4 + [3.0, 3.0], "the same number only in the test split: all 2 rows are 3.0"),
        ("regression", [1.0, 2.0] * 4 + [3.0, float("inf")], "infinite or no number in 1 of 2 rows of the test split"),
        ("regression", ["one", "two"] * 5, "Could not convert string 'one' to DOUBLE"),
        ("binary", [True, False] * 4 + [True, True], "one class only in the test split: all 2 rows are True"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused_with_a_remedy(task: Kind, targets: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        examples_of(task, targets)


def test_numbers_are_split_by_their_keys_alone() -> None:
    def drawn(target: str) -> list[str]:
        spec = UseCaseSpec.model_validate(
            {
                "description": "How much?",
                "task": "regression",
                "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
                "examples": {
                    "table": "rows", "target": target, "split": {"validation_share": 0.2, "test_share": 0.3}
                },
                "models": {"ridge": {}},
            }
        )  # fmt: skip
        rows = make_examples("case", spec, {"rows": pa.table({"id": range(1000)})}).to_pylist()
        return [row["split"] for row in rows]

    splits = drawn("id")

    assert splits == drawn("id % 7")
    assert {name: splits.count(name) for name in set(splits)} == {"train": 500, "validation": 200, "test": 300}
