"""`sextant diff`."""

import click


@click.command()
@click.argument("first")
@click.argument("second")
def diff(first: str, second: str) -> None:
    """Print what differs between two results: data, code, config, environment, seed, and what came of it.

    FIRST and SECOND are what `locate` takes.
    """
    from dagster_project.results.diff import diff
    from dagster_project.results.locate import NotFoundError, locate
    from resources.ledger import Ledger, LedgerError
    from resources.storage import StorageError
    from resources.tracking.runs import tracking

    ledger = Ledger()
    try:
        ids = [str(locate(thing, tracking(), ledger)["id"]) for thing in (first, second)]
        for line in diff(ledger, *ids):
            click.echo(line)
    except (NotFoundError, LedgerError, StorageError) as error:
        raise click.ClickException(str(error)) from error
