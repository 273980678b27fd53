"""The recorded environment of a result: how far this machine's is from it, and how it is built anew."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster_project.results.reproduction.plan import ReproduceError
from ml.base.processes import tied
from ml.provenance.coordinates import environment_coordinate

MACHINE = ("python", "platform", "processor", "cores", "accelerators")


def differences(recorded: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each difference between a recorded environment and this one: machine, then packages."""
    now = environment_coordinate()
    machine = [f"{name} was {recorded[name]}, is {now[name]}" for name in MACHINE if recorded[name] != now[name]]
    then, here = recorded["distributions"], now["distributions"]
    changed = sorted(name for name in then.keys() | here.keys() if then.get(name) != here.get(name))
    return [*machine, *(f"{name} was {then.get(name, 'absent')}, is {here.get(name, 'absent')}" for name in changed)]


def rebuild(recorded: Mapping[str, Any], scratch: Path) -> str:
    """Build an environment with the recorded distributions in `scratch`, and return its Python.

    Raises ReproduceError if the recorded Python is not installed or a distribution is not to be had.
    """
    version = str(recorded["python"]).rpartition(".")[0]
    base = shutil.which(f"python{version}")
    if base is None:
        raise ReproduceError(f"the environment needs Python {version}, and there is no python{version} on the path")
    folder = scratch / "environment"
    subprocess.run([base, "-m", "venv", folder], check=True)
    # A local version, such as that of a CPU build of torch, is not on every index: the public one is the same release.
    pins = [f"{name}=={version.partition('+')[0]}" for name, version in recorded["distributions"].items()]
    pins = [pin for pin in pins if not pin.startswith(("sextant==", "pip=="))]
    (scratch / "pins.txt").write_text("\n".join(pins))
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "--no-deps", "-r", str(scratch / "pins.txt")]
    ended = subprocess.run(tied(install), capture_output=True, text=True)
    if ended.returncode:
        raise ReproduceError(f"the recorded environment cannot be installed: {ended.stderr.strip()[-1000:]}")
    return python
