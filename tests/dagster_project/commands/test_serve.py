"""`sextant serve`: what it takes, and what it hands to BentoML."""

import os
import socket
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.commands.main import main
from resources.bentos import free_port


class Started(Exception):
    """In place of the server."""


def never(path: str, command: list[str]) -> None:
    raise Started(command)


def test_without_a_bento_it_says_what_to_materialize(home: Path) -> None:
    result = CliRunner().invoke(main, ["serve", "churn"])

    assert result.exit_code == 1
    assert "'churn' has no Bento yet: materialize churn/bento first" in result.output


def test_a_use_case_without_a_bento_is_answered_with_those_that_have_one(stored: Path) -> None:
    result = CliRunner().invoke(main, ["serve", "chrun"])

    store = stored.parents[1]
    assert f"'chrun' has no Bento yet: materialize chrun/bento first; {store} has those of churn" in result.output


def test_with_wait_it_says_so_and_serves_the_first_bento(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latest = home / "bentoml" / "bentos" / "churn" / "latest"

    def package(seconds: float) -> None:
        latest.parent.mkdir(parents=True)
        latest.write_text("1-abc\n")

    monkeypatch.setattr(time, "sleep", package)
    monkeypatch.setattr(os, "execv", never)
    monkeypatch.setattr(os, "environ", os.environ.copy())

    result = CliRunner().invoke(main, ["serve", "churn", "--wait"])

    assert f"waiting for it in {latest.parent}" in result.output
    assert isinstance(result.exception, Started)
    assert "churn:1-abc" in result.exception.args[0]


@pytest.fixture
def stored(home: Path) -> Path:
    """Return the folder of a use case with three Bentos, of which the second answers."""
    folder = home / "bentoml" / "bentos" / "churn"
    for version in ("1-aa", "2-bb", "3-cc"):
        (folder / version).mkdir(parents=True)
        (folder / version / "bento.yaml").touch()
    (folder / "latest").write_text("2-bb")
    return folder


def started(monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[list[str], dict[str, str]]:
    """Return the command that takes the place of this one, and the settings that it has."""
    environment = {
        name: value for name, value in os.environ.items() if name in ("PATH", "SEXTANT_HOME", "SEXTANT_FOLLOW")
    }
    monkeypatch.setattr(os, "execv", never)
    monkeypatch.setattr(os, "environ", environment)
    result = CliRunner().invoke(main, ["serve", "churn", "--port", str(free_port()), *options])
    assert isinstance(result.exception, Started), result.output
    return result.exception.args[0], environment


def refused(*options: str) -> str:
    """Return what is said where nothing is started."""
    result = CliRunner().invoke(main, ["serve", "churn", *options])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code != 0
    return " ".join(result.output.split())


def test_the_newest_is_served_by_one_worker_that_follows_nobody(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command, settings = started(monkeypatch)

    assert command[1:5] == ["-m", "bentoml", "serve", "churn:2-bb"]
    assert settings["BENTOML_HOME"] == str(stored.parents[1])
    assert settings["SEXTANT_WORKERS"] == "1"
    assert "SEXTANT_FOLLOW" not in settings
    assert "SEXTANT_EVENTS" not in settings


def test_workers_may_be_set_in_the_environment(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "SEXTANT_WORKERS": "4"}
    monkeypatch.setattr(os, "execv", never)
    monkeypatch.setattr(os, "environ", environment)

    CliRunner().invoke(main, ["serve", "churn", "--port", str(free_port())])

    assert environment["SEXTANT_WORKERS"] == "4"


@pytest.mark.parametrize("tag", ["1-aa", "churn:1-aa"])
def test_an_exact_bento_is_served(stored: Path, monkeypatch: pytest.MonkeyPatch, tag: str) -> None:
    assert "churn:1-aa" in started(monkeypatch, "--tag", tag)[0]


@pytest.mark.parametrize(
    ("options", "setting", "follows"),
    [
        (["--follow"], "", "5"),
        (["--follow"], "0", "5"),
        (["--follow"], "2.5", "2.5"),
        ([], "2.5", "2.5"),
        (["--tag", "1-aa"], "2.5", ""),
    ],
)
def test_the_environment_may_say_how_often_to_look_but_not_to_leave_an_exact_bento(
    stored: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], setting: str, follows: str
) -> None:
    monkeypatch.setenv("SEXTANT_FOLLOW", setting)

    assert started(monkeypatch, *options)[1]["SEXTANT_FOLLOW"] == follows


@pytest.mark.parametrize("tag", ["4-dd", "latest", "other:1-aa", "1", "", "../churn/1-aa"])
def test_a_tag_that_is_not_there_is_refused_with_those_that_are(stored: Path, tag: str) -> None:
    assert f"{tag!r} is no Bento of 'churn' in {stored}; there are 1-aa, 2-bb, 3-cc" in refused("--tag", tag)


def test_a_tag_of_a_use_case_without_bentos_is_refused(home: Path) -> None:
    assert "there is none" in refused("--tag", "1-aa")


def test_one_bento_for_good_and_each_new_one_exclude_each_other(stored: Path) -> None:
    assert "--tag serves one Bento for good" in refused("--tag", "1-aa", "--follow")


def test_workers_events_host_and_following_are_settings_of_the_service(
    stored: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = ["--workers", "3", "--events", str(tmp_path), "--follow", "--host", "127.0.0.2"]

    command, settings = started(monkeypatch, *options)

    assert command[command.index("--host") + 1] == "127.0.0.2"
    named = {name: value for name, value in settings.items() if name in ("SEXTANT_WORKERS", "SEXTANT_EVENTS")}
    assert named == {"SEXTANT_WORKERS": "3", "SEXTANT_EVENTS": str(tmp_path)}
    assert float(settings["SEXTANT_FOLLOW"]) > 0


def test_events_may_be_kept_at_a_url(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, "--events", "postgresql://db/events")[1]["SEXTANT_EVENTS"] == "postgresql://db/events"


def test_a_relative_folder_of_events_is_that_of_the_caller(
    stored: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "events").mkdir()
    monkeypatch.chdir(tmp_path)

    assert started(monkeypatch, "--events", "events")[1]["SEXTANT_EVENTS"] == str(tmp_path / "events")


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "is not there: make it first"), ("file", "is no folder")])
def test_events_that_cannot_be_kept_are_refused(stored: Path, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()

    assert f"{tmp_path / name} {reason}" in refused("--events", str(tmp_path / name))


def test_a_port_in_use_is_refused(stored: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"cannot listen on port {port} of 127.0.0.1: Address already in use" in refused("--port", str(port))


@pytest.mark.parametrize("host", ["localhost", "example.org", "1.2.3"])
def test_a_host_is_an_address(stored: Path, host: str) -> None:
    assert f"{host!r} is no address" in refused("--host", host)


@pytest.mark.parametrize("options", [["--workers", "0"], ["--workers", "-1"], ["--port", "0"], ["--port", "65536"]])
def test_numbers_out_of_range_are_refused(stored: Path, options: list[str]) -> None:
    assert f"Invalid value for '{options[0]}'" in refused(*options)
