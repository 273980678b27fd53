"""The time in which the code location loads, beside `import dagster` alone; each in fresh processes, by turns.

`ratio` is the one's median over the other's, in seconds on the clock.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIDES = {
    "import dagster": "import dagster",
    "code location": "from dagster_project.definitions import defs; defs().get_repository_def()",
}


def seconds(code: str, home: str) -> float:
    """Return the seconds on the clock until a new process has run some code."""
    environment = os.environ | {"SEXTANT_HOME": home, "DAGSTER_HOME": home, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=environment, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print the medians and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as home:
        for _ in range(rounds + 1):
            for name, code in SIDES.items():
                taken[name].append(seconds(code, home))
    # The first round fills the caches of the file system.
    sides = {name: round(statistics.median(values[1:]), 2) for name, values in taken.items()}
    for name, median in sides.items():
        print(f"{name:<16} {median:.2f} s")
    ratio = round(sides["code location"] / sides["import dagster"], 2)
    print(json.dumps({"name": "loading the code location", "ratio": ratio, "sides": sides}))


if __name__ == "__main__":
    main()
