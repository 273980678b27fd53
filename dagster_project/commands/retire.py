"""`sextant retire`."""

import click

from dagster_project.runs.options import WHO, WHY


@click.command()
@click.argument("use_case")
@WHY
@WHO
def retire(use_case: str, reason: str, by: str | None) -> None:
    """Take the champion of USE_CASE out of production: the next candidate is compared with none."""
    from dagster_project.runs.decisions import decide

    decide("retire", use_case, None, reason, by)
