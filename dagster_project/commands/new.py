"""`sextant new`."""

import sys

import click


@click.command()
@click.argument("name")
@click.option("--from", "files", multiple=True, required=True, metavar="FILE", help="A file; once for each.")
@click.argument("more", nargs=-1, metavar="[FILE]...")
@click.option("--target", help="The column to predict; table.column where several files have it.")
def new(name: str, files: tuple[str, ...], more: tuple[str, ...], target: str | None) -> None:
    """Write the declaration of a use case NAME from files: `sextant new churn --from customers.csv --target left`.

    Types, missing marks, key, time, relationships, task, metric and split are guessed, each with a comment that says
    why and what else it could be. What only you can answer is asked.
    """
    from dagster_project.definitions import CONFIGS
    from dagster_project.location.drafting import DraftError, write_draft

    try:
        drafted = write_draft(name, [*files, *more], target, CONFIGS, _ask)
    except DraftError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"wrote configs/{name}/defs.yaml")
    for question in drafted.questions:
        click.echo(f"question for you: {question}")
    click.echo(f"next: sextant check {name}, then sextant demo {name}")


def _ask(likely: list[str]) -> str | None:
    """Ask for the target where somebody sits at the terminal; None where nobody does."""
    if not sys.stdin.isatty():
        return None
    shown = ", ".join(likely[:12])
    return str(click.prompt(f"Which column is to be predicted ({shown})?"))
