"""The speed of hashing on one core: a table's values in their canonical form, and plain SHA-256 of as many bytes.

`ratio` is the first speed over the second; the speeds themselves are in megabytes of Arrow data per second.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from ml.base.hashing import hash_table

ROUNDS = 5


def main() -> None:
    """Print every kind of column, both sides and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    table = mixed(parser.parse_args().rows)
    for name in table.column_names:
        column = table.select([name])
        print(f"{name:<12} {speed(column.nbytes, lambda column=column: hash_table(column)):7.0f} MB/s", flush=True)
    plain = bytes(table.nbytes)
    sides = {
        "hash_table": speed(table.nbytes, lambda: hash_table(table)),
        "sha256": speed(table.nbytes, lambda: hashlib.sha256(plain).hexdigest()),
    }
    result = {"name": "hashing", "ratio": round(sides["hash_table"] / sides["sha256"], 3)}
    print(json.dumps({**result, "sides": {name: round(value) for name, value in sides.items()}}))


def mixed(rows: int) -> pa.Table:
    """Draw numbers, times, text and booleans, some of them missing, in shares as they are usual in business tables."""
    random = np.random.default_rng(0)
    words = np.array(["EWR", "New York", "N12345", ""])
    return pa.table(
        {
            "float": random.normal(size=rows),
            "integer": random.integers(0, 1000, rows),
            "missing": pa.array(random.normal(size=rows), mask=random.random(rows) < 0.2),
            "text": pa.array(words[random.integers(0, 4, rows)]),
            "time": pa.array(random.integers(0, 10**15, rows), pa.timestamp("us")),
            "boolean": random.random(rows) < 0.5,
        }
    )


def speed(size: int, hashed: Callable[[], str]) -> float:
    """Return megabytes per second of processor time, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        hashed()
        best = min(best, time.process_time() - started)
    return size / 1e6 / best


if __name__ == "__main__":
    main()
