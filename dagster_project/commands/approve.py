"""`sextant approve`."""

import click

from dagster_project.runs.options import WHO, WHY


@click.command()
@click.argument("use_case")
@click.argument("version")
@WHY
@WHO
def approve(use_case: str, version: str, reason: str, by: str | None) -> None:
    """Make VERSION of USE_CASE, which waits as challenger, the champion, if every gate still lets it."""
    from dagster_project.runs.decisions import decide

    decide("approve", use_case, version, reason, by)
