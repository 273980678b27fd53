"""The commands of `sextant`, with what they take."""

import click

from dagster_project.commands.main import main
from tests.support.snapshot import check_snapshot


def test_commands_with_their_arguments_and_options() -> None:
    check_snapshot("commands", usages(main, click.Context(main)))


def usages(group: click.Group, context: click.Context) -> dict[str, object]:
    """Return the parameters of each command of a group, by name."""
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: [usage(parameter) for parameter in command.params] for name, command in commands.items() if command}


def usage(parameter: click.Parameter) -> str:
    """Return an argument or an option as a command line has it."""
    if isinstance(parameter, click.Argument):
        return parameter.make_metavar(click.Context(main))
    assert isinstance(parameter, click.Option)
    value = "" if parameter.is_flag else f" {parameter.type.name.upper()}"
    many = " ..." if parameter.multiple else ""
    return f"{'/'.join(parameter.opts)}{value}{many}{' (required)' if parameter.required else ''}"
