"""Runs of archived source with the recorded config, in a scratch home."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dagster_project.results.reproduction.plan import ReproduceError
from dagster_project.results.reproduction.scratch import Scratch
from ml.base.processes import tied
from ml.provenance.coordinates import THREAD_SETTINGS
from resources.home import home
from resources.ledger import Ledger, LedgerError

ELSEWHERE = ("SEXTANT_STORAGE_URL", "SEXTANT_STUDIES_URL", "MLFLOW_TRACKING_URI")  # what leads out of the scratch home


def materialize(
    ledger: Ledger, coordinates: Mapping[str, Any], assets: Sequence[str], scratch: Scratch, python: str
) -> None:
    """Materialize assets with the archived source and the recorded config and thread settings.

    Raises ReproduceError, with the errors of the log, if the source is not archived here or the run fails.
    """
    project = _project(ledger, coordinates, scratch.folder)
    log = home() / "logs" / "reproduce.log"  # not in the scratch home, which may be gone when somebody reads it
    log.parent.mkdir(parents=True, exist_ok=True)
    select = " or ".join(f'key:"{asset}"' for asset in assets)
    command = [python, "-W", "ignore", "-m", "dagster", "asset", "materialize", "-m", "dagster_project.definitions"]
    settings = {name: value for name, value in coordinates["environment"]["threads"].items() if value is not None}
    settings |= {"SEXTANT_HOME": str(scratch.home), "DAGSTER_HOME": str(scratch.home / "dagster")}
    environment = {name: value for name, value in os.environ.items() if name not in (*THREAD_SETTINGS, *ELSEWHERE)}
    with open(log, "wb") as sink:
        ended = subprocess.run(
            tied([*command, "--select", select]),
            cwd=project,
            env={**environment, **settings, "PYTHONPATH": str(project)},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    if ended.returncode:
        lines = log.read_text(errors="replace").splitlines()
        reasons = [line for line in lines if "Error: " in line or "Failure: " in line]
        raise ReproduceError(f"the run failed; its log is {log}\n" + "\n".join(reasons[-2:]))


def _project(ledger: Ledger, coordinates: Mapping[str, Any], scratch: Path) -> Path:
    """Return the folder of the archived source with the recorded config as its only use case, written if need be."""
    tree, use_case = coordinates["code"]["tree"], coordinates["run"]["asset"].partition("/")[0]
    folder = scratch / f"project-{tree[:12]}-{coordinates['config']['whole'][:12]}-{coordinates['seed']}"
    if folder.exists():
        return folder
    try:
        source = ledger.source(tree)
    except LedgerError as error:
        raise ReproduceError(str(error)) from error
    for path, content in source.files.items():
        if path.count("/") < 2 or not path.startswith("configs/"):  # no other use case
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    (folder / "configs" / use_case).mkdir()
    attributes = {**coordinates["config"]["value"], "seed": coordinates["seed"]}
    declared = {"type": "dagster_project.components.UseCase", "attributes": attributes}
    (folder / "configs" / use_case / "defs.yaml").write_text(yaml.safe_dump(declared))
    return folder
