"""`sextant serve` before there is a Bento."""

import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.commands.main import main


class Started(Exception):
    """In place of the server."""


def never(path: str, command: list[str]) -> None:
    raise Started(command)


def test_without_a_bento_it_says_what_to_materialize(home: Path) -> None:
    result = CliRunner().invoke(main, ["serve", "churn"])

    assert result.exit_code == 1
    assert "'churn' has no Bento yet: materialize churn/bento first" in result.output


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
