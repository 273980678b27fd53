"""`sextant gc`."""

import click


@click.command()
@click.option("--older-than", default="30d", show_default=True, help="The age from which results may go: 12h, 30d.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed, with sizes.")
def gc(older_than: str, dry_run: bool) -> None:
    """Remove results, source archives, Bentos and studies that nothing needs any longer.

    Needed are: what an asset shows as its latest, every model that was ever promoted or has an alias, every result
    younger than the given age, and all that these were made from. Coordinates themselves are never removed.
    """
    import dagster as dg

    from dagster_project.location.reaper import reap
    from dagster_project.results.gc import RunsUnderWayError, as_text, garbage, remove
    from ml.declaration.part import duration
    from resources.bentos import BentoStore
    from resources.databases import require_free
    from resources.ledger import Ledger
    from resources.storage import storage
    from resources.studies import studies
    from resources.tracking.runs import tracking

    try:
        age = duration(older_than)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--older-than") from error
    require_free()
    if not dry_run:
        with dg.DagsterInstance.get() as instance:
            for line in reap(instance):
                click.echo(line)
    pieces = garbage(Ledger(), storage(), BentoStore(), tracking(), studies(), age, click.echo)
    if not dry_run:
        try:
            remove(pieces, studies())
        except RunsUnderWayError as error:
            raise click.ClickException(str(error)) from error
    click.echo(as_text(pieces) + (" would be removed" if dry_run else " removed"))
