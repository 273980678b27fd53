"""The options of the commands that decide about a champion."""

import click


def _stripped(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("say why; it is kept in the promotion history")
    return value.strip()


WHY = click.option("--reason", required=True, callback=_stripped, help="Why; it is kept in the promotion history.")
WHO = click.option("--by", help="Who decides, if not the user of the operating system.")
