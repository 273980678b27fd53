"""New rows through `sextant score`, beside ONNX Runtime alone over the same matrix; each side in a process of its own.

`ratio` is the processor time of the one over that of the other; rows per second are by the processor's clock too, and
memory is the largest that the process ever had. Ten million rows take some minutes and 2 GB of a disk.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = [f"x{number}" for number in range(10)]
TEXTS = ["carrier", "origin"]
PIECE = 100_000  # rows that are generated at once
BATCH = 10_000  # rows that are answered at once, on both sides


def rows(count: int, seed: int = 0) -> Iterator[pa.Table]:
    """Yield so many rows in pieces: a key, ten numbers of which some are missing, two texts of which some are rare."""
    random = np.random.default_rng(seed)
    for start in range(0, count, PIECE):
        size = min(PIECE, count - start)
        columns: dict[str, Any] = {"id": np.arange(start, start + size)}
        for name in NUMBERS:
            missing = random.random(size) < 0.05
            columns[name] = pa.array(random.normal(size=size).round(4), mask=missing)
        for name in TEXTS:
            columns[name] = random.choice([f"{name} {number}" for number in range(20)], size)
        yield pa.table(columns)


def prepare(folder: Path, count: int, name: str) -> None:
    """Write the rows, and a bundle with a model of them."""
    from ml.exported.onnx import export
    from ml.models.catalogue import family
    from ml.models.family import Training
    from ml.tasks.encoding import Encoder
    from ml.tasks.task import BINARY

    frame = pd.concat([piece.to_pandas() for piece in rows(20_000, seed=1)], ignore_index=True)
    y = (frame["x0"].fillna(0) + frame["x1"].fillna(0) + (frame["carrier"] > "carrier 2") > 0).to_numpy(dtype="int8")
    encoder = Encoder.fit(frame, NUMBERS, TEXTS)
    X = encoder.encode(frame)
    chosen = family(name)
    data = Training(X[:15_000], y[:15_000], X[15_000:], y[15_000:], encoder, BINARY)
    model = chosen.fit(data, chosen.defaults(), seed=0)
    spec = {"examples": {"table": "rows"}, "tables": {"rows": {"key": "id"}}}
    (folder / "model.onnx").write_bytes(export(model, encoder, {"sextant.spec": json.dumps(spec)}))
    features = [{"name": name, "kind": "column", "column": name} for name in NUMBERS + TEXTS]
    record = dict.fromkeys(NUMBERS, "number") | dict.fromkeys(TEXTS, "text")
    plan = {"use_case": "benchmark", "record": record, "required": [], "features": features}
    about = {"id": "c0ffee", "model_version": "1"}
    for file, content in {"plan": plan, "coordinates": about, "golden": {"records": [], "scores": []}}.items():
        (folder / f"{file}.json").write_text(json.dumps(content))
    writer = None
    for piece in rows(count):
        writer = writer or pq.ParquetWriter(folder / "rows.parquet", piece.schema, compression="zstd")
        writer.write_table(piece)
    assert writer is not None
    writer.close()


def by_score(folder: Path) -> int:
    """Answer the rows as the command does."""
    from dagster_project.scoring.score import load, score

    return score(load(folder), [str(folder / "rows.parquet")], str(folder / "scored.parquet"), print).rows


def by_onnxruntime(folder: Path) -> int:
    """Answer the rows by a plain session, and write the scores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    done = 0
    with pq.ParquetWriter(folder / "plain.parquet", pa.schema([("id", pa.int64()), ("score", pa.float64())])) as writer:
        for batch in pq.ParquetFile(folder / "rows.parquet").iter_batches(BATCH):
            numbers = np.column_stack([batch[name].to_numpy(zero_copy_only=False) for name in NUMBERS])
            texts = np.column_stack([np.array(batch[name].to_pylist(), object) for name in TEXTS])
            inputs = {"numeric": numbers.astype(np.float32), "categorical": texts}
            scores = session.run(["score"], inputs)[0].astype(np.float64)
            writer.write_table(pa.table({"id": batch["id"], "score": scores}))
            done += len(batch)
    return done


SIDES = {"score": by_score, "onnxruntime": by_onnxruntime}


def side(name: str, folder: Path) -> None:
    """Print rows per second, processor seconds and memory of one side."""
    begun, started = time.process_time(), time.perf_counter()
    count = SIDES[name](folder)
    spent, taken = time.process_time() - begun, time.perf_counter() - started
    status = Path("/proc/self/status").read_text()  # of this program alone; getrusage counts who started it
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1e3
    about = {"processor_s": round(spent, 1), "seconds": round(taken, 1), "peak_mb": round(peak)}
    print(json.dumps({"rows_per_s": round(count / spent), **about}))


def main() -> None:
    """Print both sides and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--family", default="logistic", help="lightgbm is slower on both sides, and so the ratio less")
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side(arguments.side[0], Path(arguments.side[1]))
        return
    sides: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        prepare(Path(scratch), arguments.rows, arguments.family)
        for name in SIDES:
            command = [sys.executable, __file__, "--side", name, scratch]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
            sides[name] = json.loads(done.stdout.splitlines()[-1])
            print(f"{name:<12} {sides[name]}")
        scores = [
            pq.read_table(Path(scratch) / file, columns=["score"])["score"]
            for file in ("scored.parquet", "plain.parquet")
        ]
        assert scores[0].equals(scores[1]), "the answers differ"
    ratio = round(sides["score"]["processor_s"] / sides["onnxruntime"]["processor_s"], 1)
    print(json.dumps({"name": f"{arguments.rows:,} rows scored", "ratio": ratio, "sides": sides}))


if __name__ == "__main__":
    main()
