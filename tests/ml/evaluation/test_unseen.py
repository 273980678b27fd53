"""A champion is compared on test rows that it has not learned from, or not at all."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.declaration.gate_kinds.champion import ChampionGate
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.unseen import compare_unseen, unseen
from ml.examples.build import make_examples

START = datetime(2024, 1, 1)
TABLE = pa.table(
    {
        "id": list(range(200)),
        "at": [START + timedelta(days=number) for number in range(200)],
        "y": [number % 2 for number in range(200)],
    }
)


def spec(split: dict[str, Any], seed: int = 0) -> UseCaseSpec:
    return UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "seed": seed,
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "at"}},
            "examples": {"table": "rows", "cutoff": "at", "target": "y = 1", "split": split},
            "models": {"logistic": {}},
        }
    )


def rows_that_test(by: UseCaseSpec) -> pd.DataFrame:
    rows = make_examples("case", by, {"rows": TABLE}).to_pandas()
    return rows[rows["split"] == "test"].reset_index(drop=True)


def test_by_dates_a_champion_has_seen_all_from_before_its_own_test_rows() -> None:
    early = spec({"train_until": "2024-02-01", "validate_until": "2024-03-01"})
    late = spec({"train_until": "2024-04-01", "validate_until": "2024-05-01"})
    rows = rows_that_test(early)

    fair = unseen("case", late, {"rows": TABLE}, rows)

    assert list(fair) == list(rows["cutoff"] >= "2024-05-01")
    assert unseen("case", early, {"rows": TABLE}, rows_that_test(late)).all()


def test_at_random_another_seed_has_seen_most_of_the_test_rows_and_the_same_one_none() -> None:
    shares = {"validation_share": 0.2, "test_share": 0.2}
    rows = rows_that_test(spec(shares))

    fair = unseen("case", spec(shares, seed=1), {"rows": TABLE}, rows)

    of_the_other = set(rows_that_test(spec(shares, seed=1))["id"])
    assert list(fair) == [key in of_the_other for key in rows["id"]]
    assert 0 < fair.sum() < len(rows) / 2
    assert unseen("case", spec(shares), {"rows": TABLE}, rows).all()


def compared(left: int, rows: int = 400, least: int = 100) -> dict[str, Any]:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, rows).astype("int8")
    candidate, champion = y + random.normal(size=rows), y + random.normal(size=rows)
    fair = np.arange(rows) < left
    champion[~fair] = y[~fair]  # it knows what it has seen
    rule = ChampionGate.model_validate({"rows": least, "resamples": 100})
    return compare_unseen("roc_auc", rule, 0, y, candidate, champion, fair)


def test_what_the_champion_knows_by_heart_does_not_count() -> None:
    found = compared(left=300)

    assert found["seen_by_champion"] == 100
    assert abs(found["comparison"].difference) < 0.1
    assert "incomparable" not in found


def test_too_few_rows_that_it_has_not_seen_are_no_comparison() -> None:
    found = compared(left=99)

    assert "comparison" not in found
    assert found["incomparable"] == (
        "it has learned from 301 of the 400 test rows, and the other 99 are fewer than the 100 of gates.champion.rows"
    )


def test_few_rows_are_compared_where_it_has_seen_none_of_them() -> None:
    found = compared(left=50, rows=50)

    assert found["seen_by_champion"] == 0
    assert found["comparison"].lower < found["comparison"].difference


def test_a_champion_that_does_not_answer_with_numbers_is_no_measure_for_the_candidate() -> None:
    y, right = np.arange(200) % 2, np.linspace(0, 1, 200)
    champion, fair = right.copy(), np.ones(200, bool)
    champion[7] = np.nan

    compared = compare_unseen("roc_auc", ChampionGate(), 0, y, right, champion, fair)

    assert compared == {"incomparable": "it answers 1 of the 200 test rows with what is no finite number"}
