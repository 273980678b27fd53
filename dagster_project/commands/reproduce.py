"""`sextant reproduce`."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

SHOWN = 10  # differences of the environment that are named


@click.command()
@click.argument("thing")
@click.option("--scratch", type=click.Path(path_type=Path), help="Keep the scratch home in this new folder.")
@click.option("--rebuild-env", is_flag=True, help="Make the recorded environment first.")
@click.option("--json", "json_only", is_flag=True, help="The table as JSON.")
def reproduce(thing: str, scratch: Path | None, rebuild_env: bool, json_only: bool) -> None:
    """Make THING again from its coordinates alone, and compare asset by asset.

    THING is what `locate` takes; of a Bento it is the model. The exit status is 0 only if everything agrees.
    """
    from dagster_project.results.locate import NotFoundError, locate
    from dagster_project.results.reproduce import reproduce
    from dagster_project.results.reproduction.environment import rebuild
    from dagster_project.results.reproduction.plan import ReproduceError
    from dagster_project.results.reproduction.rows import as_json, as_text, explanation
    from ml.base.files import scratch_folder
    from resources.ledger import Ledger
    from resources.tracking.runs import tracking

    ledger = Ledger()
    with ExitStack() as stack:
        try:
            record = locate(thing, tracking(), ledger)
            folder = scratch or stack.enter_context(scratch_folder())
            if scratch and scratch.exists():
                raise click.ClickException(f"{scratch} exists; name a new folder")
            folder.mkdir(parents=True, exist_ok=True)
            _warn(record, rebuild_env)
            python = rebuild(record["environment"], folder) if rebuild_env else sys.executable
            rows = reproduce(ledger, record["id"], folder, lambda line: click.echo(line, err=True), python)
        except (NotFoundError, ReproduceError) as error:
            raise click.ClickException(str(error)) from error
    click.echo(as_json(rows) if json_only else as_text(rows))
    if reason := explanation(ledger, rows):
        click.echo(reason, err=True)
        raise SystemExit(1)


def _warn(record: Mapping[str, Any], rebuild_env: bool) -> None:
    """Print what may make the results differ: this environment, unless it is rebuilt, and a dirty tree."""
    from dagster_project.results.reproduction.environment import differences

    changed = [] if rebuild_env else differences(record["environment"])
    for difference in changed[:SHOWN]:
        click.echo(f"warning: this environment is not the recorded one: {difference}", err=True)
    if record["code"]["dirty"]:
        click.echo("note: it was made from a dirty tree; the archived source is used, not the commit", err=True)
