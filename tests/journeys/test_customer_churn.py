"""The shop's mechanism is known: what makes customers leave must show in the features, and what does not, must not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from dagster_project.examples import shop
from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import make_examples, scored_rows
from ml.features.define import define_features
from ml.features.leaks import leaking
from ml.features.matrix import feature_matrix
from ml.tables.sources import load_table

ROOT = Path(__file__).parents[2]
COMPLAINTS = "customer_id.SUM(tickets_opened_at.complaint, Last 90 Days)"
RECENT_COMPLAINTS = "COUNT(tickets WHERE kind = complaint, Last 30 Days)"
SILENCE = "customer_id.TIME_SINCE_LAST(orders_ordered_at.ordered_at, Last 90 Days)"


@pytest.fixture(scope="module")
def spec() -> UseCaseSpec:
    text = (ROOT / "configs" / "customer_churn" / "defs.yaml").read_text()
    return UseCaseSpec.model_validate(yaml.safe_load(text)["attributes"])


@pytest.fixture(scope="module")
def tables(spec: UseCaseSpec) -> dict[str, pa.Table]:
    return {name: load_table("churn", name, table, spec.times_of(name)) for name, table in spec.tables.items()}


@pytest.fixture(scope="module")
def matrix(spec: UseCaseSpec, tables: dict[str, pa.Table]) -> pd.DataFrame:
    examples = make_examples("churn", spec, tables).to_pandas()
    return feature_matrix(spec, define_features("churn", spec, tables), tables, examples)


def test_the_same_seed_gives_the_same_shop() -> None:
    shop._shop.cache_clear()
    again = shop.orders()

    assert len(again) == 123_765
    assert again["amount"].sum() == pytest.approx(shop.items()["price"].sum())


def test_what_makes_customers_leave_tells_and_what_does_not_tells_nothing(matrix: pd.DataFrame) -> None:
    def auc(values: pd.Series) -> float:
        return float(roc_auc_score(matrix["target"], values.fillna(values.max())))

    assert auc(matrix[COMPLAINTS]) > 0.58
    assert auc(matrix[RECENT_COMPLAINTS]) > 0.57
    assert auc(matrix[SILENCE]) > 0.7
    assert auc((matrix["plan"] == "basic").astype(float)) > 0.53
    for decoy in (matrix["newsletter"], (matrix["country"] == "DE").astype(float),
                  matrix["PERCENT_TRUE(items.lamp)"]):  # fmt: skip
        assert auc(decoy) == pytest.approx(0.5, abs=0.02)


def test_values_at_a_cutoff_equal_a_plain_loop(matrix: pd.DataFrame, tables: dict[str, pa.Table]) -> None:
    orders, tickets = tables["orders"].to_pandas(), tables["tickets"].to_pandas()
    items = tables["items"].to_pandas()

    for row in matrix.sample(30, random_state=0).to_dict("records"):
        mine = orders[(orders["customer_id"] == row["customer_id"]) & (orders["ordered_at"] < row["cutoff"])]
        recent = mine[mine["ordered_at"] >= row["cutoff"] - pd.Timedelta("30D")]
        opened = tickets[(tickets["customer_id"] == row["customer_id"]) & (tickets["opened_at"] < row["cutoff"])]
        opened = opened[opened["opened_at"] >= row["cutoff"] - pd.Timedelta("90D")]
        assert row["customer_id.COUNT(orders_ordered_at, Last 30 Days)"] == len(recent)
        assert row["customer_id.SUM(orders_ordered_at.amount, Last 30 Days)"] == pytest.approx(recent["amount"].sum())
        assert row[COMPLAINTS] == opened["complaint"].sum()
        month = opened["opened_at"] >= row["cutoff"] - pd.Timedelta("30D")
        assert row[RECENT_COMPLAINTS] == (month & (opened["kind"] == "complaint")).sum()
        bought = items[items["order_id"].isin(mine["order_id"])]
        assert row["COUNT(items)"] == len(bought)
        assert row["PERCENT_TRUE(items.lamp)"] == pytest.approx((bought["product"] == "lamp").mean())
        per_order = bought.groupby("order_id")["price"].mean()
        assert row["MEAN(orders.MEAN(items.price))"] == pytest.approx(per_order.mean())
        assert row[SILENCE] == (row["cutoff"] - mine["ordered_at"].max()).total_seconds()


def test_no_feature_tells_of_the_future(spec: UseCaseSpec, tables: dict[str, pa.Table], matrix: pd.DataFrame) -> None:
    sample = matrix[["customer_id", "cutoff"]].sample(300, random_state=0)

    assert leaking(spec, define_features("churn", spec, tables), tables, sample) == {}


def test_rows_without_a_target_are_scored_and_are_no_examples(
    spec: UseCaseSpec, tables: dict[str, pa.Table], matrix: pd.DataFrame
) -> None:
    scored = scored_rows("churn", spec, tables, str(spec.score.where)).to_pandas()

    assert scored["cutoff"].unique().tolist() == [pd.Timestamp("2024-12-30")]
    assert len(scored) > 1000
    assert matrix["cutoff"].max() == pd.Timestamp("2024-10-28")
    assert set(np.unique(matrix["target"])) == {0, 1}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select customer_id, ordered_at as day from orders", 'Referenced column "(cutoff|target)" not found'),
        ("select 1 as customer_id, null as cutoff, true as target", "1 of 1 rows have no cutoff"),
        (
            "select -1 as customer_id, timestamp '2024-01-01' as cutoff, true as target",
            "1 of 1 rows have a customer_id that is not in",
        ),
        ("select 1 as customer_id, timestamp '2024-01-01' as cutoff, null as target", "no row with a target"),
        (
            "select 1 as customer_id, timestamp '2024-01-01' as cutoff, true as target from orders limit 3",
            "2 rows with the key",
        ),
    ],
)
def test_a_query_that_gives_no_examples_says_why(
    query: str, message: str, spec: UseCaseSpec, tables: dict[str, pa.Table]
) -> None:
    examples = spec.examples.model_copy(update={"query": query})

    with pytest.raises(DataError, match=message) as refused:
        make_examples("churn", spec.model_copy(update={"examples": examples}), tables)

    assert "use case 'churn', table 'customers', examples.query" in str(refused.value) or "gives" in str(refused.value)
