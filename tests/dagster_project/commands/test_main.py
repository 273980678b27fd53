import subprocess
import sys

import click

from dagster_project.commands.main import main

COMMANDS = [
    *("approve", "check", "containerize", "demo", "dev", "diff", "export", "gc", "history", "init", "locate", "new"),
    *("reproduce", "retire", "rollback", "score", "serve"),
]


def test_each_module_of_the_folder_is_a_command_that_says_what_it_does() -> None:
    context = click.Context(main)

    assert main.list_commands(context) == COMMANDS
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help


def test_a_name_without_a_module_is_no_command() -> None:
    assert main.get_command(click.Context(main), "main") is None
    assert main.get_command(click.Context(main), "nothing") is None


def test_the_list_of_commands_is_shown_without_a_library_that_takes_long_to_import() -> None:
    code = "import sys; from dagster_project.commands.main import main; main(['--help'], standalone_mode=False); "
    code += "print(sorted({'dagster', 'mlflow', 'numpy', 'pandas', 'pydantic', 'yaml'} & set(sys.modules)))"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout.splitlines()[-1] == "[]"
    assert "Serve the newest Bento of USE_CASE." in ended.stdout
