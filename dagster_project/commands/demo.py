"""`sextant demo`."""

import click


@click.command()
@click.argument("use_case")
@click.option("--bad", is_flag=True, help="Retrain with a deliberately bad declaration: the gates must refuse it.")
def demo(use_case: str, bad: bool) -> None:
    """Materialize all of USE_CASE, start its Bento, ask it, and say what came out."""
    from dagster_project.runs.demo import demo
    from dagster_project.runs.demo_bad import demo_bad

    (demo_bad if bad else demo)(use_case)
