"""The demo from nothing and then again, beside the same two runs of an earlier commit: time, memory and scores.

Processor seconds are those of all processes of a run; those of the served Bento, which the demo starts to ask it, stand
apart. `ratio` is the processor time of the second run, which reuses every result, over that of the earlier commit's
second run, Bentos left out on both sides.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "ab15d1dad2ea233a9fb73e445fc497c284a81c53"  # every edit made everything again, and every evaluation was new
COMMANDS = ("dagster_project/commands/main.py", "dagster_project/cli.py")  # where `sextant` is, now and before


def main() -> None:
    """Print all runs and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--use-case", default="flight_delays")
    parser.add_argument("--before", default=BEFORE, help="the earlier commit; an empty text leaves that side out")
    arguments = parser.parse_args()
    sides = {"now": both_runs(arguments.use_case, ROOT)}
    if arguments.before:
        with worktree(arguments.before) as folder:
            sides["before"] = both_runs(arguments.use_case, folder)
    seconds = {side: runs["second"]["processor_s"] for side, runs in sides.items()}
    ratio = round(seconds["now"] / seconds["before"], 3) if arguments.before else None
    print(json.dumps({"name": f"demo of {arguments.use_case}", "ratio": ratio, "sides": sides}))


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """Check out a commit beside this one, for the block."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "before"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", folder, commit], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", folder], check=True)


def both_runs(use_case: str, project: Path) -> dict[str, dict[str, float]]:
    """Measure a first run and a second one in the same home."""
    with tempfile.TemporaryDirectory() as home:
        return {name: measured(use_case, project, Path(home)) for name in ("first", "second")}


def measured(use_case: str, project: Path, home: Path) -> dict[str, float]:
    """Return seconds, processor seconds and peak gigabytes (shared pages count once) of one run and its processes."""
    environment = os.environ | {
        "SEXTANT_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "PYTHONPATH": str(project),
        "PYTHONHASHSEED": "0",
    }
    started, peak, spent = time.perf_counter(), 0.0, dict[tuple[int, float], tuple[float, bool]]()
    module = next(file for file in COMMANDS if (project / file).exists()).removesuffix(".py").replace("/", ".")
    command = [sys.executable, "-c", f"from {module} import main; main()", "demo", use_case]
    process = psutil.Popen(command, env=environment, cwd=project)
    while process.poll() is None:
        peak = max(peak, sampled(process, spent))
        time.sleep(0.1)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "sextant demo")
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_s": round(sum(seconds for seconds, served in spent.values() if not served), 1),
        "bento_processor_s": round(sum(seconds for seconds, served in spent.values() if served), 1),
        "peak_gb": round(peak / 1e9, 2),
    }


def sampled(process: psutil.Popen, spent: dict[tuple[int, float], tuple[float, bool]]) -> float:
    """Return the proportional set size of a process and its descendants, in bytes; note what each has `spent`."""
    total = 0.0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return total
    for member in family:
        try:
            times, command = member.cpu_times(), member.cmdline()
            served = any("bentoml" in argument for argument in command)
            spent[member.pid, member.create_time()] = (times.user + times.system, served)
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue  # it has just ended
    return total


if __name__ == "__main__":
    main()
