"""The features of one raw record, as the service computes them, beside the batch path asked for that one row.

`ratio` is the batch path's median over the service's; milliseconds, for random flights of December.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import make_examples
from ml.features.define import define_features
from ml.features.golden_requests import records
from ml.features.matrix import feature_matrix
from ml.features.online_state import online_state
from ml.tables.sources import load_table
from service.plan.reading import read_plan
from service.predict.features import FeatureBuilder, Inputs
from service.records.reader import RecordReader

ROOT = Path(__file__).resolve().parent.parent
BATCH_ROWS = 5


def main() -> None:
    """Print both sides and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    count = parser.parse_args().rows
    text = (ROOT / "configs" / "flight_delays" / "defs.yaml").read_text()
    spec = UseCaseSpec.model_validate(yaml.safe_load(text)["attributes"])
    tables = {
        name: load_table("flight_delays", name, table, spec.times_of(name)) for name, table in spec.tables.items()
    }
    definitions = define_features("flight_delays", spec, tables)
    examples = make_examples("flight_delays", spec, tables).to_pandas()
    december = examples[examples["cutoff"] >= pd.Timestamp("2013-12-01")]
    rows = december.sample(count, random_state=0).reset_index(drop=True)
    places = pd.Series(range(tables["flights"].num_rows), index=tables["flights"]["flight_id"].to_pylist())
    requests = records(spec, definitions, tables["flights"].take(places[rows["flight_id"]].to_numpy()), rows)
    with tempfile.TemporaryDirectory() as folder:
        files = online_state("flight_delays", spec, definitions, tables, december["cutoff"])
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        plan = read_plan(files["plan.json"])
        builder = FeatureBuilder(plan, Inputs(definitions.numeric, definitions.categorical), Path(folder))
    reader, keys = RecordReader(plan), rows[["flight_id", "cutoff"]]
    sides = {
        "service": timed(lambda row: builder.build(reader.read([requests[row]])), count),
        "batch": timed(lambda row: feature_matrix(spec, definitions, tables, keys.iloc[[row]]), BATCH_ROWS),
    }
    sides["service"]["bundle_mb"] = round(sum(map(len, files.values())) / 1e6, 2)
    for name, side in sides.items():
        print(f"{name:<8} {side}")
    ratio = round(sides["batch"]["median_ms"] / sides["service"]["median_ms"])
    print(json.dumps({"name": "features of one row of flight_delays", "ratio": ratio, "sides": sides}))


def timed(features: Callable[[int], object], rows: int) -> dict[str, float]:
    """Return the median and 99th percentile of some rows, each asked alone, after one that warms up."""
    features(0)
    taken = []
    for row in range(rows):
        started = time.perf_counter()
        features(row)
        taken.append((time.perf_counter() - started) * 1e3)
    return {"median_ms": round(float(np.median(taken)), 3), "p99_ms": round(float(np.quantile(taken, 0.99)), 3)}


if __name__ == "__main__":
    main()
