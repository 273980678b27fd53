"""`sextant history`."""

import click


@click.command()
@click.argument("use_case")
def history(use_case: str) -> None:
    """Print which versions of USE_CASE were champion: since when, who decided, why, and with which figures."""
    from dagster_project.runs.launch import check_name
    from resources.tracking.protocol import RegistryError
    from resources.tracking.runs import tracking

    check_name(use_case)
    registry = tracking().registry(use_case)
    entries = registry.entries()
    try:
        if (champion := registry.champion()) is not None:
            registry.model(champion.version)
        elif not entries:
            click.echo(f"no model of {use_case} was promoted yet")
    except RegistryError as error:
        click.echo(f"now: {error}")
    for entry in reversed(entries):
        row = entry.row()
        instead = f" instead of {entry.former}" if entry.former else ""
        click.echo(f"{row['when (UTC)']}  version {entry.version} {entry.action}{instead} by {entry.by}")
        for text in filter(None, (entry.reason, row["figures"])):
            click.echo(f"    {text}")
