"""Deep feature synthesis as declared: known answers, featuretools' own answers, and nothing from after the cutoff."""

from pathlib import Path
from typing import Any

import featuretools as ft
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.features.define import define_features
from ml.features.leaks import leaking, scramble
from ml.features.matrix import feature_matrix
from ml.features.synthesis_query import query_of
from ml.tables.sources import load_table

pytestmark = pytest.mark.filterwarnings("ignore")

START = pd.Timestamp("2024-01-01")


def _frames() -> dict[str, pd.DataFrame]:
    random = np.random.default_rng(0)
    ordered = START + pd.to_timedelta(np.sort(random.integers(0, 90 * 1440, 500)), "min")
    status = random.choice(["paid", "returned", "lost"], 500)
    return {
        "customers": pd.DataFrame(
            {"id": range(20), "age": random.integers(18, 80, 20), "city": random.choice(["x", "y"], 20)}
        ),
        "orders": pd.DataFrame(
            {
                "order_id": range(500),
                "customer": random.integers(0, 20, 500),
                "at": ordered,
                "status": status,
                "gift": random.random(500) < 0.3,
                "rated_at": ordered + pd.to_timedelta(random.integers(1, 5000, 500), "min"),
                "stars": random.integers(1, 6, 500),
            }
        ),
        "items": pd.DataFrame(
            {
                "item_id": range(1200),
                "order_id": random.integers(0, 500, 1200),
                "product": random.choice(["p", "q", "r"], 1200),
                "price": random.exponential(20, 1200),
            }
        ),
        "products": pd.DataFrame({"product": ["p", "q", "r"], "weight": [1.0, 2.0, 4.0]}),
    }


def declared(folder: Path) -> dict[str, Any]:
    for name, frame in _frames().items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    source = {name: {"path": str(folder / f"{name}.csv")} for name in _frames()}
    return {
        "description": "Leaves?",
        "tables": {
            "customers": {"source": source["customers"], "key": "id", "computed": {"old": "age > 60"}},
            "orders": {
                "source": source["orders"], "key": "order_id", "time": "at", "known_at": {"rated_at": ["stars"]},
                "interesting_values": {"status": ["returned", "paid"]},
            },
            "items": {"source": source["items"], "key": "item_id"},
            "products": {"source": source["products"], "key": "product"},
        },
        "relationships": [
            "orders.customer -> customers.id", "items.order_id -> orders.order_id",
            "items.product -> products.product",
        ],
        "examples": {
            "table": "customers",
            "query": "select id, timestamp '2024-01-10' + interval (n) days as cutoff, (id + n) % 2 = 0 as target "
            "from customers, range(1, 70, 7) as days(n)",
            "split": {"train_until": "2024-02-01", "validate_until": "2024-03-01"},
        },
        "features": {
            "synthesis": {
                "depth": 3,
                "aggregations": ["count", "sum", "mean", "max", "num_unique", "mode", "percent_true"],
                "where": ["count", "mean"],
                "windows": ["30d"],
            }
        },
        "models": {"logistic": {}},
    }  # fmt: skip


def case(declaration: dict[str, Any]) -> tuple[UseCaseSpec, dict[str, pa.Table]]:
    spec = UseCaseSpec.model_validate(declaration)
    return spec, {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}


def asked_rows() -> pd.DataFrame:
    """Every customer at several times, some of them those of an order."""
    orders = _frames()["orders"]["at"]
    cutoffs = [orders.iloc[50], orders.iloc[200], START + pd.Timedelta("45D"), orders.max()]
    return pd.DataFrame([(key, cutoff) for cutoff in cutoffs for key in range(20)], columns=["id", "cutoff"])


@pytest.fixture
def declaration(tmp_path: Path) -> dict[str, Any]:
    return declared(tmp_path)


def with_details(declaration: dict[str, Any], link: str, key: str, frame: pd.DataFrame, folder: Path) -> None:
    frame.to_csv(folder / "details.csv", index=False)
    declaration["tables"]["details"] = {"source": {"path": str(folder / "details.csv")}, "key": key}
    declaration["relationships"] = [*declaration["relationships"], link]


def test_a_row_that_is_found_by_the_own_key_of_an_example_is_looked_up(
    declaration: dict[str, Any], tmp_path: Path
) -> None:
    scores = pd.DataFrame({"customer": range(19), "score": np.arange(19) * 1.5})
    with_details(declaration, "customers.id -> details.customer", "customer", scores, tmp_path)
    spec, tables = case(declaration)

    matrix = feature_matrix(spec, define_features("shop", spec, tables), tables, asked_rows())

    assert matrix["details.score"].equals(matrix["id"].map(scores["score"]).rename("details.score"))
    assert "COUNT(orders)" in matrix
    assert not [name for name in matrix if "(details" in name]


@pytest.mark.parametrize(
    ("link", "key", "remedy"),
    [
        ("details.id -> customers.id", "id", r"write customers.id -> details.id, and it is looked up"),
        ("details.product -> products.product", "product", "make one table of both at their source"),
    ],
)
def test_of_one_row_nothing_is_aggregated_and_what_to_write_is_said(
    declaration: dict[str, Any], tmp_path: Path, link: str, key: str, remedy: str
) -> None:
    frame = pd.DataFrame({"id": range(20), "more": range(20)} if key == "id" else {"product": list("pqr"), "more": 1})
    with_details(declaration, link, key, frame.assign(at=START), tmp_path)
    declaration["tables"]["details"]["time"] = "at"
    spec, tables = case(declaration)

    with pytest.raises(DataError, match=f"at most, of which features.synthesis aggregates nothing; {remedy}"):
        define_features("shop", spec, tables)


def test_a_trend_over_a_window_of_all_of_the_past_is_that_of_all_of_it(declaration: dict[str, Any]) -> None:
    declaration["features"]["synthesis"] = {"aggregations": ["trend"], "depth": 1, "windows": ["9d", "999d"]}
    spec, tables = case(declaration)

    matrix = feature_matrix(spec, define_features("shop", spec, tables), tables, asked_rows())

    name = "TREND(orders_rated_at.stars, rated_at{})"
    of_all, recent = matrix[name.format("")], matrix[name.format(", Last 9 Days")]
    assert of_all.notna().any()
    np.testing.assert_array_equal(matrix[name.format(", Last 999 Days")], of_all)
    assert (recent.notna() & (recent != of_all)).any()


def test_values_equal_a_plain_loop(declaration: dict[str, Any]) -> None:
    spec, tables = case(declaration)
    frames = {name: table.to_pandas() for name, table in tables.items()}

    matrix = feature_matrix(spec, define_features("shop", spec, tables), tables, asked_rows())

    for row in matrix.to_dict("records"):
        of_customer = frames["orders"][frames["orders"]["customer"] == row["id"]]
        orders = of_customer[of_customer["at"] < row["cutoff"]]
        items = frames["items"][frames["items"]["order_id"].isin(orders["order_id"])].merge(frames["products"])
        recent = orders[orders["at"] >= row["cutoff"] - pd.Timedelta("30D")]
        rated = of_customer[of_customer["rated_at"] < row["cutoff"]]
        expected = {
            "COUNT(orders)": len(orders),
            "COUNT(orders, Last 30 Days)": len(recent),
            "COUNT(orders WHERE status = returned)": (orders["status"] == "returned").sum(),
            "PERCENT_TRUE(orders.gift)": orders["gift"].mean(),
            "MEAN(orders_rated_at.stars)": rated["stars"].mean(),
            "SUM(items.price)": items["price"].sum(),
            "MEAN(orders.SUM(items.price))": (
                items.groupby("order_id")["price"].sum().reindex(orders["order_id"], fill_value=0).mean()
            ),
            "MAX(items.products.weight)": items["weight"].max(),
            "old": float(row["age"] > 60),
        }
        computed = {name: row[name] for name in expected}
        assert computed == pytest.approx(expected, nan_ok=True), row["id"]


@pytest.mark.slow
def test_every_value_equals_what_featuretools_computes(declaration: dict[str, Any]) -> None:
    spec, tables = case(declaration)
    definitions = define_features("shop", spec, tables)
    rows = asked_rows().assign(cutoff=lambda frame: frame["cutoff"] - pd.Timedelta("1us"))  # featuretools' is inclusive
    matrix = feature_matrix(spec, definitions, tables, asked_rows())
    assert definitions.synthesis is not None
    features = ft.load_features(definitions.synthesis.definitions)
    entities = ft.EntitySet("shop")
    for name, view in {"customers": None, **definitions.synthesis.views}.items():
        frame = tables[view.table if view else name].to_pandas()
        if view:
            frame = frame[list(view.columns)].assign(**{c: frame[c].astype(str) for c in frame if c == "product"})
        frame["gift"] = frame["gift"].astype("boolean") if "gift" in frame else None
        entities.add_dataframe(
            dataframe_name=name, dataframe=frame.dropna(axis=1, how="all"), index=view.key if view else "id",
            time_index=view.time if view else None,
        )  # fmt: skip
    for child, column, parent, key in [
        ("orders", "customer", "customers", "id"), ("orders_rated_at", "customer", "customers", "id"),
        ("items", "order_id", "orders", "order_id"), ("items", "product", "products", "product"),
    ]:  # fmt: skip
        entities.add_relationship(parent, key, child, column)

    expected = ft.calculate_feature_matrix(features, entities, cutoff_time=rows.rename(columns={"cutoff": "time"}))

    assert not [name for name in matrix if "customer)" in name]  # whose row it is, is no feature
    compared = [name for name in expected if name in matrix and pd.api.types.is_numeric_dtype(matrix[name])]
    assert len(compared) > 40
    for name in compared:
        values = pd.to_numeric(expected[name]).to_numpy(dtype=float, na_value=np.nan)
        np.testing.assert_allclose(matrix[name], values, rtol=1e-9, err_msg=name)


@pytest.mark.slow
def test_no_feature_tells_of_the_future_and_one_row_alone_gives_the_same(declaration: dict[str, Any]) -> None:
    spec, tables = case(declaration)
    definitions = define_features("shop", spec, tables)
    rows = asked_rows()
    matrix = feature_matrix(spec, definitions, tables, rows)

    assert leaking(spec, definitions, tables, rows) == {}
    for number in (3, 40, 77):
        alone = feature_matrix(spec, definitions, tables, rows.iloc[[number]].reset_index(drop=True))
        pd.testing.assert_frame_equal(alone, matrix.iloc[[number]].reset_index(drop=True), check_exact=True)


def test_a_seed_feature_is_made_of_the_record_that_is_asked(declaration: dict[str, Any]) -> None:
    spec, tables = case(declaration)
    definitions = define_features("shop", spec, tables).only({"old", "COUNT(orders)"})
    other = tables["customers"].set_column(1, "age", pa.array([99] * 20))
    rows = pd.DataFrame({"id": range(20), "cutoff": START + pd.Timedelta("30D")})

    matrix = feature_matrix(spec, definitions, tables, rows, other)

    assert set(matrix.columns) == {"id", "cutoff", "COUNT(orders)", "old"}
    assert query_of(spec, definitions).columns.keys() == {"orders"}
    assert set(matrix["old"]) == {1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": {"synthesis": {"aggregations": ["average"]}}}, r"\['average'\] are no primitives that have SQL"),
        ({"features": {"synthesis": None}}, "declare features.synthesis, which follows it, or leave it out"),
        ({"relationships": ["items.product -> products.product"]}, "needs tables.items.time, or its rows are seen"),
        (
            {"relationships": ["orders.customer -> customers.id", "customers.id -> orders.order_id"]},
            "relationships form a cycle: customers -> orders -> customers|orders -> customers -> orders",
        ),
        ({"relationships": ["orders.customer -> customers.age"]}, r"must end at the key \['id'\] of 'customers'"),
    ],
)
def test_a_wrong_declaration_is_refused(change: dict[str, Any], message: str, declaration: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=message):
        UseCaseSpec.model_validate(declaration | change)


@pytest.mark.parametrize(
    ("synthesis", "features", "message"),
    [
        ({"aggregations": ["count", "trend"], "transforms": ["hour"]}, {}, r"fit no column .*hour"),
        ({"depth": 2, "transforms": ["divide_numeric", "add_numeric"]}, {"at_most": 200}, r"\d+ features, .* come of"),
        ({}, {"only": ["SUM(*", "nothing*"]}, r"features.only names \['nothing\*'\], which are no features"),
    ],
)  # fmt: skip
def test_what_fits_no_data_is_refused(
    synthesis: dict[str, Any], features: dict[str, Any], message: str, declaration: dict[str, Any]
) -> None:
    if "transforms" in synthesis and "hour" in synthesis["transforms"]:
        declaration["tables"]["orders"]["known_at"] = {}
        declaration["tables"]["orders"]["ignore"] = ["rated_at", "at"]
    spec, tables = case(declaration | {"features": {"synthesis": synthesis, **features}})

    with pytest.raises(DataError, match=message):
        define_features("shop", spec, tables)


def test_patterns_choose_the_features(declaration: dict[str, Any]) -> None:
    declaration["features"] |= {"only": ["COUNT(*", "age"], "ignore": ["*WHERE*"]}
    spec, tables = case(declaration)

    names = [feature.name for feature in define_features("shop", spec, tables).features]

    assert {"age", "COUNT(orders)", "COUNT(orders, Last 30 Days)", "COUNT(items)"} <= set(names)
    assert all(name == "age" or (name.startswith("COUNT(") and "WHERE" not in name) for name in names)


def test_a_row_known_after_a_delay_counts_from_then_on(declaration: dict[str, Any]) -> None:
    declaration["tables"]["orders"]["known_at"] = "2d"
    declaration["features"]["synthesis"] |= {"aggregations": ["count"], "where": [], "windows": []}
    spec, tables = case(declaration)
    orders = tables["orders"].to_pandas()

    matrix = feature_matrix(spec, define_features("shop", spec, tables), tables, asked_rows())

    for row in matrix.to_dict("records"):
        mine = orders[(orders["customer"] == row["id"]) & (orders["at"] + pd.Timedelta("2D") < row["cutoff"])]
        assert row["COUNT(orders)"] == len(mine)
    assert "at+2d" in tables["orders"].column_names
    assert scramble(spec, tables, START)["orders"].num_rows == 0
