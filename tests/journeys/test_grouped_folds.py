"""Folds of a use case keep together what its split keeps together."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.search.tuning import TunedModel
from resources.ledger import Ledger
from resources.storage import Storage
from tests.support.small import Small, failure

SHARES = {"validation_share": 0.2, "test_share": 0.2}
OFTEN = "select id, timestamp '2024-01-01' + interval 1 day * n as cutoff, y = 1 as target from rows, range(5) as t(n)"
BY_DATES = {"train_until": "2024-03-20", "validate_until": "2024-05-15"}


def folds_of(small: Small, rows: pd.DataFrame, table: dict[str, Any] | None = None, **examples: Any) -> list[float]:
    """Return the scores of a forest, which learns by heart, on the folds of these rows."""
    rows.to_csv(small.rows, index=False)
    changes = {
        "tables": {"rows": {"source": {"path": str(small.rows)}, "key": "id", **(table or {})}},
        "examples": {"table": "rows", **examples},
        "features": {"only": ["x"]},
        "models": {"random_forest": {"trials": 1}},
        "tuning": {"folds": 2},
        "audit": {"alone_at_most": 1.0},
    }
    done = small.attempt("models/random_forest", upstream=True, **changes)
    assert done.success, failure(done)
    stored = Ledger().latest_result("small/models/random_forest")
    assert stored is not None
    tuned: TunedModel = Storage().load(stored)
    return list(tuned.trials[0].folds)


@pytest.fixture
def patients() -> pd.DataFrame:
    """Return 80 patients, of whom `x` tells who they are, and so nothing about another one."""
    names = [f"patient {number}" for number in range(80)]
    return pd.DataFrame({"id": range(80), "x": names, "y": np.random.default_rng(0).integers(0, 2, 80)})


@pytest.fixture
def visits(patients: pd.DataFrame) -> pd.DataFrame:
    """Return five visits of each patient, within 17 days; nobody comes on both sides of the dates of `BY_DATES`."""
    rows = patients.rename(columns={"id": "patient"}).loc[patients.index.repeat(5)].reset_index(drop=True)
    break_days = 40 * ((rows["patient"] >= 50).astype(int) + (rows["patient"] >= 65))
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(rows["patient"] + 4 * (rows.index % 5) + break_days, "D")
    return rows.assign(id=range(len(rows)), at=at)


def test_what_was_learned_of_a_patient_is_not_judged_on_the_same_patient(small: Small, visits: pd.DataFrame) -> None:
    rows = visits.drop(columns="at")

    apart = folds_of(small, rows, target="y = 1", split={**SHARES, "group": "patient"})
    together = folds_of(small, rows, target="y = 1", split=SHARES)

    assert apart == [0.5] * 2
    assert min(together) > 0.8


def test_what_was_learned_of_a_key_is_not_judged_on_the_same_key(small: Small, patients: pd.DataFrame) -> None:
    assert folds_of(small, patients, query=OFTEN, split=SHARES) == [0.5] * 2


def test_a_window_learns_nothing_of_the_patients_that_it_is_judged_on(small: Small, visits: pd.DataFrame) -> None:
    declared: dict[str, Any] = {"table": {"time": "at"}, "target": "y = 1", "cutoff": "at"}

    together = folds_of(small, visits, **declared, split=BY_DATES)
    apart = folds_of(small, visits, **declared, split={**BY_DATES, "group": "patient"})

    assert apart == [0.5] * 2
    assert min(together) > 0.6
