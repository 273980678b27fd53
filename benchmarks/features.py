"""Features of rows with a cutoff each: featuretools beside the compiler to SQL, in seconds on the clock.

The data are 500,000 transactions of 5,000 customers with 100 products. featuretools computes one cutoff after another,
so its time grows in proportion to their number: it is measured on `--reference-cutoffs` of them, drawn at random, and
scaled linearly to all. The compiler computes all of them; the values are compared on the sample. The sides run by
turns, and the fastest of five runs counts. A side's seconds are all that lie between the tables and the matrix: for the
compiler, to compile, to open a database, to plan and to run the query. All but the run take 0.02 to 0.03 s, however
many cutoffs there are.

`ratio` is featuretools' time over the compiler's, the lowest of all settings; `sides` has each of them.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import featuretools as ft
import numpy as np
import pandas as pd
import pyarrow as pa

from ml.compiler.compile import compile_features, compute

PRIMITIVES = {
    "simple": ["count", "sum", "mean", "max", "min", "std", "num_unique", "percent_true"],
    "costly": [
        "skew", "mode", "trend", "last", "first", "time_since_last", "avg_time_between", "n_most_common", "entropy",
    ],
}  # fmt: skip
START = pd.Timestamp("2024-01-01 00:00:01")
ROUNDS = 5


def main() -> None:
    """Print every setting and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", type=int, default=500_000)
    parser.add_argument("--cutoffs", type=int, nargs="+", default=[1_000, 5_000])
    parser.add_argument("--reference-cutoffs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    entities = entity_set(arguments.transactions)
    tables = {
        frame.ww.name: pa.Table.from_pandas(pd.DataFrame(frame), preserve_index=False) for frame in entities.dataframes
    }
    sides = {}
    for kind in PRIMITIVES:
        features = definitions(entities, kind)
        for cutoffs in arguments.cutoffs:
            name = f"{kind}, {cutoffs} cutoffs"
            side = compared(entities, tables, features, cutoffs, arguments.reference_cutoffs, arguments.threads)
            sides[name] = side
            print(
                f"{name}, {len(features)} features: featuretools {side['featuretools']:.0f} s (scaled from "
                f"{arguments.reference_cutoffs} cutoffs), SQL {side['sql']:.3f} s, ratio {side['ratio']:.0f}",
                flush=True,
            )
    ratio = min(side["ratio"] for side in sides.values())
    print(json.dumps({"name": "features", "ratio": ratio, "sides": sides}))


def entity_set(transactions: int) -> ft.EntitySet:
    """Draw customers, products and transactions of one year; times end in odd seconds (see `compare`)."""
    random = np.random.default_rng(0)
    customers, products = transactions // 100, 100
    frames = {
        "customers": {"customer_id": np.arange(customers), "city": random.choice(["a", "b", "c"], customers)},
        "products": {"product_id": np.arange(products), "price": random.exponential(20, products)},
        "transactions": {
            "transaction_id": np.arange(transactions),
            "customer_id": random.integers(0, customers, transactions),
            "product_id": random.integers(0, products, transactions),
            "time": START + pd.to_timedelta(2 * np.sort(random.integers(0, 365 * 43_200, transactions)), "s"),
            "amount": random.exponential(50, transactions),
            "is_card": random.random(transactions) < 0.4,
            "channel": random.choice(["web", "shop", "phone", "partner"], transactions),
        },
    }
    types = {"channel": "Categorical", "city": "Categorical"}
    entities = ft.EntitySet("shop")
    for name, columns in frames.items():
        entities.add_dataframe(
            dataframe_name=name,
            dataframe=pd.DataFrame(columns),
            index=next(iter(columns)),
            time_index="time" if "time" in columns else None,
            logical_types={column: kind for column, kind in types.items() if column in columns},
        )
    entities.add_relationship("customers", "customer_id", "transactions", "customer_id")
    entities.add_relationship("products", "product_id", "transactions", "product_id")
    return entities


def definitions(entities: ft.EntitySet, kind: str) -> list[Any]:
    """Return deep feature synthesis of depth 2 for customers, so that a transaction has its product's price."""
    return sorted(
        ft.dfs(
            entityset=entities,
            target_dataframe_name="customers",
            agg_primitives=PRIMITIVES[kind],
            trans_primitives=[],
            max_depth=2,
            features_only=True,
        ),
        key=lambda feature: str(feature.get_name()),
    )


def compared(
    entities: ft.EntitySet, tables: dict[str, pa.Table], features: list[Any], cutoffs: int, sample: int, threads: int
) -> dict[str, float]:
    """Return the seconds of either side for all cutoffs, and their ratio; stops if a value differs."""
    random = np.random.default_rng(1)
    seconds = random.choice(365 * 43_200, cutoffs, replace=False)
    labels = pd.DataFrame(
        {
            "instance": random.integers(0, len(entities["customers"]), cutoffs),
            "cutoff": START + pd.to_timedelta(2 * seconds, "s"),
        }
    )
    arrow_labels = pa.Table.from_pandas(labels, preserve_index=False)
    drawn = labels.iloc[:sample].rename(columns={"instance": "customer_id", "cutoff": "time"})

    def by_sql(rows: pa.Table) -> pa.Table:
        return compute(compile_features(entities, features, at_cutoff="included"), tables, rows, threads=threads)

    def by_featuretools(rows: pd.DataFrame) -> pd.DataFrame:
        return ft.calculate_feature_matrix(features, entities, cutoff_time=rows)

    taken: dict[str, list[float]] = {"featuretools": [], "sql": []}
    for _ in range(ROUNDS):
        reference, seconds = timed(by_featuretools, drawn)
        taken["featuretools"].append(seconds * cutoffs / len(drawn))
        values, seconds = timed(by_sql, arrow_labels)
        taken["sql"].append(seconds)
    compare(reference, values.slice(0, sample).to_pandas())
    side = {name: round(min(runs), 3) for name, runs in taken.items()}
    return {**side, "ratio": round(side["featuretools"] / side["sql"])}


def timed(function: Callable[[Any], Any], rows: Any) -> tuple[Any, float]:
    """Return a function's result and the seconds that it took."""
    started = time.perf_counter()
    return function(rows), time.perf_counter() - started


def compare(reference: pd.DataFrame, values: pd.DataFrame) -> None:
    """Raise AssertionError if values differ.

    featuretools leaves the order of equally frequent values open, so N_MOST_COMMON is not compared; it takes TREND per
    second here, as all times are odd seconds, and the compiler takes it per day.
    """
    for name in reference:
        if name.startswith("N_MOST_COMMON"):
            continue
        scale = 86_400 if name.startswith("TREND") else 1
        expected, actual = reference[name].reset_index(drop=True), values[name]
        if pd.api.types.is_numeric_dtype(actual):
            np.testing.assert_allclose(
                actual.astype(float), expected.astype(float) * scale, rtol=1e-9, atol=1e-12, err_msg=name
            )
        else:
            assert (expected.astype(object).fillna("") == actual.astype(object).fillna("")).all(), name


if __name__ == "__main__":
    main()
