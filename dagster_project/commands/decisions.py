"""The commands around a champion: to approve what waits, to go back, to look at the history."""

import click


def _reason(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("say why; it is kept in the promotion history")
    return value.strip()


WHY = click.option("--reason", required=True, callback=_reason, help="Why; it is kept in the promotion history.")
WHO = click.option("--by", help="Who decides, if not the user of the operating system.")


@click.command()
@click.argument("use_case")
@click.argument("version")
@WHY
@WHO
def approve(use_case: str, version: str, reason: str, by: str | None) -> None:
    """Make VERSION of USE_CASE, which waits as challenger, the champion, if every gate still lets it."""
    from dagster_project.commands.promotion import approve as decide

    decide(use_case, version, reason, by)


@click.command()
@click.argument("use_case")
@click.option("--to", help="An earlier champion's version; the one before the current champion if absent.")
@WHY
@WHO
def rollback(use_case: str, to: str | None, reason: str, by: str | None) -> None:
    """Make an earlier champion of USE_CASE the champion again, once it has answered its golden rows."""
    from dagster_project.commands.promotion import rollback as decide

    decide(use_case, to, reason, by)


@click.command()
@click.argument("use_case")
def history(use_case: str) -> None:
    """Print which versions of USE_CASE were champion: since when, who decided, why, and with which figures."""
    from dagster_project.commands.promotion import history as text

    click.echo(text(use_case))
