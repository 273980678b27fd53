"""`sextant locate`."""

import json

import click


@click.command()
@click.argument("thing")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def locate(thing: str, as_json: bool) -> None:
    """Print where THING came from: its coordinates, what it was made from, what was made from it, and links.

    THING is a coordinates id, an asset key, an MLflow run's id or URL, a model (case@champion, case:3), a Bento tag, or
    a file: report, plot, model or table.
    """
    from dagster_project.results.locate import NotFoundError, as_text, locate
    from resources.ledger import Ledger
    from resources.tracking.runs import tracking

    ledger = Ledger()
    try:
        record = locate(thing, tracking(), ledger)
    except NotFoundError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(record, indent=1, sort_keys=True) if as_json else as_text(record, tracking(), ledger))
