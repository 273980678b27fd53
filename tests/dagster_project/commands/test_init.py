from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.commands.main import main


def test_it_prepares_the_home_and_says_which_file_names_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = CliRunner().invoke(main, ["init"], catch_exceptions=False)

    assert ended.output == f"all state lies in {home} (said by {tmp_path / '.env'})\n"
    assert str(home) in (tmp_path / ".env").read_text()
