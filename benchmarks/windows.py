"""Windows over the past: against hand-written Polars on dense snapshots, and their growth with the number of rows.

Dense snapshots: every key is asked about at many times (5 million events, 1.2 million rows). Both sides compute, for
two windows, count, sum and mean, and the time since the last event; their values are compared. Growth: the feature
matrix of flight_delays for one, two, four and eight times as many rows and events (copies with keys of their own).
`ratio` is Polars' time on the clock over Sextant's; `growth` is how much the processor's time per row grew from the
fewest rows to the most (on the clock it depends on what else the machine does).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

ROOT = Path(__file__).resolve().parent.parent
DAYS = {"week": 7, "month": 30}
TIMES = (1, 2, 4, 8)


def main() -> None:
    """Print every side and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--part", choices=["sextant", "polars", *map(str, TIMES)], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        part(arguments.part, arguments.events, arguments.rows)
        return
    dense = {name: measured(name, arguments.events, arguments.rows) for name in ("sextant", "polars")}
    if not np.allclose(dense["sextant"].pop("check"), dense["polars"].pop("check"), rtol=1e-9, equal_nan=True):
        raise SystemExit("the two sides differ in their values")
    growth = {f"{times} times": measured(str(times), 0, 0) for times in TIMES}
    for name, side in {**dense, **growth}.items():
        taken = f"{side['seconds']:7.1f} s, {side['processor_s']:7.1f} s of a processor, {side['peak_gb']:6.2f} GB"
        print(f"{name:<10} {side['rows']:>10,} rows {taken}", flush=True)
    per_row = [side["processor_s"] / side["rows"] for side in growth.values()]
    result = {
        "name": "windows",
        "ratio": round(dense["polars"]["seconds"] / dense["sextant"]["seconds"], 2),
        "growth": round(per_row[-1] / per_row[0], 2),
        "sides": dense | growth,
    }
    print(json.dumps(result))


def measured(name: str, events: int, rows: int) -> dict:
    """Run a side in a process of its own and return its figures."""
    command = [sys.executable, __file__, "--part", name, "--events", str(events), "--rows", str(rows)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def part(name: str, events: int, rows: int) -> None:
    """Run a side and print its figures as JSON."""
    if name in ("sextant", "polars"):
        tables = PREPARED[name](*snapshots(events, rows))
        started, busy = time.perf_counter(), time.process_time()
        features = {"sextant": sextant, "polars": polars}[name](*tables)
        about = {"check": np.nansum(features, axis=0).tolist(), "rows": len(features)}
    else:
        inputs = flights(int(name))
        started, busy = time.perf_counter(), time.process_time()
        about = {"rows": flight_windows(*inputs)}
    taken = {"seconds": time.perf_counter() - started, "processor_s": time.process_time() - busy}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    figures = {name: round(figure, 2) for name, figure in {**taken, "peak_gb": peak}.items()}
    print(json.dumps({**figures, **about}))


def snapshots(events: int, rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw orders of some customers over two years, and every customer at regular times."""
    random, customers = np.random.default_rng(0), rows // 60
    start, year = pd.Timestamp("2023-01-01"), 365 * 86_400
    orders = pd.DataFrame(
        {
            "customer": random.integers(0, customers, events),
            "at": start + pd.to_timedelta(random.integers(0, 2 * year, events), unit="s"),
            "amount": random.integers(1, 100_000, events) / 100,
        }
    )
    questions = pd.MultiIndex.from_product(
        [range(customers), pd.date_range(start + pd.Timedelta("60D"), periods=60, freq="10D")],
        names=["customer", "cutoff"],
    ).to_frame(index=False)
    questions["cutoff"] = questions["cutoff"].astype("datetime64[us]")
    return orders.assign(at=orders["at"].astype("datetime64[us]")), questions


def arrow(orders: pd.DataFrame, rows: pd.DataFrame) -> tuple[pa.Table, pa.Table]:
    """Return both tables as `events_of` gives events: named, with whole numbers."""
    events = orders.assign(_row=orders.index.astype(str), amount=(orders["amount"] * 100).round().astype("int64"))
    return tuple(pa.Table.from_pandas(table, preserve_index=False) for table in (events, rows))


def frames(orders: pd.DataFrame, rows: pd.DataFrame) -> tuple:
    """Return both tables as Polars has them."""
    import polars as pl

    return pl.from_pandas(orders), pl.from_pandas(rows)


PREPARED = {"sextant": arrow, "polars": frames}


def sextant(events: pa.Table, rows: pa.Table) -> np.ndarray:
    """Compute the windows as Sextant does, [n_rows, n_features]."""
    from ml.windows.window import Window, windows

    wanted = [
        Window(f"{name} {aggregation}", aggregation, None if aggregation == "count" else "amount", days * 86_400)
        for name, days in DAYS.items()
        for aggregation in ("count", "sum", "mean")
    ]
    wanted.append(Window("since", "time_since_last", None, None))
    return windows(events, rows, ["customer"], "at", {"amount": 2}, wanted).to_pandas().to_numpy()


def polars(orders: Any, rows: Any) -> np.ndarray:
    """Compute the same by hand: running totals and joins as of the cutoff and of each window's start."""
    import polars as pl

    events = orders.sort("at")
    totals = events.with_columns(
        n=pl.col("at").cum_count().over("customer"), total=pl.col("amount").cum_sum().over("customer")
    ).select("customer", "at", "n", "total")
    rows = rows.with_row_index("row")

    def as_of(shift: str, name: str) -> pl.DataFrame:
        when = rows.with_columns(when=pl.col("cutoff").dt.offset_by(shift) - pl.duration(microseconds=1)).sort("when")
        joined = when.join_asof(totals, left_on="when", right_on="at", by="customer", strategy="backward")
        return joined.sort("row").select(
            pl.col("n").fill_null(0).alias(f"n {name}"),
            pl.col("total").fill_null(0.0).alias(f"total {name}"),
            pl.col("at").alias(f"at {name}"),
        )

    now = as_of("0d", "now")
    columns = []
    for name, days in DAYS.items():
        before = as_of(f"-{days}d", name)
        n = now["n now"].cast(pl.Int64) - before[f"n {name}"].cast(pl.Int64)
        total = now["total now"] - before[f"total {name}"]
        mean = (
            pl.DataFrame({"n": n, "total": total})
            .select(pl.when(pl.col("n") > 0).then(pl.col("total") / pl.col("n")))
            .to_series()
        )
        columns += [n.to_numpy(), total.to_numpy(), mean.to_numpy()]
    since = (rows["cutoff"] - now["at now"]).dt.total_microseconds() / 1e6
    return np.column_stack([*columns, since.to_numpy()])


def flights(times: int) -> tuple:
    """Return the tables, declaration and examples of flight_delays, so many times over."""
    import yaml

    from ml.declaration.use_case import UseCaseSpec
    from ml.examples.build import make_examples
    from ml.features.define import define_features
    from ml.tables.sources import load_table

    text = (ROOT / "configs" / "flight_delays" / "defs.yaml").read_text()
    spec = UseCaseSpec.model_validate(yaml.safe_load(text)["attributes"])
    tables = {
        name: load_table("flight_delays", name, table, spec.times_of(name)) for name, table in spec.tables.items()
    }
    one = tables["flights"].to_pandas()
    texts = ["origin", "dest", "carrier", "tailnum"]
    copies = [
        one.assign(flight_id=one["flight_id"] + copy * 10**7, **{name: one[name] + str(copy) for name in texts if copy})
        for copy in range(times)
    ]
    tables["flights"] = pa.Table.from_pandas(pd.concat(copies), preserve_index=False)
    examples = make_examples("flight_delays", spec, tables).to_pandas()
    return spec, define_features("flight_delays", spec, tables), tables, examples


def flight_windows(spec: object, definitions: object, tables: object, examples: object) -> int:
    """Compute the whole feature matrix and return the number of its rows."""
    from ml.features.matrix import feature_matrix

    return len(feature_matrix(spec, definitions, tables, examples))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
