"""A use case from its tables to a Bento that answers, with progress."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
import dagster as dg

from dagster_project.commands.launch import Refusal, check_declaration, check_name, execute
from resources.bentos import BentoStore, ask
from resources.storage import Storage, find


def run(use_case: str) -> None:
    """Materializes every asset of a use case through Dagster, serves its Bento, asks it and prints a summary."""
    check_name(use_case)
    click.echo(f"materializing {use_case}")
    ended = execute(use_case, "retrain", meanwhile=lambda: check_declaration(use_case))
    with dg.DagsterInstance.get() as instance:
        summary = _Summary(use_case, instance)
        if ended.refusal:
            summary.candidate()
            refused(ended.refusal)
        if not ended.succeeded:
            raise click.ClickException(f"the run failed; its log is {ended.log}")
        summary.candidate()
        if summary.outcome(ended.run_id):
            summary.bento()


def refused(refusal: Refusal) -> None:
    """Says which gates refused a candidate, with every gate's figures, and what stays champion."""
    click.echo(f"refused     by {', '.join(refusal.gates)}; {refusal.champion}")
    for verdict in refusal.verdicts:
        word = "passed " if verdict["passed"] else "REFUSED"
        click.echo(f"            {word} {verdict['gate']}: {verdict['reason']}")


class _Summary:
    """What the assets of a use case say."""

    def __init__(self, use_case: str, instance: dg.DagsterInstance) -> None:
        self.use_case, self.instance = use_case, instance
        self.storage = Storage(url=os.environ.get("SEXTANT_STORAGE_URL", ""))

    def candidate(self) -> None:
        """The leaderboard, the test metrics and where the report is."""
        board, evaluation = self._value("leaderboard"), self._value("evaluation")
        click.echo(f"\nmodels, by validation {board.metric}")
        for family, score in board.ranking:
            click.echo(f"  {family:<10} {score:.4f}")
        first_the_metric = sorted(evaluation.metrics.items(), key=lambda item: item[0] != board.metric)
        metrics = ", ".join(f"{name} {score:.4f}" for name, score in first_the_metric)
        click.echo(f"test        {metrics} ({evaluation.rows:,} rows)")
        page = str(self._metadata("evaluation")["report file"].value).removeprefix(f"{Path.cwd()}/")
        click.echo(f"report      {page}")

    def outcome(self, run_id: str) -> bool:
        """What became of the candidate; whether there is a production model."""
        records = self.instance.fetch_materializations(self._key("production_model"), limit=1).records
        if not records or records[0].run_id != run_id:
            seen = self.instance.fetch_observations(self._key("production_model"), limit=1).records
            told = seen[0].asset_observation if seen and seen[0].run_id == run_id else None
            click.echo(f"production  {told.description if told else 'no model was promoted'}")
            return False
        production, metadata = self._value("production_model"), self._metadata("production_model")
        click.echo(f"production  {production.name} version {production.version}, coordinates {production.coordinates}")
        for reason in metadata["reasons"].value if "reasons" in metadata else []:
            click.echo(f"            because {reason}")
        if "outcome" in metadata:
            click.echo(f"            {metadata['outcome'].value}")
        return True

    def bento(self) -> None:
        """The Bento, asked for one answer."""
        bento, store = self._value("bento"), BentoStore()
        golden = store.folder() / "bentos" / bento.tag.replace(":", "/") / "src" / "bundle" / "golden.json"
        record = json.loads(golden.read_text())["records"][0]
        with store.serve(bento.tag) as url:
            answer = ask(url, record)
        click.echo(f"asked       {json.dumps(record)[:300]}")
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
