"""Keys of several columns: of examples, of histories, of tables that rows point at; batch and service agree."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.declaration.use_case import UseCaseSpec
from ml.examples.audit import audit_examples
from ml.examples.build import make_examples, scored_rows
from ml.features.define import define_features
from ml.features.definitions import FeatureDefinitions
from ml.features.golden_requests import golden_rows, records
from ml.features.leaks import no_leak
from ml.features.matrix import feature_matrix
from ml.features.online_state import online_state
from ml.tables.sources import load_table
from ml.tasks.task import Task
from service.history.events import Events
from service.plan.reading import read_plan
from service.predict.features import FeatureBuilder, Inputs
from service.records.reader import RecordReader

pytestmark = pytest.mark.filterwarnings("ignore")
START = pd.Timestamp("2024-01-01")


def spec_of(folder: Path, **changes: Any) -> UseCaseSpec:
    rng = np.random.default_rng(0)
    days = pd.date_range(START, periods=40)
    sales = pd.DataFrame([(store, day) for store in ("a|b", "a", "b\\") for day in days], columns=["store", "day"])
    sales = sales.assign(month=sales["day"].dt.month, sold=rng.integers(0, 50, len(sales)) + 0.25)
    plans = pd.DataFrame({"month": [1, 1, 2, 2], "shop": ["a", "a|b", "a", "b\\"], "goal": [10, 20, 30, 40]})
    sales.sample(frac=1, random_state=0).to_csv(folder / "sales.csv", index=False)
    plans.to_csv(folder / "plans.csv", index=False)
    return UseCaseSpec.model_validate(
        {
            "description": "Sold well?",
            "tables": {
                "sales": {
                    "source": {"path": str(folder / "sales.csv")},
                    "key": ["store", "day"],
                    "time": "day",
                    "known_at": {"1d": ["sold"]},
                },
                "plans": {"source": {"path": str(folder / "plans.csv")}, "key": ["month", "shop"]},
            },
            "relationships": ["sales.(store, month) -> plans.(shop, month)"],
            "examples": {
                "table": "sales",
                "cutoff": "day",
                "target": "sold > 20",
                "split": {"train_until": "2024-01-20", "validate_until": "2024-02-01"},
            },
            "features": {
                "history": {
                    "table": "sales",
                    "group_by": ["store"],
                    "windows": ["7d"],
                    "aggregations": ["count", "mean"],
                }
            },
            "models": {"logistic": {}},
            **changes,
        }
    )


def loaded(spec: UseCaseSpec) -> dict[str, pa.Table]:
    return {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}


def matrix_of(spec: UseCaseSpec, tables: dict[str, pa.Table]) -> tuple[FeatureDefinitions, pd.DataFrame]:
    rows = scored_rows("shop", spec, tables, "true").to_pandas()
    definitions = define_features("shop", spec, tables)
    return definitions, feature_matrix(spec, definitions, tables, rows)


def test_examples_and_features_have_the_answers_of_a_join_by_hand(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    tables = loaded(spec)

    examples = make_examples("shop", spec, tables)
    definitions, matrix = matrix_of(spec, tables)

    assert examples.column_names == ["store", "day", "cutoff", "target", "split"]
    assert {finding.check for finding in audit_examples(spec, tables, examples) if not finding.passed} == set()
    assert [feature.name for feature in definitions.features][:2] == ["plans.goal", "store"]
    sales, plans = pd.read_csv(tmp_path / "sales.csv", parse_dates=["day"]), pd.read_csv(tmp_path / "plans.csv")
    by_hand = matrix[["store", "day"]].merge(sales, on=["store", "day"])
    goals = by_hand.merge(plans, left_on=["store", "month"], right_on=["shop", "month"], how="left")["goal"]
    np.testing.assert_array_equal(matrix["plans.goal"], goals)
    for place in (0, 50, 119):
        row = matrix.iloc[place]
        known = sales[(sales["store"] == row["store"]) & (sales["day"] + pd.Timedelta("1d") < row["day"])]
        known = known[known["day"] + pd.Timedelta("1d") >= row["day"] - pd.Timedelta("7d")]
        assert row["store.COUNT(sales_day+1d, Last 7 Days)"] == len(known)
        if len(known):
            assert row["store.MEAN(sales_day+1d.sold, Last 7 Days)"] == pytest.approx(known["sold"].mean())
    assert no_leak(spec, definitions, tables, matrix[["store", "day", "cutoff"]].sample(60, random_state=0)).passed


def test_the_service_says_what_the_batch_says_and_takes_events_by_their_whole_key(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    tables = loaded(spec)
    definitions, matrix = matrix_of(spec, tables)
    for name, content in online_state("shop", spec, definitions, tables, matrix["cutoff"], Task()).items():
        (tmp_path / name).write_bytes(content)
    plan = read_plan((tmp_path / "plan.json").read_bytes())
    builder = FeatureBuilder(plan, Inputs(definitions.numeric, definitions.categorical), tmp_path)

    golden, asked = golden_rows(spec, definitions, tables["sales"], matrix, 20)
    requests = RecordReader(plan).read(records(spec, definitions, golden, asked))
    expected = feature_matrix(spec, definitions, tables, asked, golden)
    built = builder.build(requests)

    assert plan.events["sales"].keys == ["store", "day"]
    np.testing.assert_array_equal(built.numeric, expected[definitions.numeric].to_numpy("float32"))
    assert built.categorical.tolist() == expected[definitions.categorical].fillna("").to_numpy().tolist()
    events = Events(plan, builder.histories)
    again = {"store": "a|b", "day": "2024-01-05T00:00:00", "sold": 7.5}
    assert events.accept("sales", [again, {**again, "store": "a"}]).replaced == 2
    assert events.accept("sales", [{**again, "store": "new"}]).replaced == 0


def test_a_random_split_is_by_the_whole_key_and_does_not_change_with_more_rows(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, examples={
        "table": "sales", "target": "sold > 20", "split": {"validation_share": 0.2, "test_share": 0.2},
    }, features={})  # fmt: skip
    tables = loaded(spec)

    examples = make_examples("shop", spec, tables).to_pandas()

    assert examples.groupby("store")["split"].nunique().eq(3).all()
    assert len(examples) == 120


def test_a_query_asks_about_rows_by_all_columns_of_their_key(tmp_path: Path) -> None:
    query = "select store, day, day as cutoff, sold > 20 as target from sales"
    split = {"validation_share": 0.2, "test_share": 0.2}
    spec = spec_of(tmp_path, examples={"table": "sales", "query": query, "split": split}, features={})
    tables = loaded(spec)

    examples = make_examples("shop", spec, tables).to_pandas()

    assert len(examples) == 120
    assert examples.groupby("store")["split"].nunique().gt(1).all()
    wrong = spec_of(tmp_path, examples={
        "table": "sales", "query": query.replace("day, day", "day + interval 9 years as day, day"), "split": split,
    }, features={})  # fmt: skip
    with pytest.raises(ValueError, match=r"120 of 120 rows have a store, day that is not in the table"):
        make_examples("shop", wrong, tables)


def test_synthesis_needs_a_key_of_one_column(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"features\.synthesis needs a key of one column in 'sales', given"):
        spec_of(tmp_path, features={"synthesis": {}})


@pytest.mark.parametrize(
    ("relationship", "message"),
    [
        ("sales.store -> plans.shop", r"must end at the key \['month', 'shop'\] of 'plans'"),
        ("sales.(store, month) -> plans.shop", r"a relationship reads `table\.column -> table\.column`, or"),
        ("sales.(store, day) -> plans.(shop, month)", r"joins timestamp\[us\] to int64, which are never equal"),
        ("sales.(day, month) -> plans.(shop, month)", r"never equal"),
    ],
)
def test_a_relationship_of_several_columns_must_fit(relationship: str, message: str, tmp_path: Path) -> None:
    def read() -> None:
        spec = spec_of(tmp_path, relationships=[relationship])
        matrix_of(spec, loaded(spec))

    with pytest.raises(ValueError, match=message):
        read()
