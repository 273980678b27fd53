"""Runs a job in a process of its own, with a line for each step, and says how it ended."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import dagster as dg
import yaml

from dagster_project.definitions import CONFIGS, defs
from resources.home import home

SILENCE_S = 15.0


@dataclass(frozen=True)
class Refusal:
    """What `production_model` said when gates refused: what stays champion, and each verdict: gate, passed, reason."""

    champion: str
    verdicts: Sequence[Mapping[str, Any]]

    @property
    def gates(self) -> list[str]:
        """Those that refused."""
        return [str(verdict["gate"]) for verdict in self.verdicts if not verdict["passed"]]


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    succeeded: bool
    run_id: str
    log: Path
    refusal: Refusal | None = None


def execute(
    use_case: str,
    job: str,
    *,
    config: Mapping[str, Any] | None = None,
    project: Path | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Ended:
    """Runs `<use case>_<job>` and follows it; `config` is for `production_model`, `project` another copy of the code.

    What `meanwhile` raises while the process starts ends it.
    """
    tags, log = {"sextant/launch": uuid4().hex}, home() / "logs" / f"{use_case}_{job}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "dagster_project.definitions"]
    command += ["-j", f"{use_case}_{job}", "--tags", json.dumps(tags)]
    environment = os.environ | ({"PYTHONPATH": str(project)} if project else {})
    with dg.DagsterInstance.get() as instance, tempfile.TemporaryDirectory() as folder, open(log, "wb") as sink:
        if config:
            file = Path(folder) / "run.yaml"
            file.write_text(yaml.safe_dump({"ops": {f"{use_case}__production_model": {"config": dict(config)}}}))
            command += ["-c", str(file)]
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=sink, stderr=subprocess.STDOUT)
        try:
            meanwhile()
        except click.ClickException:
            process.kill()
            raise
        _follow(instance, process, tags)
        return _ended(instance, process.wait() == 0, tags, log)


def check_name(use_case: str) -> None:
    """Stops with the names that there are where a use case does not exist."""
    names = sorted(file.parent.name for file in CONFIGS.glob("*/defs.yaml"))
    if use_case not in names:
        raise click.ClickException(f"there is no use case {use_case!r} in {CONFIGS}; there are {', '.join(names)}")


def check_declaration(use_case: str) -> None:
    """Stops with the reason where a declaration is broken."""
    graph = defs().resolve_asset_graph()
    broken = dg.AssetKey([use_case, "broken"])
    if graph.has(broken):
        raise click.ClickException(str(graph.get(broken).description))


def _follow(instance: dg.DagsterInstance, process: "subprocess.Popen[bytes]", tags: dict[str, str]) -> None:
    """A line for each step as it ends, and in a long silence one that says what is running."""
    progress, cursor, spoken = Progress(), None, time.monotonic()
    while True:
        over, lines = process.poll() is not None, []
        for run in instance.get_runs(dg.RunsFilter(tags=tags), limit=1):
            new = instance.get_records_for_run(run.run_id, cursor=cursor)  # all events so far would be read anew
            lines += [line for each in new.records if (line := progress.said(each.event_log_entry.dagster_event))]
            cursor = new.cursor
        if time.monotonic() - spoken > SILENCE_S and progress.running:
            lines.append(f"...    {', '.join(progress.running)}")
        for line in lines:
            click.echo(f"  {line}")
            spoken = time.monotonic()
        if over:
            return
        time.sleep(0.2)


class Progress:
    """What a run's events say: the steps that run, and those that took a stored result."""

    def __init__(self) -> None:
        self.running: dict[str, None] = {}  # in the order of their starts
        self.reused: set[str] = set()

    def said(self, event: dg.DagsterEvent | None) -> str | None:
        """The line for an event, if it deserves one."""
        if event is None or event.step_key is None:
            return None
        step = event.step_key.replace("__", "/")
        if event.is_step_start:
            self.running[step] = None
        elif event.is_step_materialization and "reused" in event.step_materialization_data.materialization.metadata:
            self.reused.add(step)
        elif event.is_step_success or event.is_step_failure:
            self.running.pop(step, None)
            if event.is_step_failure:
                return f"FAILED {step}\n    {reason_of(event)}"
            seconds = event.step_success_data.duration_ms / 1000
            return f"{'reused' if step in self.reused else 'done':<6} {step:<40} {seconds:6.1f} s"
        return None


def reason_of(event: dg.DagsterEvent) -> str:
    """The error that the step itself raised, without Dagster's around it."""
    error = event.step_failure_data.error
    while error is not None and error.cls_name == "DagsterExecutionStepExecutionError" and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "for no reason that Dagster knows"


def _ended(instance: dg.DagsterInstance, succeeded: bool, tags: dict[str, str], log: Path) -> Ended:
    runs = instance.get_runs(dg.RunsFilter(tags=tags), limit=1)
    if not runs:
        return Ended(False, "", log)
    events = [entry.dagster_event for entry in instance.all_logs(runs[0].run_id) if entry.dagster_event]
    failures = [event for event in events if event.is_step_failure]
    refusals = [found for event in failures if (found := _refusal(event)) is not None]
    return Ended(succeeded, runs[0].run_id, log, refusals[0] if refusals else None)


def _refusal(event: dg.DagsterEvent) -> Refusal | None:
    data = event.step_failure_data.user_failure_data
    if data is None or "verdicts" not in data.metadata:
        return None
    verdicts: Any = data.metadata["verdicts"].value
    return Refusal(str(data.metadata["champion"].value), verdicts)
