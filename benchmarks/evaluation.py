"""The evaluation of flight_delays: time and peak of memory, without another model as champion and against one.

It needs a home in which `sextant demo flight_delays` has run, and works on a copy of it: there it blends a second
candidate, without the linear family, and evaluates that against the champion on the same test rows.

Time is that of the step, from start to end, reading the rows and writing the report included; memory that of the whole
run, over all of its processes. `ratio` is the longer time over a minute, which a person waits for a page.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg
import psutil
import yaml
from demo import memory

from dagster_project.runs.demo_bad import copy_with

ROOT, USE_CASE = Path(__file__).resolve().parents[1], "flight_delays"
STEP = f"{USE_CASE}__evaluation"
MINUTE_S = 60


def main() -> None:
    """Print both sides and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=os.environ.get("SEXTANT_HOME", ROOT / ".sextant"))
    home = Path(parser.parse_args().home)
    if not (home / "dagster").is_dir():
        raise SystemExit(f"there is no demo in {home}: run `sextant demo {USE_CASE}` first, or give --home")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(home, Path(folder) / "home")
        project = Path(folder) / "project"
        models = yaml.safe_load((ROOT / "configs" / USE_CASE / "defs.yaml").read_text())["attributes"]["models"]
        copy_with(project, USE_CASE, {"models": {name: model for name, model in models.items() if name != "logistic"}})
        sides = {"champion itself": measured(Path(folder) / "home", ROOT)}
        print(sides, flush=True)
        candidate = [f"{USE_CASE}/{asset}" for asset in ("models/ensemble", "leaderboard", "onnx_model")]
        if launch(Path(folder) / "home", project, *candidate).wait():
            raise SystemExit("the second candidate could not be made")
        sides["against a champion"] = measured(Path(folder) / "home", project)
    longest = max(side["seconds"] for side in sides.values())
    print(json.dumps({"name": "evaluation", "ratio": round(longest / MINUTE_S, 2), "sides": sides}))


def launch(home: Path, project: Path, *assets: str) -> psutil.Popen:
    """Start a run of some assets alone."""
    command = [Path(sys.executable).parent / "dagster", "asset", "materialize", "-m", "dagster_project.definitions"]
    places = {"SEXTANT_HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), "PYTHONPATH": str(project)}
    return psutil.Popen(
        [*command, "--select", ",".join(assets)],
        cwd=project,
        env=os.environ | places,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def measured(home: Path, project: Path) -> dict[str, float]:
    """Return the seconds of the step and the peak gigabytes of the run that makes the evaluation alone."""
    process, peak = launch(home, project, f"{USE_CASE}/evaluation"), 0.0
    while process.poll() is None:
        peak = max(peak, memory(process))
        time.sleep(0.1)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "dagster asset materialize")
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        (run,) = instance.get_runs(limit=1)
        (step,) = instance.get_run_step_stats(run.run_id, [STEP])
    assert step.start_time is not None
    assert step.end_time is not None
    return {"seconds": round(step.end_time - step.start_time, 1), "peak_gb": round(peak / 1e9, 2)}


if __name__ == "__main__":
    main()
