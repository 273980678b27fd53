"""A folder that MLServer starts: settings, a runtime class, and the bundle with the code that answers by it."""

import json
import shutil
from pathlib import Path
from typing import Any

from dagster_project.exports.facts import facts
from resources.bentos import SERVICE
from resources.runtime import packages, pins
from service.plan.reading import read_plan

RUNTIME = Path(__file__).with_name("mlserver_runtime.py")
DATATYPES = {"number": "FP64", "flag": "BOOL", "text": "BYTES", "time": "BYTES"}


def export(bundle: Path, folder: Path) -> Path:
    """Write a bundle as a model of MLServer into a folder; return it. `mlserver start` serves it."""
    about, plan = facts(bundle), (bundle / "plan.json").read_bytes()
    place = folder / about.use_case
    place.mkdir()
    shutil.copytree(bundle, place / "bundle")
    shutil.copytree(SERVICE, place / "service", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(RUNTIME, place / "sextant_runtime.py")
    model = {
        "name": about.use_case,
        "implementation": "sextant_runtime.Bundle",
        "platform": "onnxruntime",
        "inputs": [
            {"name": name, "datatype": DATATYPES[kind], "shape": [-1]} for name, kind in read_plan(plan).record.items()
        ],
        "parameters": {"version": about.version, "extra": {"coordinates": about.coordinates}},
    }
    _write(place / "model-settings.json", model)
    # One process: the predictor answers in microseconds, and to hand a request to another would take longer.
    _write(place / "settings.json", {"parallel_workers": 0, "debug": False})
    needed = [name for name in packages(plan) if name in ("duckdb", "msgspec", "numpy", "onnxruntime", "pyarrow")]
    versions = dict(pin.split("==") for pin in pins(needed))
    (place / "requirements.txt").write_text(
        "".join(f"{name}=={versions[name]}\n" for name in needed) + "mlserver>=1.7\n"
    )
    return place


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
