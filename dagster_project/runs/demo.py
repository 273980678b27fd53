"""A use case from its tables to a Bento that answers, with progress."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
import dagster as dg

from dagster_project.runs.launch import check_declaration, check_name, execute
from dagster_project.runs.outcome import Refusal
from ml.base.text import shortened
from resources.bentos import BentoStore, ask
from resources.storage import find, storage

LONGEST = 300  # characters of the record that the Bento is asked about


def demo(use_case: str) -> None:
    """Materialize every asset of a use case through Dagster, serve its Bento, ask it and print a summary."""
    check_name(use_case)
    click.echo(f"materializing {use_case}")
    outcome = execute(use_case, "retrain", meanwhile=lambda: check_declaration(use_case))
    with dg.DagsterInstance.get() as instance:
        summary = _Summary(use_case, instance)
        if outcome.refusal:
            summary.print_candidate()
            print_refusal(outcome.refusal)
        if not outcome.succeeded:
            raise click.ClickException(f"the run failed; its log is {outcome.log}")
        summary.print_candidate()
        if summary.print_production(outcome.run_id):
            summary.print_bento()


def print_refusal(refusal: Refusal) -> None:
    """Print which gates refused a candidate, with every gate's figures, and what stays champion."""
    click.echo(f"refused     by {', '.join(refusal.gates)}; {refusal.champion}")
    for verdict in refusal.verdicts:
        word = "passed " if verdict["passed"] else "REFUSED"
        click.echo(f"            {word} {verdict['gate']}: {verdict['reason']}")


class _Summary:
    """The latest results of a use case's assets, for a terminal."""

    def __init__(self, use_case: str, instance: dg.DagsterInstance) -> None:
        self.use_case, self.instance = use_case, instance
        self.storage = storage()

    def print_candidate(self) -> None:
        """Print the leaderboard, the test metrics and where the report is."""
        board, evaluation = self._value("leaderboard"), self._value("evaluation")
        click.echo(f"\nmodels, by validation {evaluation.label(board.metric)}")
        for family, score in board.ranking:
            click.echo(f"  {family:<10} {score:.4f}")
        first_the_metric = sorted(evaluation.metrics.items(), key=lambda entry: entry[0] != board.metric)
        metrics = ", ".join(f"{evaluation.label(name)} = {score:.4f}" for name, score in first_the_metric)
        click.echo(f"test        {metrics} ({evaluation.rows:,} rows)")
        page = str(self._metadata("evaluation")["report file"].value).removeprefix(f"{Path.cwd()}/")
        click.echo(f"report      {page}")

    def print_production(self, run_id: str) -> bool:
        """Print what a run decided about the candidate, and return whether the run made a production model."""
        records = self.instance.fetch_materializations(self._key("production_model"), limit=1).records
        if not records or records[0].run_id != run_id:
            observations = self.instance.fetch_observations(self._key("production_model"), limit=1).records
            of_run = [record.asset_observation for record in observations if record.run_id == run_id]
            reason = of_run[0].description if of_run and of_run[0] else "no model was promoted"
            click.echo(f"production  {reason}")
            return False
        production, metadata = self._value("production_model"), self._metadata("production_model")
        click.echo(f"production  {production.name} version {production.version}, coordinates {production.coordinates}")
        for reason in metadata["reasons"].value if "reasons" in metadata else []:
            click.echo(f"            because {reason}")
        if "outcome" in metadata:
            click.echo(f"            {metadata['outcome'].value}")
        return True

    def print_bento(self) -> None:
        """Start the Bento, ask it about its first golden request, and print the answer."""
        bento, store = self._value("bento"), BentoStore()
        golden = store.folder() / "bentos" / bento.tag.replace(":", "/") / "src" / "bundle" / "golden.json"
        record = json.loads(golden.read_text())["records"][0]
        with store.serve(bento.tag) as url:
            answer = ask(url, record)
        click.echo(f"asked       {shortened(json.dumps(record), LONGEST)}")
        click.echo(f"answered    {json.dumps(answer)}")
        sextant = os.path.relpath(Path(sys.executable).parent / "sextant")
        click.echo(f"Bento       {bento.tag}; to serve it: {sextant} serve {self.use_case}")
        click.echo("UIs         Dagster on http://127.0.0.1:3000, MLflow on http://127.0.0.1:5000, both by: make dev")

    def _key(self, asset: str) -> dg.AssetKey:
        return dg.AssetKey([self.use_case, *asset.split("/")])

    def _value(self, asset: str) -> Any:
        return self.storage.load(find(self.instance, self._key(asset)))

    def _metadata(self, asset: str) -> Any:
        event = self.instance.get_latest_materialization_event(self._key(asset))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata
