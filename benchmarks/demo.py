"""The demo from nothing and then again: its time, its peak of memory and the scores it ends with.

`ratio` is the time of the second run, which reuses every result, over that of the first.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SEXTANT = Path(sys.executable).parent / "sextant"


def main() -> None:
    """Print both runs and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--use-case", default="flight_delays")
    use_case = parser.parse_args().use_case
    with tempfile.TemporaryDirectory() as home:
        sides = {name: measured(use_case, home) for name in ("first", "second")}
    result = {
        "name": f"demo of {use_case}",
        "ratio": round(sides["second"]["seconds"] / sides["first"]["seconds"], 3),
        "sides": sides,
    }
    print(json.dumps(result))


def measured(use_case: str, home: str) -> dict[str, float]:
    """Return the seconds and peak gigabytes of one run, over all of its processes (shared pages count once)."""
    environment = os.environ | {"SEXTANT_HOME": home, "DAGSTER_HOME": f"{home}/dagster"}
    started, peak = time.perf_counter(), 0.0
    process = psutil.Popen([SEXTANT, "demo", use_case], env=environment)
    while process.poll() is None:
        peak = max(peak, memory(process))
        time.sleep(0.2)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "sextant demo")
    return {"seconds": round(time.perf_counter() - started, 1), "peak_gb": round(peak / 1e9, 2)}


def memory(process: psutil.Popen) -> float:
    """Return the proportional set size of a process and its descendants, in bytes."""
    total = 0.0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return total
    for member in family:
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it has just ended
    return total


if __name__ == "__main__":
    main()
