"""A Parquet file into a snapshot, and into a matrix of the same columns, beside an earlier commit and DuckDB's COPY.

The snapshot is what the asset `raw/<table>` makes of the file: read, checked, described, audited, hashed and stored.
The matrix is what follows: the snapshot loaded, examples, definitions, values, hashed and stored. Each step is a
process of its own. `ratio` is the processor time of both over that of the earlier commit. `copy_ratio` is that of the
reading alone, from the file to a checked Parquet file, over that of DuckDB's `COPY` of the file; `snapshot_ratio` is
that of all that makes the snapshot. `peak_gb` is the largest resident memory of a step.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from demo import ROOT, worktree

BEFORE = "86cca8aee62b2c9e5a1f8183bd504898bc60e420"  # tables came in through pandas
PART = 1_000_000  # rows that are generated at once

STEP = """
import json, resource, sys, time
from pathlib import Path
from tempfile import TemporaryDirectory

step, path, home = sys.argv[1:]
started = time.perf_counter()
DECLARED = {
    "description": "a benchmark", "models": {"lightgbm": {}},
    "tables": {"t": {"source": {"path": path}, "key": "id", "time": "at"}},
    "examples": {
        "table": "t", "cutoff": "at", "target": "y",
        "split": {"train_until": "2021-06-01", "validate_until": "2022-06-01"},
    },
}
if step == "copy":
    import duckdb
    clock, processor = time.perf_counter(), time.process_time()
    reading = None
    duckdb.sql(f"copy (from '{path}') to '{home}/copy.parquet' (format parquet)")
else:
    import pandas, duckdb, featuretools
    from ml.declaration.use_case import UseCaseSpec
    from ml.examples.build import make_examples
    from ml.features.define import define_features
    from ml.features.matrix import feature_matrix
    from ml.tables import sources
    from ml.tables.audit import audit_table
    from ml.tables.statistics import statistics
    from resources.storage import Storage, Stored
    from dataclasses import asdict
    storage, spec = Storage(url=f"{home}/storage"), UseCaseSpec.model_validate(DECLARED)
    note = Path(home) / "stored.json"
    clock, processor = time.perf_counter(), time.process_time()
    reading = None
    if step == "snapshot":
        with TemporaryDirectory(dir=home) as folder:
            if hasattr(sources, "write_table"):
                table = sources.write_table("case", "t", spec.tables["t"], spec.times_of("t"), Path(folder))
            else:
                table = sources.load_table("case", "t", spec.tables["t"], spec.times_of("t"))
            reading = time.process_time() - processor
            statistics(table), audit_table(table, spec.tables["t"])
            note.write_text(json.dumps(asdict(storage.save("t", table))))
    else:
        tables = {"t": storage.load(Stored(**json.loads(note.read_text())))}
        examples = make_examples("case", spec, tables)
        definitions = define_features("case", spec, tables)
        storage.save("m", feature_matrix(spec, definitions, tables, examples.to_pandas()))
print(json.dumps({
    "seconds": round(time.perf_counter() - clock, 1), "processor_s": round(time.process_time() - processor, 1),
    "reading_s": reading and round(reading, 1),
    "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
}))
"""


def main() -> None:
    """Print all steps and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--before", default=BEFORE, help="the earlier commit; an empty text leaves that side out")
    parser.add_argument("--steps", nargs="*", default=["snapshot", "matrix"], choices=["snapshot", "matrix"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        generate(file, arguments.rows)
        sides = {"copy": {"copy": measured("copy", file, ROOT, folder)}, "now": steps(arguments.steps, file, ROOT)}
        if arguments.before:
            with worktree(arguments.before) as earlier:
                sides["before"] = steps(arguments.steps, file, earlier)
        size = round(file.stat().st_size / 1e6)
    seconds = {side: sum(step["processor_s"] for step in taken.values()) for side, taken in sides.items()}
    ratios = {"ratio": round(seconds["now"] / seconds["before"], 3) if arguments.before else None}
    if snapshot := sides["now"].get("snapshot"):
        ratios["copy_ratio"] = round(snapshot["reading_s"] / seconds["copy"], 2)
        ratios["snapshot_ratio"] = round(snapshot["processor_s"] / seconds["copy"], 2)
    name = f"reading of {arguments.rows:,} rows, {size} MB"
    print(json.dumps({"name": name, **ratios, "sides": sides}))


def generate(path: Path, rows: int) -> None:
    """Write a file of 25 columns: a key, two times, seven numbers, five counts with gaps, nine texts, a label."""
    random = np.random.default_rng(0)
    kinds = [np.array([f"value {number}" for number in range(count)]) for count in (5, 20, 50, 200, 1000, 5000)]
    start, step = np.datetime64("2020-01-01", "us"), 3 * 365 * 86_400 * 10**6 // max(rows, 1)
    writer = None
    for first in range(0, rows, PART):
        n = min(PART, rows - first)
        key = np.arange(first, first + n)
        at = start + (key * step).astype("timedelta64[us]")
        columns = {"id": key, "at": at, "seen": at - random.integers(0, 10**6, n).astype("timedelta64[s]")}
        columns |= {f"number_{i}": random.normal(100, 30, n).round(2) for i in range(7)}
        columns |= {
            f"count_{i}": pa.array(random.integers(0, 10**4, n), mask=random.random(n) < 0.05) for i in range(5)
        }
        columns |= {f"kind_{i}": texts[random.integers(0, len(texts), n)] for i, texts in enumerate(kinds)}
        columns |= {f"code_{i}": pa.array(random.integers(0, 10**6, n)).cast(pa.string()) for i in range(2)}
        columns["note"] = pc.binary_join_element_wise("order", columns["code_0"], columns["code_1"], " ")
        table = pa.table({**columns, "y": random.random(n) < 0.5})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def steps(names: list[str], file: Path, project: Path) -> dict[str, dict[str, float]]:
    """Measure steps, one after the other, in one storage."""
    with tempfile.TemporaryDirectory() as home:
        return {name: measured(name, file, project, home) for name in names}


def measured(step: str, file: Path, project: Path, home: str) -> dict[str, float]:
    """Return seconds, processor seconds and peak gigabytes of one step, without its imports."""
    command = [sys.executable, "-W", "ignore", "-c", STEP, step, str(file), home]
    environment = os.environ | {"PYTHONPATH": str(project), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, env=environment, cwd=project, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{project.name:<12} {step:<10} {figures}", flush=True)
    return figures


if __name__ == "__main__":
    main()
