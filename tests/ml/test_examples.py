"""The split: stratified, repeatable, and steady as rows are added."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.examples import make_examples
from ml.spec import UseCaseSpec


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
    made = make_examples("case", spec, {spec.examples.table: pa.table({"id": keys})}).to_pylist()
    return {row["id"]: (row["split"], row["target"]) for row in made}


def test_each_class_has_the_declared_shares() -> None:
    found = list(split(list(range(3000))).values())

    for target, size in ((1, 1000), (0, 2000)):
        shares = {name: found.count((name, target)) / size for name in ("train", "validation", "test")}
        assert shares == pytest.approx({"train": 0.5, "validation": 0.2, "test": 0.3})


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    keys = list(range(600))

    assert split(keys) == split(keys[::-1])
    assert split(keys) != split(keys, seed=1)


@settings(max_examples=20, deadline=None)
@given(added=st.integers(1, 1500), before=st.booleans())
def test_new_rows_never_turn_a_training_row_into_a_test_row(added: int, before: bool) -> None:
    keys, new = list(range(3000)), list(range(3000, 3000 + added))

    first, then = split(keys), split(new + keys if before else keys + new)

    assert [key for key in keys if first[key][0] == "train" and then[key][0] == "test"] == []
    assert sum(first[key] != then[key] for key in keys) < 0.05 * len(keys)
