import os
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.location.instance import prepare, write_env


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a Sextant home that does not exist yet."""
    monkeypatch.setenv("SEXTANT_HOME", str(tmp_path / "sextant"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    return tmp_path / "sextant"


def test_the_instance_is_made_in_the_home_and_both_are_named_in_the_environment(fresh: Path) -> None:
    folder = prepare()

    assert folder == fresh / "dagster"
    assert (os.environ["SEXTANT_HOME"], os.environ["DAGSTER_HOME"]) == (str(fresh), str(folder))
    with dg.DagsterInstance.get() as instance:
        assert type(instance.run_launcher).__name__ == "LocalRunLauncher"
        assert instance.run_monitoring_enabled


def test_settings_that_are_there_stay(fresh: Path) -> None:
    (prepare() / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    folder = prepare()

    assert (folder / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_the_env_file_names_the_home_once_and_keeps_what_is_there(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WAREHOUSE=sqlite:///orders.db\n")

    file = write_env(tmp_path)
    first = file.read_text()
    write_env(tmp_path)

    assert file.read_text() == first
    assert first.endswith("\nWAREHOUSE=sqlite:///orders.db\n")
    assert first.splitlines()[:2] == [
        f"SEXTANT_HOME=${{SEXTANT_HOME:-{fresh}}}",
        "DAGSTER_HOME=${SEXTANT_HOME}/dagster",
    ]
