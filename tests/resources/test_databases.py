"""A database that another process keeps is named at once, with that process, whichever library was asked."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.commands.main import main
from resources import databases
from resources.databases import DamagedError, LockedError, embedded, first_value, require_free
from resources.faults import in_one_line
from resources.studies import studies
from resources.tracking.runs import tracking

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("begin exclusive")
print("held", flush=True)
input()
"""


@contextmanager
def held(file: Path) -> Iterator[int]:
    """Keep a database locked in another process for the block; yield its number."""
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.communicate("\n")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "WAIT_S", 0.0)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_who_keeps_a_database_is_named(tmp_path: Path, mode: str) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute(f"pragma journal_mode = {mode}")
        connection.execute("create table t (x)")

        with held(tmp_path / "x.db") as pid, pytest.raises(LockedError) as refused:
            require_free(tmp_path / "x.db")

    expected = (
        f"the database {tmp_path / 'x.db'} is locked by process {pid}: wait until that is done with it, or end it"
    )
    assert str(refused.value).startswith(expected)
    require_free(tmp_path / "x.db", tmp_path / "absent.db")


def test_any_error_about_a_lock_is_known_and_no_other() -> None:
    told = RuntimeError("(sqlite3.OperationalError) database is locked [SQL: select 1]")
    around = ValueError("the run could not be made")
    around.__cause__ = told

    assert "was locked by another process for some seconds; try again" in str(in_one_line(around))
    assert in_one_line(ValueError("no such table: t")) is None


READING_MODELS = ["locate small@champion", "locate small:1", "diff small:1 small:2", "history digits"]
WRITING = [
    "gc",
    "gc --dry-run",
    "init",
    "demo digits",
    "approve digits 1 --reason x",
    "rollback digits --to 1 --reason x",
]


def test_each_command_says_in_one_line_that_a_database_is_locked(
    stocked_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    studies().storage()
    files = list(embedded())
    assert {file.stem for file in files} == {"mlflow", "studies", "index", "runs", "schedules"}

    for file in files:
        commands = WRITING + (READING_MODELS if file.name == "mlflow.db" else [])
        with held(file) as pid:
            for command in commands:
                shown = CliRunner().invoke(main, command.split())

                assert shown.exit_code == 1, command
                assert f"Error: the database {file} is locked by process {pid}: wait" in shown.output, command
                assert len(shown.output.splitlines()) <= 2, command  # an `approve` says first what it is about


def test_what_needs_no_database_works_all_the_same(stocked_home: Path) -> None:
    with held(stocked_home / "mlflow" / "mlflow.db"), pytest.raises(LockedError):
        tracking().client()
    with held(stocked_home / "mlflow" / "mlflow.db"):
        shown = CliRunner().invoke(main, ["locate", "small/evaluation"])

    assert "nothing called 'small/evaluation' has coordinates" in shown.output


@pytest.mark.parametrize("content", [b"no database at all " * 300, None], ids=["other bytes", "cut off"])
def test_a_database_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "x.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("create table t (x)")
        connection.executemany("insert into t values (?)", [("x" * 1000,)] * 100)
        connection.commit()
    file.write_bytes(content or file.read_bytes()[:20_000])

    for asked in (lambda: require_free(file), lambda: first_value(file, "select count(*) from t")):
        with pytest.raises(DamagedError, match=rf"the database {file} is damaged \(.*\): put it back from a backup"):
            asked()


def test_an_empty_database_has_no_values(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()

    assert first_value(tmp_path / "x.db", "select x from t") is None


@pytest.mark.parametrize("command", [*WRITING, *READING_MODELS])
def test_each_command_says_in_one_line_that_a_database_is_damaged(stocked_home: Path, command: str) -> None:
    file = stocked_home / "mlflow" / "mlflow.db"
    file.write_bytes(b"x" * 5000)

    shown = CliRunner().invoke(main, command.split())

    assert shown.exit_code == 1 or command == "init"
    assert f"Error: the database {file} is damaged" in shown.output or command == "init"
    assert len(shown.output.splitlines()) <= 2
