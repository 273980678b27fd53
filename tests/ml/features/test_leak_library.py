"""The ways in which the future gets into features, each tried against every way in which a feature is made."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.features.define import define_features
from ml.features.history_check import coverage
from ml.features.leaks import leaking
from ml.features.matrix import feature_matrix
from ml.tables.sources import load_table

pytestmark = pytest.mark.filterwarnings("ignore")

CUTOFF = pd.Timestamp("2024-03-01 12:00")
HISTORY, SYNTHESIS, LATEST = "id.COUNT(orders_{}, Last 60 Days)", "COUNT(orders)", "prices.price"


def declared(
    folder: Path, orders: pd.DataFrame, prices: pd.DataFrame, known_at: dict[str, Any] | None = None
) -> UseCaseSpec:
    """Customers with orders, counted by history and by synthesis, and the latest price of their city."""
    people = pd.DataFrame({"id": range(4), "city": ["x", "x", "y", "never seen"]})
    for name, frame in {"people": people, "orders": orders, "prices": prices}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    tables = {
        "people": {"source": {"path": str(folder / "people.csv")}, "key": "id"},
        "orders": {"source": {"path": str(folder / "orders.csv")}, "key": "order_id", "time": "at"},
        "prices": {"source": {"path": str(folder / "prices.csv")}, "key": ["city", "at"], "time": "at"},
    }
    for table, value in (known_at or {}).items():
        tables[table]["known_at"] = value
        if table == "prices" and value == "entered":
            tables[table]["key"] = ["city", "at", "entered"]
    return UseCaseSpec.model_validate(
        {
            "description": "Leaves?",
            "tables": tables,
            "relationships": ["orders.id -> people.id", "people.city -> prices.city"],
            "examples": {
                "table": "people",
                "query": f"select id, timestamp '{CUTOFF}' as cutoff, true as target from people",
                "split": {"validation_share": 0.2, "test_share": 0.2},
            },
            "features": {
                "history": {"table": "orders", "group_by": ["id"], "windows": ["60d"], "aggregations": ["count"]},
                "synthesis": {"aggregations": ["count", "max"], "depth": 1},
            },
            "models": {"logistic": {}},
        }
    )


def orders(*times: str, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"order_id": range(len(times)), "id": 0, "at": times, "amount": 1.0, **columns})


def prices(*times: str, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"city": "x", "at": times, "price": range(1, len(times) + 1), **columns})


BEFORE = prices("2024-02-01T00:00:00", "2024-02-20T00:00:00")


def first_row(spec: UseCaseSpec, cutoff: pd.Timestamp = CUTOFF) -> dict[str, Any]:
    """Return the feature values of the first customer."""
    tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    rows = pd.DataFrame({"id": [0], "cutoff": [cutoff]})
    return feature_matrix(spec, define_features("shop", spec, tables), tables, rows).to_dict("records")[0]


def test_a_row_that_arrives_late_is_seen_once_it_has_arrived(tmp_path: Path) -> None:
    entered = ["2024-01-11T00:00:00", "2024-03-05T00:00:00"]
    late = orders("2024-01-10T00:00:00", "2024-02-10T00:00:00", entered=entered)
    spec = declared(tmp_path, late, BEFORE, {"orders": "entered"})

    assert first_row(spec)[HISTORY.format("entered")] == first_row(spec)[SYNTHESIS] == 1
    assert first_row(spec, pd.Timestamp("2024-03-06"))[SYNTHESIS] == 2


def test_a_row_known_after_a_delay_is_seen_after_it(tmp_path: Path) -> None:
    row = first_row(declared(tmp_path, orders("2024-02-28T11:59:59", "2024-02-28T12:00:00"), BEFORE, {"orders": "2d"}))

    assert row[HISTORY.format("at+2d")] == row[SYNTHESIS] == 1


def test_a_correction_is_seen_once_it_was_made_and_the_latest_one_holds(tmp_path: Path) -> None:
    at = ["2024-02-20T00:00:00", "2024-02-20T00:00:00", "2024-02-10T00:00:00", "2024-02-25T00:00:00"]
    entered = ["2024-02-21T00:00:00", "2024-02-22T00:00:00", "2024-02-27T00:00:00", "2024-03-02T00:00:00"]
    spec = declared(tmp_path, orders("2024-01-10T00:00:00"), prices(*at, entered=entered), {"prices": "entered"})

    assert first_row(spec, pd.Timestamp("2024-02-21T12:00:00"))[LATEST] == 1
    assert first_row(spec)[LATEST] == 2  # the third came later and is of an earlier time: never the latest
    assert first_row(spec, pd.Timestamp("2024-03-03"))[LATEST] == 4


@pytest.mark.parametrize(("at_cutoff", "seen"), [("excluded", 1), ("included", 2)])
def test_an_event_at_the_very_cutoff_counts_as_declared(at_cutoff: str, seen: int, tmp_path: Path) -> None:
    twice = prices("2024-02-01T00:00:00", "2024-03-01T12:00:00")
    spec = declared(tmp_path, orders("2024-02-01T00:00:00", "2024-03-01T12:00:00"), twice)
    features = spec.features.model_copy(update={"at_cutoff": at_cutoff})

    row = first_row(spec.model_copy(update={"features": features}))

    assert row[HISTORY.format("at")] == row[SYNTHESIS] == row[LATEST] == seen


def test_the_hour_that_daylight_saving_repeats_keeps_its_order(tmp_path: Path) -> None:
    repeated = orders("2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00")  # 00:30 and 01:30 UTC
    spec = declared(tmp_path, repeated, prices("2024-10-27T02:10:00+02:00", "2024-10-27T02:10:00+01:00"))

    between = first_row(spec, pd.Timestamp("2024-10-27 01:00"))

    assert between[HISTORY.format("at")] == between[SYNTHESIS] == 1
    assert between[LATEST] == 1
    assert first_row(spec, pd.Timestamp("2024-10-27 02:00"))[SYNTHESIS] == 2


def test_a_cutoff_with_an_offset_is_the_same_moment_in_utc(tmp_path: Path) -> None:
    spec = declared(tmp_path, orders("2024-03-01T13:30:00+02:00", "2024-03-01T14:30:00+02:00"), BEFORE)

    assert first_row(spec)[SYNTHESIS] == 1


def test_a_key_born_after_the_cutoff_has_no_past(tmp_path: Path) -> None:
    born_later = orders("2024-03-02T00:00:00", "2024-03-03T00:00:00")
    spec = declared(tmp_path, born_later, prices("2024-03-02T00:00:00"))

    row = first_row(spec)

    assert row[SYNTHESIS] == row[HISTORY.format("at")] == 0
    assert np.isnan(row["MAX(orders.amount)"])
    assert np.isnan(row[LATEST])


@pytest.mark.parametrize("known_at", [{}, {"orders": "3d", "prices": "6h"}])
def test_the_future_scrambled_changes_no_feature(known_at: dict[str, str], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(random.integers(0, 86400 * 90, 400)), "s")
    many = pd.DataFrame({"order_id": range(400), "id": random.integers(0, 4, 400), "at": times})
    spec = declared(tmp_path, many.assign(amount=random.random(400)), prices(*map(str, times[::9])), known_at)
    tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    cutoffs = pd.date_range("2024-01-10", "2024-03-25", periods=60)
    rows = pd.DataFrame({"id": np.arange(60) % 4, "cutoff": cutoffs})

    assert leaking(spec, define_features("shop", spec, tables), tables, rows) == {}


def test_a_row_known_before_it_happens_is_refused(tmp_path: Path) -> None:
    early = orders("2024-02-10T00:00:00", "2024-02-11T00:00:00", entered=["2024-02-10T00:00:00", "2024-01-01T00:00:00"])

    with pytest.raises(DataError, match=r"1 of 2 rows are known \(entered\) before they happen \(at\), .*\[1\]"):
        first_row(declared(tmp_path, early, BEFORE, {"orders": "entered"}))


def test_a_relationship_that_finds_nothing_is_refused(tmp_path: Path) -> None:
    stray = orders("2024-02-01T00:00:00").assign(id=77)

    with pytest.raises(DataError, match=r"orders.id -> people.id finds no row at all: \[77\] … are not among \[0"):
        first_row(declared(tmp_path, stray, BEFORE))


@pytest.mark.parametrize("cutoff", ["2023-01-01", "2025-01-01"])
def test_cutoffs_outside_of_the_data_are_refused(cutoff: str, tmp_path: Path) -> None:
    spec = declared(tmp_path, orders("2024-02-01T00:00:00", "2024-03-01T00:00:00"), BEFORE)
    tables: dict[str, pa.Table] = {"orders": load_table("shop", "orders", spec.tables["orders"])}

    with pytest.raises(DataError, match=r"finds no event for any of 3 rows: events are known \(at\) from 2024-02-01"):
        coverage("shop", spec, tables, pd.Series([pd.Timestamp(cutoff)] * 3))

    assert coverage("shop", spec, tables, pd.Series([CUTOFF, pd.Timestamp(cutoff)]))[0]["rows"] >= 1
