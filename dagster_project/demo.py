"""A use case from its tables to a Bento that answers, with progress."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import dagster as dg

from dagster_project.definitions import CONFIGS, defs
from resources.bentos import BentoStore, ask
from resources.home import home
from resources.storage import Storage, find

SILENCE_S = 15.0


def run(use_case: str) -> None:
    """Materializes every asset of a use case through Dagster, serves its Bento, asks it and prints a summary."""
    _check_name(use_case)
    instance, tags = dg.DagsterInstance.get(), {"sextant/demo": uuid4().hex}
    log = home() / "logs" / f"{use_case}_demo.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "dagster", "job", "execute", "-m", "dagster_project.definitions"),
        *("-j", f"{use_case}_retrain", "--tags", json.dumps(tags)),
    ]
    click.echo(f"materializing {use_case} (log: {log})")
    with open(log, "wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
        try:
            _check_declaration(use_case)  # while the process starts, which finds no job where this finds a mistake
        except click.ClickException:
            process.kill()
            raise
        _follow(instance, process, tags)
    if process.wait() != 0:
        raise click.ClickException(f"the run failed; its log is {log}")
    _summary(use_case, instance)


def _check_name(use_case: str) -> None:
    """Stops with the names that there are where a use case does not exist."""
    names = sorted(file.parent.name for file in CONFIGS.glob("*/defs.yaml"))
    if use_case not in names:
        raise click.ClickException(f"there is no use case {use_case!r} in {CONFIGS}; there are {', '.join(names)}")


def _check_declaration(use_case: str) -> None:
    """Stops with the reason where a declaration is broken."""
    graph = defs().resolve_asset_graph()
    broken = dg.AssetKey([use_case, "broken"])
    if graph.has(broken):
        raise click.ClickException(str(graph.get(broken).description))


def _follow(instance: dg.DagsterInstance, process: "subprocess.Popen[bytes]", tags: dict[str, str]) -> None:
    """A line for each step as it ends, and in a long silence one that says what is running."""
    progress, seen, spoken = Progress(), 0, time.monotonic()
    while True:
        over = process.poll() is not None
        runs = instance.get_runs(dg.RunsFilter(tags=tags), limit=1)
        entries = instance.all_logs(runs[0].run_id) if runs else []
        lines = [line for entry in entries[seen:] if (line := progress.said(entry.dagster_event))]
        seen = len(entries)
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
                return f"FAILED {step}\n    {_reason(event)}"
            seconds = event.step_success_data.duration_ms / 1000
            return f"{'reused' if step in self.reused else 'done':<6} {step:<40} {seconds:6.1f} s"
        return None


def _reason(event: dg.DagsterEvent) -> str:
    """The error that the step itself raised, without Dagster's around it."""
    error = event.step_failure_data.error
    while error is not None and error.cls_name == "DagsterExecutionStepExecutionError" and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "for no reason that Dagster knows"


def _summary(use_case: str, instance: dg.DagsterInstance) -> None:
    storage = Storage(url=os.environ.get("SEXTANT_STORAGE_URL", ""))

    def value(asset: str) -> Any:
        return storage.load(find(instance, dg.AssetKey([use_case, *asset.split("/")])))

    board, evaluation = value("leaderboard"), value("evaluation")
    production, bento = value("production_model"), value("bento")
    click.echo(f"\nmodels, by validation {board.metric}")
    for family, score in board.ranking:
        click.echo(f"  {family:<10} {score:.4f}")
    first_the_metric = sorted(evaluation.metrics.items(), key=lambda item: item[0] != board.metric)
    metrics = ", ".join(f"{name} {score:.4f}" for name, score in first_the_metric)
    click.echo(f"test        {metrics} ({evaluation.rows:,} rows)")
    click.echo(f"production  {production.name} version {production.version}, coordinates {production.coordinates}")
    event = instance.get_latest_materialization_event(dg.AssetKey([use_case, "production_model"]))
    assert event is not None
    assert event.asset_materialization is not None
    for reason in event.asset_materialization.metadata["reasons"].value:  # type: ignore[union-attr]
        click.echo(f"            because {reason}")
    report = instance.get_latest_materialization_event(dg.AssetKey([use_case, "evaluation"]))
    assert report is not None
    assert report.asset_materialization is not None
    store = BentoStore()
    golden = store.folder() / "bentos" / bento.tag.replace(":", "/") / "src" / "bundle" / "golden.json"
    record = json.loads(golden.read_text())["records"][0]
    with store.serve(bento.tag) as url:
        answer = ask(url, record)
    click.echo(f"asked       {json.dumps(record)[:300]}")
    click.echo(f"answered    {json.dumps(answer)}")
    page = str(report.asset_materialization.metadata["report file"].value).removeprefix(f"{Path.cwd()}/")
    click.echo(f"report      {page}")
    sextant = os.path.relpath(Path(sys.executable).parent / "sextant")
    click.echo(f"Bento       {bento.tag}; to serve it: {sextant} serve {use_case}")
    click.echo("UIs         Dagster on http://127.0.0.1:3000, MLflow on http://127.0.0.1:5000, both by: make dev")
