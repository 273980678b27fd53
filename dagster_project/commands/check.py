"""`sextant check`."""

import sys
import warnings

import click


@click.command()
@click.argument("use_case")
def check(use_case: str) -> None:
    """Look at the data of USE_CASE by its declaration, on some rows and then on all: what would stop a run, and why.

    Ends with 1 if anything is wrong.
    """
    from dagster_project.definitions import CONFIGS
    from dagster_project.location.loading import BrokenUseCaseError, load_declaration
    from dagster_project.runs.launch import check_name
    from ml.draft.check import SAMPLE, check

    warnings.filterwarnings("ignore", message="pkg_resources")  # of featuretools
    check_name(use_case)
    try:
        spec = load_declaration(CONFIGS / use_case)
    except BrokenUseCaseError as error:
        raise click.ClickException(str(error)) from error
    wrong = False
    shown = set()
    for rows, words in ((SAMPLE, f"the first {SAMPLE:,} rows of each table"), (None, "all rows")):
        click.echo(f"{words}:")
        count = 0
        for remark in check(use_case, spec, rows):
            if remark not in shown:
                click.echo(f"  {'wrong' if remark.wrong else 'look '}  {remark.place}: {remark.text}")
            shown.add(remark)
            wrong, count = wrong or remark.wrong, count + 1
        if not count:
            click.echo("  nothing to say")
        if wrong:
            break
    if wrong:
        sys.exit(1)
    click.echo(f"next: sextant demo {use_case}")
