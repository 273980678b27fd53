"""`sextant containerize`, up to where BentoML takes over; the image itself is tested with the service."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dagster_project.commands.main import main
from tests.support.packaged import put_bundle


class Started(Exception):
    """In place of BentoML."""


def never(path: str, command: list[str]) -> None:
    raise Started(command, os.getcwd(), os.environ["BENTOML_HOME"])


@pytest.fixture
def started(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command on a home with two versions; returns BentoML's command, where it is run, and the store."""
    for version in ("1-aa", "2-bb"):
        put_bundle(home / "bentoml", "churn", version, {"plan.json": b"{}"})
    monkeypatch.setattr(os, "execv", never)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.chdir(home)

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(main, ["containerize", "churn", *arguments])
        assert isinstance(result.exception, Started), result.output
        return result.exception.args

    return run


def test_it_hands_the_newest_bento_to_bentoml_from_where_that_finds_the_template(started: Any, home: Path) -> None:
    command, folder, store = started()

    assert command[4:] == ["containerize", "churn:2-bb", "--backend", "docker"]
    assert folder == os.path.realpath(tempfile.gettempdir())
    assert store == str(home / "bentoml")


def test_podman_keeps_the_health_check_and_other_options_are_bentomls(started: Any) -> None:
    command, *_ = started("--version", "1", "--backend", "podman", "--image-tag", "a:b", "--opt", "build-arg=BASE=c")

    assert command[5:8] == ["churn:1-aa", "--backend", "podman"]
    assert command[8:] == ["--opt", "format=docker", "--image-tag", "a:b", "--opt", "build-arg=BASE=c"]


def test_without_a_bento_it_says_what_to_materialize(home: Path) -> None:
    result = CliRunner().invoke(main, ["containerize", "breast_cancer"])

    assert result.exit_code == 1
    assert "'breast_cancer' has no Bento yet: materialize breast_cancer/bento first" in result.output
