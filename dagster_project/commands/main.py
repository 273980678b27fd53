"""The command `sextant`: it prepares $SEXTANT_HOME, then runs the command that it was asked for."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import click

from dagster_project import commands


class Commands(click.Group):
    """The commands of this folder, each imported when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of the modules beside this one, sorted."""
        return sorted({module.name for module in iter_modules(commands.__path__)} - {"main"})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return the command of a module's name, or None if there is no such module."""
        if name not in self.list_commands(context):
            return None
        command: click.Command = getattr(import_module(f"{commands.__name__}.{name}"), name)
        return command

    def invoke(self, context: click.Context) -> Any:
        """Run the command; raise ClickException where the home is at fault, whichever library says so."""
        try:
            return super().invoke(context)
        except click.exceptions.Exit:
            raise
        except Exception as error:
            from resources.faults import in_one_line

            if not isinstance(error, click.ClickException) and (reason := in_one_line(error)):
                raise click.ClickException(reason) from error
            raise


@click.group(cls=Commands)
def main() -> None:
    """Find any result, run the pipelines, serve the models."""
    from dagster_project.location.instance import prepare
    from resources.home import keep_to_home

    prepare()
    keep_to_home()
