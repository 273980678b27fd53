"""`sextant rollback`."""

import click

from dagster_project.runs.options import WHO, WHY


@click.command()
@click.argument("use_case")
@click.option("--to", help="An earlier champion's version; the one before the current champion if absent.")
@WHY
@WHO
def rollback(use_case: str, to: str | None, reason: str, by: str | None) -> None:
    """Make an earlier champion of USE_CASE the champion again, once it has answered its golden rows."""
    from dagster_project.runs.decisions import decide

    decide("rollback", use_case, to, reason, by)
