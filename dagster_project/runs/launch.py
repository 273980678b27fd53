"""Launches a job in a process of its own and follows it to its end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import dagster as dg
import yaml

from dagster_project.definitions import CONFIGS
from dagster_project.location.loading import BrokenUseCaseError, load_use_case
from dagster_project.location.reaper import PROCESS, reap
from dagster_project.runs.outcome import Outcome, read_outcome
from dagster_project.runs.progress import follow
from ml.base.files import scratch_folder
from ml.base.processes import this_process, tied
from resources.databases import require_free
from resources.home import home


def execute(
    use_case: str,
    job: str,
    *,
    config: Mapping[str, Any] | None = None,
    project: Path | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run `<use case>_<job>` and print its steps.

    `config` is that of `production_model`, `project` the folder of another copy of the code. The process is killed if
    `meanwhile`, which is called while it starts, raises ClickException.
    """
    require_free()
    tags, log = {"sextant/launch": uuid4().hex, PROCESS: str(this_process())}, home() / "logs" / f"{use_case}_{job}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "dagster_project.definitions"]
    command += ["-j", f"{use_case}_{job}", "--tags", json.dumps(tags)]
    environment = os.environ | ({"PYTHONPATH": str(project)} if project else {})
    with dg.DagsterInstance.get() as instance, scratch_folder() as folder, open(log, "wb") as sink:
        if config:
            file = folder / "run.yaml"
            file.write_text(yaml.safe_dump({"ops": {f"{use_case}__production_model": {"config": dict(config)}}}))
            command += ["-c", str(file)]
        for line in reap(instance):
            click.echo(line)
        process = subprocess.Popen(tied(command), cwd=project, env=environment, stdout=sink, stderr=subprocess.STDOUT)
        try:
            meanwhile()
        except click.ClickException:
            process.kill()
            raise
        follow(instance, process, tags)
        if process.wait() < 0:  # killed: its run is not under way any longer
            reap(instance)
        return read_outcome(instance, process.wait() == 0, tags, log)


def check_name(use_case: str) -> None:
    """Raise ClickException, which lists the use cases that exist, if this one does not."""
    names = sorted(file.parent.name for file in CONFIGS.glob("*/defs.yaml"))
    if use_case not in names:
        raise click.ClickException(f"there is no use case {use_case!r} in {CONFIGS}; there are {', '.join(names)}")


def check_declaration(use_case: str) -> None:
    """Raise ClickException with the reason if a declaration is broken."""
    try:
        load_use_case(CONFIGS / use_case)
    except BrokenUseCaseError as error:
        raise click.ClickException(str(error)) from error
