"""The examples in time, against pandas."""

import numpy as np
import pandas as pd
import pytest

from ml.profile.coverage import MOST, coverage

SPLITS = {"train": np.arange(0, 60), "validation": np.arange(60, 80), "test": np.arange(80, 100)}


def cutoffs(first: str, step: str) -> pd.Series:
    return pd.Series(pd.Timestamp(first) + pd.to_timedelta(step) * np.arange(100))


@pytest.mark.parametrize(
    ("step", "unit"),
    [("20min", "hour"), ("7h", "day"), ("3D", "week"), ("10D", "month"), ("200D", "year"), ("730D", "ten years")],
)
def test_each_row_counts_in_one_span_of_the_finest_unit_that_can_be_read(step: str, unit: str) -> None:
    found = coverage(cutoffs("2020-01-01", step).astype("datetime64[us]").to_numpy(), SPLITS, np.ones(100))

    assert found is not None
    assert found.unit == unit
    assert len(found.starts) <= MOST
    assert {name: sum(rows) for name, rows in found.rows.items()} == {name: len(rows) for name, rows in SPLITS.items()}


def test_the_mean_target_is_that_of_rows_that_may_be_learned_from() -> None:
    cutoff = cutoffs("2021-01-01", "10D")
    y = np.random.default_rng(0).normal(size=100)
    y[SPLITS["test"]] = 1e9

    found = coverage(cutoff.to_numpy(), SPLITS, y)

    assert found is not None
    learned = pd.Series(y[:80]).groupby(cutoff[:80].dt.to_period("M")).mean()
    assert [mean for mean in found.target if mean is not None] == pytest.approx(learned.tolist())
    assert found.target[-1] is None
    assert found.starts[0] == "2021-01-01"
    assert found.bounds["test"] == ("2023-03-12", "2023-09-18")


def test_without_a_cutoff_there_is_none_and_one_moment_is_one_span() -> None:
    none = np.full(100, "NaT", dtype="datetime64[us]")

    assert coverage(none, SPLITS, None) is None
    found = coverage(np.full(100, "1900-05-05T12:00", dtype="datetime64[us]"), SPLITS, None)
    assert found is not None
    assert (found.unit, found.starts, found.target) == ("hour", ("1900-05-05T12:00",), (None,))
