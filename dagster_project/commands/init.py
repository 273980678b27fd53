"""`sextant init`."""

from pathlib import Path

import click


@click.command()
def init() -> None:
    """Prepare $SEXTANT_HOME and a .env here, with which plain `dg` commands keep their state there too."""
    from dagster_project.location.instance import write_env
    from dagster_project.location.pools import limit_own_pools
    from resources.home import home

    limit_own_pools()
    click.echo(f"all state lies in {home()} (said by {write_env(Path.cwd())})")
