"""The compiled query gives what featuretools gives, and nothing from after a row's cutoff."""

import functools
from collections.abc import Callable
from typing import Any

import duckdb
import featuretools as ft
import featuretools.primitives as P  # noqa: N812
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.compiler.compile import AtCutoff, FeatureSqlError, compile_features, compute, unsupported_features
from tests.support.ordered_n_most_common import OrderedNMostCommon

pytestmark = pytest.mark.filterwarnings("ignore")

START = pd.Timestamp("2024-01-01 00:00:01")
BOTH: list[AtCutoff] = ["included", "excluded"]
AGGREGATIONS = [
    "count", "sum", "mean", "std", "variance", "min", "max", "median", "skew", "num_unique", "num_true", "percent_true",
    "any", "all", "mode", "first", "last", "time_since_last", "time_since_first", "avg_time_between", "n_unique_days",
    "entropy",
]  # fmt: skip
# On an instance without rows featuretools fails in these: it applies them to a column of no type.
_CRASHES = tuple(
    f"{transform}({end}(" for transform in ("IS_WEEKEND", "MONTH", "HOUR", "TIME_SINCE") for end in ("FIRST", "LAST")
)


class TrendPerDay(P.Trend):
    """The slope in one unit for all groups; featuretools takes another one from group to group."""

    def get_function(self):
        def trend(y: pd.Series, x: pd.Series) -> float:
            points = pd.DataFrame({"y": y.to_numpy(), "x": x.to_numpy()}).dropna()
            days = (points["x"] - START) / pd.Timedelta("1D")
            if len(points) < 3:
                return np.nan
            return 0.0 if days.nunique() == 1 else float(np.polyfit(days - days.mean(), points["y"], 1)[0])

        return trend


def arrow(entities: ft.EntitySet) -> dict[str, pa.Table]:
    return {
        frame.ww.name: pa.Table.from_pandas(pd.DataFrame(frame), preserve_index=False) for frame in entities.dataframes
    }


def labels_of(instances: Any, cutoffs: Any) -> pa.Table:
    return pa.table({"instance": pa.array(instances), "cutoff": pa.array(pd.Series(cutoffs))})


def synthesis(entities: ft.EntitySet, target: str, **options: Any) -> list[Any]:
    features = ft.dfs(entityset=entities, target_dataframe_name=target, features_only=True, **options)
    supported = [feature for feature in features if not any(crash in feature.get_name() for crash in _CRASHES)]
    return sorted(supported, key=lambda feature: str(feature.get_name()))


def reference(entities: ft.EntitySet, features: list[Any], labels: pa.Table, at_cutoff: AtCutoff) -> pd.DataFrame:
    """featuretools' matrix in the order of the labels; it takes each (instance, cutoff) only once."""
    times = labels.to_pandas().rename(columns={"instance": "instance_id", "cutoff": "time"})
    matrix = ft.calculate_feature_matrix(
        features,
        entities,
        cutoff_time=times.drop_duplicates(),
        cutoff_time_in_index=True,
        include_cutoff_time=at_cutoff == "included",
    )
    return pd.DataFrame(matrix).loc[list(times.itertuples(index=False, name=None))].reset_index(drop=True)


def assert_same(expected: pd.DataFrame, actual: pd.DataFrame) -> None:
    """Every value of every column: numbers to nine digits, all else exactly, missing where missing."""
    for name in expected:
        left, right = expected[name].astype(object), actual[name].astype(object)
        assert list(left.isna()) == list(right.isna()), f"{name}: {list(left)} but {list(right)}"
        left, right = left[left.notna()], right[right.notna()]
        if all(isinstance(value, int | float | np.number | np.bool_) for value in right):
            np.testing.assert_allclose(right.astype(float), left.astype(float), rtol=1e-9, atol=1e-9, err_msg=str(name))
        else:
            assert list(left) == list(right), name


def assert_equals_featuretools(
    entities: ft.EntitySet, features: list[Any], labels: pa.Table, at_cutoff: AtCutoff
) -> None:
    query = compile_features(entities, features, at_cutoff=at_cutoff)
    actual = compute(query, arrow(entities), labels, threads=1).to_pandas()

    assert list(actual["row"]) == list(range(len(labels)))
    assert query.names == [name for feature in features for name in feature.get_feature_names()]
    assert_same(reference(entities, features, labels, at_cutoff), actual)


@functools.cache
def customers() -> ft.EntitySet:
    entities = ft.demo.load_mock_customer(
        return_entityset=True, random_seed=0, n_customers=15, n_sessions=120, n_transactions=1500
    )
    entities.add_interesting_values(dataframe_name="sessions", values={"device": ["desktop", "mobile"]})
    return entities


@pytest.mark.slow
@pytest.mark.parametrize("at_cutoff", BOTH)
def test_depth_two_with_filters_equals_featuretools(at_cutoff: AtCutoff) -> None:
    entities = customers()
    features = synthesis(
        entities,
        "customers",
        agg_primitives=[*AGGREGATIONS, TrendPerDay, OrderedNMostCommon],
        trans_primitives=["month", "hour", "is_weekend", "time_since"],
        where_primitives=["count", "mean", "last"],
        max_depth=2,
    )
    times = entities["transactions"]["transaction_time"]
    random = np.random.default_rng(0)
    coinciding = random.choice(times, 6)
    between = times.min() + pd.to_timedelta(random.integers(-7_200, 86_400, 6), "s")
    labels = labels_of(random.integers(1, 16, 12), [*coinciding, *between])

    assert len(features) > 350
    assert_equals_featuretools(entities, features, labels, at_cutoff)


def test_rows_may_come_with_the_labels() -> None:
    entities = customers()
    features = synthesis(
        entities,
        "customers",
        agg_primitives=["count", "mean", "last"],
        trans_primitives=["month", "subtract_numeric"],
        max_depth=2,
    )
    rows = pd.DataFrame(entities["customers"])
    labels = labels_of(list(rows["customer_id"]) * 2, [entities["transactions"]["transaction_time"].max()] * 30)
    query = compile_features(entities, features, at_cutoff="included", labels_are_rows=True)
    records = pa.Table.from_pandas(pd.concat([rows, rows.assign(zip_code="never seen")]), preserve_index=False)

    with_records = labels.append_column("zip_code", records["zip_code"])
    for name in set(query.record) - {"zip_code"}:
        with_records = with_records.append_column(name, records[name])
    actual = compute(
        query, {name: t for name, t in arrow(entities).items() if name != "customers"}, with_records
    ).to_pandas()

    assert "customers" not in query.columns
    expected = reference(entities, features, labels, "included").astype({"zip_code": object})
    expected.loc[15:, "zip_code"] = "never seen"
    assert_same(expected, actual)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sessions", "transactions", "products"])
def test_features_through_parents_equal_featuretools(target: str) -> None:
    entities = customers()
    features = synthesis(
        entities,
        target,
        agg_primitives=["count", "sum", "std", "mode", "last"],
        trans_primitives=["month", "divide_numeric", "is_null"],
        max_depth=3 if target == "sessions" else 2,
    )[:150]
    frame = entities[target]
    index = frame[frame.ww.index].sample(8, replace=True, random_state=0)
    cutoffs = entities["transactions"]["transaction_time"].sample(8, random_state=1)

    assert_equals_featuretools(entities, features, labels_of(list(index), list(cutoffs)), "included")


def shop(size: int = 600, seed: int = 0) -> ft.EntitySet:
    """Customers, products and transactions; ids that need quotes, missing values, several events in one second."""
    random = np.random.default_rng(seed)
    amounts = random.exponential(50, size) * 10.0 ** random.integers(-3, 4, size)
    transactions = pd.DataFrame(
        {
            "id": np.arange(size),
            "customer": [f"c{number}" for number in random.integers(0, 8, size)],
            'the "product"': random.choice(["p1", "p 2", "p'3", None], size),
            "time": START + pd.to_timedelta(2 * random.integers(0, 45 * 43_200, size) // 3_600 * 3_600, "s"),
            "amount": np.where(random.random(size) < 0.1, np.nan, amounts),
            "flag": random.choice([True, False, None], size),
            "kind": random.choice(["a", "b", "c", None], size),
        }
    )
    products = pd.DataFrame({"product": ["p1", "p 2", "p'3"], "price": [1.5, None, 7.0]})
    persons = pd.DataFrame(
        {"customer": [f"c{number}" for number in range(10)], "joined": START + pd.to_timedelta(range(10), "D")}
    )
    entities = ft.EntitySet("shop")
    entities.add_dataframe(dataframe_name="customers", dataframe=persons, index="customer", time_index="joined")
    entities.add_dataframe(dataframe_name="the products", dataframe=products, index="product")
    entities.add_dataframe(
        dataframe_name="transactions",
        dataframe=transactions,
        index="id",
        time_index="time",
        logical_types={
            "amount": "Double", "flag": "BooleanNullable", "kind": "Categorical", "customer": "Categorical",
            'the "product"': "Categorical",
        },
    )  # fmt: skip
    entities.add_relationship("customers", "customer", "transactions", "customer")
    entities.add_relationship("the products", "product", "transactions", 'the "product"')
    return entities


def aggregated(
    entities: ft.EntitySet, name: str, column: str, window: tuple[int, str] | None = None, where: Any = None
) -> Any:
    """One aggregation of a column of the transactions for each customer."""
    return ft.Feature(
        ft.Feature(entities["transactions"].ww[column]),
        parent_dataframe_name="customers",
        primitive=P.get_aggregation_primitives()[name],
        use_previous=ft.Timedelta(*window) if window else None,
        where=where,
    )


def shop_labels(count: int, seed: int = 1) -> pa.Table:
    """Customers, one of whom does not exist, at full hours, as the transactions are."""
    random = np.random.default_rng(seed)
    instances = [f"c{number}" for number in random.integers(0, 11, count)]
    return labels_of(instances, START + pd.to_timedelta(random.integers(0, 24 * 50, count) * 3_600, "s"))


@pytest.mark.slow
@pytest.mark.parametrize("at_cutoff", BOTH)
def test_windows_equal_featuretools(at_cutoff: AtCutoff) -> None:
    entities = shop()
    # Not entropy: over the categories of a window featuretools fails, as pandas gives it categories back.
    columns = {"count": "id", "num_unique": "kind", "mode": "kind", "percent_true": "flag"}
    names = ["count", "sum", "mean", "std", "max", "median", "skew", "last", *list(columns)[1:]]
    windows = [None, (1, "d"), (36, "h"), (2, "w"), (1, "mo"), (3, "o")]
    where = ft.Feature(entities["transactions"].ww["kind"]) == "a"
    features = [
        aggregated(entities, name, columns.get(name, "amount"), window, condition)
        for name in names
        for window in windows
        for condition in (None, where)
    ]
    # A row lies exactly on the lower end of a window.
    times = entities["transactions"]["time"]
    edges = [*(times.iloc[40:43] + pd.Timedelta("1D")), *(times.iloc[100:103] + pd.Timedelta("14D"))]
    labels = pa.concat_tables(
        [shop_labels(14), labels_of(list(entities["transactions"]["customer"].iloc[40:46]), edges)]
    )

    assert_equals_featuretools(entities, features, labels, at_cutoff)


def test_a_table_read_in_windows_alone_equals_featuretools() -> None:
    entities = shop()
    features = [aggregated(entities, "sum", "amount", window) for window in [(2, "d"), (20, "d"), (5, "h")]]

    assert_equals_featuretools(entities, features, shop_labels(20), "included")


def test_a_window_on_a_table_does_not_reach_the_tables_behind_it() -> None:
    entities = customers()
    parent = {"parent_dataframe_name": "customers"}
    sessions, amount = (
        ft.Feature(entities[table].ww[column])
        for table, column in [("sessions", "session_id"), ("transactions", "amount")]
    )
    features = [
        ft.Feature(sessions, primitive=P.Count, use_previous=ft.Timedelta(1, "h"), **parent),
        ft.Feature(amount, primitive=P.Sum, **parent),
    ]
    cutoffs = entities["transactions"]["transaction_time"].sample(8, random_state=2)

    assert_equals_featuretools(entities, features, labels_of(list(range(1, 9)), list(cutoffs)), "included")


@pytest.mark.parametrize("at_cutoff", BOTH)
def test_a_parent_is_seen_from_its_own_time_on(at_cutoff: AtCutoff) -> None:
    entities = shop()
    link, parent = entities.relationships[0], entities["customers"].ww
    features = [
        ft.feature_base.DirectFeature(ft.Feature(parent["joined"]), "transactions", relationship=link),
        ft.Feature(entities["transactions"].ww["amount"]),
    ]
    early = entities["transactions"].sort_values("time")[["id", "customer"]].head(40)
    joined = early["customer"].map(entities["customers"].set_index("customer")["joined"].astype(object))
    late = [time + pd.Timedelta(number % 3 - 1, "h") for number, time in enumerate(joined)]
    labels = labels_of(list(early["id"]), late)

    assert_equals_featuretools(entities, features, labels, at_cutoff)


def test_features_of_one_path_filter_and_window_share_one_aggregate() -> None:
    entities = shop()
    one = [aggregated(entities, name, "amount", (7, "d")) for name in ("sum", "mean", "std", "max")]
    other = [aggregated(entities, "sum", "amount", (30, "d"))]

    def passes(features: list[Any]) -> int:
        return compile_features(entities, features, at_cutoff="included").sql.count("GROUP BY")

    assert passes(one) == passes([aggregated(entities, "std", "amount", (7, "d"))])
    assert passes(one + other) == passes(one) + passes(other)


@functools.cache
def library() -> list[Any]:
    """The features from which the random tests choose: three tables deep, with filters and windows."""
    entities = random_shop({"persons": [], "orders": [], "items": []})
    features = synthesis(
        entities,
        "persons",
        agg_primitives=[*AGGREGATIONS, TrendPerDay, OrderedNMostCommon],
        trans_primitives=["hour", "is_weekend", "is_null", "absolute", "multiply_numeric"],
        where_primitives=["count", "sum", "max"],
        max_depth=2,
    )
    orders = entities["orders"].ww
    windows = [
        ft.Feature(
            ft.Feature(orders[column]), parent_dataframe_name="persons", primitive=primitive, use_previous=window
        )
        for column, primitive in [("order", P.Count), ("amount", P.Sum), ("amount", P.Std), ("kind", P.Mode)]
        for window in ("3 s", "1 m")
    ]
    return [*features, *windows]


def random_shop(rows: dict[str, list[dict[str, Any]]]) -> ft.EntitySet:
    types = {
        "persons": {"person": "Categorical", "joined": "Datetime"},
        "orders": {
            "order": "Categorical", "person": "Categorical", "time": "Datetime", "amount": "Double",
            "kind": "Categorical", "flag": "BooleanNullable",
        },
        "items": {"item": "Categorical", "order": "Categorical", "price": "Double", "count": "IntegerNullable"},
    }  # fmt: skip
    entities = ft.EntitySet("random")
    for name, kinds in types.items():
        frame = pd.DataFrame(rows[name], columns=list(kinds))
        for column, kind in kinds.items():
            if kind == "Datetime":
                frame[column] = START + pd.to_timedelta(frame[column].astype("int64"), "s")
        time = next((column for column, kind in kinds.items() if kind == "Datetime"), None)
        entities.add_dataframe(
            dataframe_name=name, dataframe=frame, index=next(iter(kinds)), time_index=time, logical_types=kinds
        )
    entities.add_relationship("persons", "person", "orders", "person")
    entities.add_relationship("orders", "order", "items", "order")
    entities.add_interesting_values(dataframe_name="orders", values={"kind": ["a"]})
    return entities


_SECONDS = st.integers(0, 9)  # few, so that events and cutoffs coincide
_KEYS = st.sampled_from(["k0", "k1", "k2", "k3", "k11", None])
_NUMBERS = st.none() | st.integers(-40, 40).map(lambda number: number / 4)


def _numbered(key: str, **columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    rows = st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=12)
    return rows.map(lambda rows: [{key: f"k{number}", **row} for number, row in enumerate(rows)])


@pytest.mark.slow
@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    persons=_numbered("person", joined=_SECONDS),
    orders=_numbered(
        "order",
        person=_KEYS,
        time=_SECONDS,
        amount=_NUMBERS,
        kind=st.sampled_from(["a", "b", "c", None]),
        flag=st.sampled_from([True, False, None]),
    ),
    items=_numbered("item", order=_KEYS, price=_NUMBERS, count=st.none() | st.integers(0, 3)),
    questions=st.lists(
        st.tuples(st.sampled_from(["k0", "k1", "k2", "k99"]), st.integers(-1, 10)), min_size=1, max_size=4
    ),
    chosen=st.sets(st.integers(0, 10_000), min_size=10, max_size=30),
    at_cutoff=st.sampled_from(BOTH),
)
def test_random_data_equal_featuretools(
    persons: Any, orders: Any, items: Any, questions: Any, chosen: Any, at_cutoff: AtCutoff
) -> None:
    entities = random_shop({"persons": persons, "orders": orders, "items": items})
    features = [library()[place] for place in sorted({number % len(library()) for number in chosen})]
    labels = labels_of([instance for instance, _ in questions], [START + pd.Timedelta(s, "s") for _, s in questions])

    assert_equals_featuretools(entities, features, labels, at_cutoff)


def history(size: int, seed: int) -> ft.EntitySet:
    """The shop with a column that says when a transaction became known, and with times of any precision."""
    entities = shop(size, seed)
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(entities["transactions"]).copy()
    frame["known"] = frame["time"] + pd.to_timedelta(random.integers(0, 10 * 86_400, size), "s")
    frame.loc[random.random(size) < 0.05, "known"] = pd.NaT
    types = {name: str(kind) for name, kind in entities["transactions"].ww.logical_types.items()}
    changed = ft.EntitySet("history")
    for name in ("customers", "the products"):
        table = pd.DataFrame(entities[name])
        changed.add_dataframe(
            dataframe_name=name, dataframe=table, index=entities[name].ww.index, time_index=entities[name].ww.time_index
        )
    changed.add_dataframe(
        dataframe_name="transactions", dataframe=frame, index="id", time_index="time", logical_types=types
    )
    changed.add_relationship("customers", "customer", "transactions", "customer")
    changed.add_relationship("the products", "product", "transactions", 'the "product"')
    return changed


def all_features(entities: ft.EntitySet) -> list[Any]:
    features = synthesis(
        entities,
        "customers",
        agg_primitives=[*AGGREGATIONS, "n_most_common", "trend"],
        trans_primitives=["time_since"],
        max_depth=2,
    )
    windows = [(1, "d"), (20, "d"), (5, "o")]
    return features + [
        aggregated(entities, name, "amount", window) for name in ("sum", "std", "last") for window in windows
    ]


KNOWN = {"transactions": "known"}


def scrambled(transactions: pd.DataFrame, is_later: Callable[[pd.Series], pd.Series], seed: int) -> pd.DataFrame:
    """Changes, deletes and adds rows, all of them later by their time or by the time at which they became known."""
    random = np.random.default_rng(seed)
    later = is_later(transactions["time"]) | is_later(transactions["known"].fillna(pd.Timestamp.max))
    hidden = transactions[later].sample(frac=0.7, random_state=seed)
    hidden["amount"] = random.normal(0, 1e6, len(hidden))
    hidden["kind"], hidden["flag"] = "z", True
    hidden["customer"] = random.permutation(hidden["customer"])
    by_time = is_later(hidden["time"])
    hidden.loc[by_time, "time"] += pd.to_timedelta(random.integers(0, 10**7, by_time.sum()), "s")
    added = hidden.sample(frac=0.5, random_state=seed).assign(id=lambda rows: range(10**6, 10**6 + len(rows)))
    return pd.concat([added, hidden, transactions[~later]])


@pytest.mark.slow
@pytest.mark.parametrize("at_cutoff", BOTH)
def test_nothing_after_a_cutoff_changes_a_value(at_cutoff: AtCutoff) -> None:
    entities = history(800, 3)
    query = compile_features(entities, all_features(entities), at_cutoff=at_cutoff, known_at=KNOWN)
    tables, labels = arrow(entities), shop_labels(80)
    transactions = tables["transactions"].to_pandas()
    before = compute(query, tables, labels)

    for seed, cutoff in enumerate(sorted(labels["cutoff"].to_pandas())[5::15]):
        later = (lambda time, at=cutoff: time > at) if at_cutoff == "included" else (lambda time, at=cutoff: time >= at)
        table = pa.Table.from_pandas(scrambled(transactions, later, seed), preserve_index=False)
        after = compute(query, tables | {"transactions": table}, labels)

        unchanged = pa.compute.less_equal(labels["cutoff"], pa.scalar(cutoff, labels["cutoff"].type))
        assert after.filter(unchanged).equals(before.filter(unchanged))
        assert not after.equals(before)


def test_what_became_known_later_counts_as_if_it_came_later() -> None:
    entities = history(400, 4)
    features = [aggregated(entities, name, "amount") for name in ("sum", "count", "max") if name != "count"]
    labels = shop_labels(40)
    tables = arrow(entities)
    values = compute(
        compile_features(entities, features, at_cutoff="included", known_at=KNOWN), tables, labels
    ).to_pandas()
    transactions = tables["transactions"].to_pandas()
    joined = entities["customers"].set_index("customer")["joined"]

    for row in values.to_dict("records"):
        seen = transactions[
            (transactions["customer"] == row["instance"])
            & (transactions["time"] <= row["cutoff"])
            & (transactions["known"] <= row["cutoff"])
        ]
        is_known = row["instance"] in joined and joined[row["instance"]] <= row["cutoff"]
        assert row["SUM(transactions.amount)"] == pytest.approx(seen["amount"].sum() if is_known else 0)
        expected = seen["amount"].max() if is_known else np.nan
        assert row["MAX(transactions.amount)"] == pytest.approx(expected, nan_ok=True)


@pytest.mark.slow
def test_a_row_does_not_depend_on_the_others_or_on_threads() -> None:
    entities = history(20_000, 5)
    query = compile_features(entities, all_features(entities), at_cutoff="excluded", known_at=KNOWN)
    tables = arrow(entities)
    labels = pa.concat_tables([shop_labels(60), shop_labels(20)])  # some (instance, cutoff) occur twice

    together = compute(query, tables, labels, threads=1)

    assert compute(query, tables, labels, threads=2).equals(together)
    shuffled = tables["transactions"].take(np.random.default_rng(0).permutation(20_000))
    assert compute(query, tables | {"transactions": shuffled}, labels, threads=2).equals(together)
    for row in range(0, 80, 8):
        alone = compute(query, tables, labels.slice(row, 1), threads=2)
        assert alone.drop_columns("row").equals(together.slice(row, 1).drop_columns("row"))


def test_tables_may_be_relations_over_parquet_files(tmp_path) -> None:
    entities = history(2_000, 6)
    query = compile_features(entities, all_features(entities), at_cutoff="excluded", known_at=KNOWN)
    tables = arrow(entities)
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")

    read = {name: duckdb.read_parquet(str(tmp_path / f"{name}.parquet")) for name in tables}

    labels = shop_labels(30)
    assert compute(query, read, labels, memory_limit="300MB").equals(compute(query, tables, labels))


@pytest.mark.slow
def test_what_does_not_fit_the_memory_is_computed_in_parts_with_the_same_values() -> None:
    entities = history(10_000, 7)
    query = compile_features(entities, all_features(entities), at_cutoff="excluded", known_at=KNOWN)
    tables, labels = arrow(entities), shop_labels(300)

    assert compute(query, tables, labels, memory_limit="80MB", threads=1).equals(compute(query, tables, labels))
    with pytest.raises(FeatureSqlError, match="raise memory_limit"):
        compute(query, tables, labels.slice(0, 4), memory_limit="5MB", threads=1)


def test_times_with_a_zone_are_taken_as_utc() -> None:
    entities = shop()
    query = compile_features(entities, [aggregated(entities, "sum", "amount", (1, "d"))], at_cutoff="included")
    tables, labels = arrow(entities), shop_labels(20)

    def zoned(table: pa.Table, column: str) -> pa.Table:
        times = table[column].cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", "America/New_York"))
        return table.set_column(table.column_names.index(column), column, times)

    moved = tables | {"transactions": zoned(tables["transactions"], "time")}
    name = query.names[0]
    assert compute(query, moved, zoned(labels, "cutoff"))[name].equals(compute(query, tables, labels)[name])


def test_no_labels_give_the_columns_and_no_row() -> None:
    entities = shop()
    query = compile_features(entities, [aggregated(entities, "mean", "amount")], at_cutoff="included")

    empty = compute(query, arrow(entities), shop_labels(3).slice(0, 0))

    assert empty.num_rows == 0
    assert empty.column_names == ["row", "instance", "cutoff", "MEAN(transactions.amount)"]


class Count(ft.primitives.base.AggregationPrimitive):
    """Another primitive of a name that featuretools has, too."""

    name = "count"
    input_types = P.Count.input_types
    return_type = P.Count.return_type


def refused(entities: ft.EntitySet) -> dict[str, Any]:
    frame = entities["transactions"].ww
    amount, time, kind = (ft.Feature(frame[column]) for column in ("amount", "time", "kind"))
    return {
        "cum_sum": ft.Feature(amount, groupby=kind, primitive=P.CumSum),
        "diff": ft.Feature(amount, primitive=P.Diff),
        "lag": ft.Feature([time, amount], primitive=P.NumericLag),
        "percentile": ft.Feature(amount, primitive=P.Percentile),
        "rolling_mean": ft.Feature([time, amount], primitive=P.RollingMean(3)),
        "kurtosis": ft.Feature(amount, parent_dataframe_name="customers", primitive=P.Kurtosis),
        "count": ft.Feature(ft.Feature(frame["id"]), parent_dataframe_name="customers", primitive=Count),
        "no SQL here": ft.Feature(amount, primitive=P.EqualScalar(object())),
    }


@pytest.mark.parametrize(
    "name", ["cum_sum", "diff", "lag", "percentile", "rolling_mean", "kurtosis", "count", "no SQL here"]
)
def test_a_primitive_without_sql_is_refused_with_feature_primitive_and_remedy(name: str) -> None:
    entities = shop()
    feature = refused(entities)[name]

    with pytest.raises(FeatureSqlError, match="leave them out") as error:
        compile_features(entities, [feature], at_cutoff="included")

    for word in (name, feature.get_name(), "aggregations with SQL: all, any", "transforms with SQL: absolute"):
        assert word in str(error.value)


def test_every_feature_without_sql_is_listed_also_below_others() -> None:
    entities = shop()
    fine = aggregated(entities, "sum", "amount")
    diff = refused(entities)["diff"]
    above = ft.Feature(diff, parent_dataframe_name="customers", primitive=P.Max)

    assert sorted(unsupported_features([fine, diff, above])) == ["DIFF(amount)", "MAX(transactions.DIFF(amount))"]


def test_features_must_have_one_target_and_different_names() -> None:
    entities = shop()
    fine = aggregated(entities, "sum", "amount")
    other = ft.Feature(entities["transactions"].ww["amount"])

    with pytest.raises(FeatureSqlError, match=r"targets: \['customers', 'transactions'\]"):
        compile_features(entities, [fine, other], at_cutoff="included")
    with pytest.raises(FeatureSqlError, match=r"names given twice: \['SUM"):
        compile_features(entities, [fine, fine], at_cutoff="included")
    with pytest.raises(FeatureSqlError, match=r"names not allowed: \['row'\]"):
        compile_features(entities, [fine.rename("row")], at_cutoff="included")


def test_what_does_not_fit_the_query_is_named() -> None:
    entities = shop()
    query = compile_features(entities, [aggregated(entities, "sum", "amount")], at_cutoff="included")
    tables, labels = arrow(entities), shop_labels(3)
    cutoff = labels["cutoff"].to_pandas()

    with pytest.raises(FeatureSqlError, match=r"known_at names \['visits'\]"):
        compile_features(
            entities, [aggregated(entities, "sum", "amount")], at_cutoff="included", known_at={"visits": "t"}
        )
    with pytest.raises(FeatureSqlError, match="the table 'transactions'; there are"):
        compute(query, {"customers": tables["customers"]}, labels)
    with pytest.raises(FeatureSqlError, match=r"\['amount'\] of table 'transactions'"):
        compute(query, tables | {"transactions": tables["transactions"].drop_columns("amount")}, labels)
    with pytest.raises(FeatureSqlError, match="need \\['instance', 'cutoff'\\]"):
        compute(query, tables, labels.drop_columns("cutoff"))
    with pytest.raises(FeatureSqlError, match="1 labels have no cutoff"):
        compute(query, tables, labels_of(["c1", "c2"], [cutoff[0], None]))
    with pytest.raises(FeatureSqlError, match="whole microseconds"):
        compute(query, tables, labels_of(["c1"], [cutoff[0] + pd.Timedelta(1, "ns")]))
    with pytest.raises(FeatureSqlError, match="an index is not unique"):
        compute(query, tables | {"customers": pa.concat_tables([tables["customers"]] * 2)}, labels)
