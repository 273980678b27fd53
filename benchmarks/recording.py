"""The cost of recording: all of a use case but its Bento, with coordinates and without any of them.

Without them nothing is hashed, no source is read or archived, no environment is looked at, and neither the ledger nor
MLflow's tags are written. Both sides start from nothing, by turns. `ratio` is the processor time with over the one
without; `seconds` is the same on the clock.
"""

import argparse
import json
import os
import statistics
import sys
from typing import Any

SIDE = "SEXTANT_BENCHMARK_RECORDING"
SIDES = ("with", "without")


def strip() -> None:
    """Put constants where a coordinate is computed, and nothing where one is written."""
    import assets.framework.asset
    import resources.storage
    from ml.declaration.reads import Reads
    from ml.provenance.source import Source
    from resources.ledger import Ledger

    constant: dict[str, Any] = {
        "code_coordinate": {"source": "", "roots": [], "tree": "", "commit": None, "dirty": None},
        "environment_coordinate": {"id": "", "threads": {}, "distributions": {}},
        "tags": {},
    }
    for name, value in constant.items():
        setattr(assets.framework.asset, name, lambda *_, value=value, **_named: value)
    setattr(Reads, "coordinate", lambda *_: {"hash": "", "reads": [], "value": {}})  # noqa: B010
    for name in ("hash_table", "hash_bytes"):
        setattr(resources.storage, name, lambda _: "0")
    setattr(Source, "hash", lambda *_: "0")  # noqa: B010
    setattr(Source, "changed", lambda *_: [])  # noqa: B010
    setattr(Ledger, "keep", lambda *_: None)  # noqa: B010
    setattr(Ledger, "materialized", lambda *_: None)  # noqa: B010
    setattr(Ledger, "show", lambda *_: None)  # noqa: B010


if os.environ.get(SIDE) == "without":
    strip()
from dagster_project.definitions import defs  # noqa: E402, F401 - the code location of both sides


def main() -> None:
    """Print every round and, last, one line of JSON."""
    from overhead import adopt_orphans, measured

    adopt_orphans()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--use-case", default="flight_delays")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    select = f'key:"{arguments.use_case}/*" and not key:"{arguments.use_case}/bento"'
    run = [sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize", "-f", __file__, "--select", select]
    taken: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(arguments.rounds):
        for side in SIDES:
            os.environ[SIDE] = side
            taken[side].append(measured(run))
            print(f"{side:<8} {taken[side][-1]}", flush=True)
    sides = {
        side: {name: round(statistics.median(figures[name] for figures in rounds), 1) for name in rounds[0]}
        for side, rounds in taken.items()
    }
    ratios = {name: round(sides["with"][name] / sides["without"][name], 3) for name in ("cpu_seconds", "seconds")}
    result = {"name": f"recording on {arguments.use_case}", "ratio": ratios["cpu_seconds"]}
    print(json.dumps({**result, "seconds": ratios["seconds"], "sides": sides}))


if __name__ == "__main__":
    main()
