"""The code location: what it contains, what it imports, and what a broken use case does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.definitions import defs

ROOT = Path(__file__).parents[2]


def test_heavy_libraries_are_not_imported_by_the_code_location(home: Path) -> None:
    code = (
        "import sys; from dagster_project.definitions import defs; defs();"
        "print(sorted({'torch', 'mlflow', 'lightgbm', 'sklearn', 'featuretools', 'bentoml'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert done.stdout.strip() == "[]", done.stderr


def test_jobs_schedule_and_sensor_are_those_of_the_declarations() -> None:
    repository = defs().get_repository_def()

    assert {"breast_cancer_retrain", "breast_cancer_score", "flight_delays_retrain", "flight_delays_score"} <= set(
        repository.job_names
    )
    assert [schedule.name for schedule in repository.schedule_defs] == ["flight_delays_schedule"]
    assert [sensor.name for sensor in repository.sensor_defs] == ["flight_delays_new_data"]
    dg.Definitions.validate_loadable(defs())


@pytest.fixture
def project(tmp_path: Path, home: Path, copy_project: Callable[[Path], Path]) -> Path:
    """A copy of the project with one more use case, whose declaration has a mistake."""
    copy_project(tmp_path)
    text = (ROOT / "configs" / "breast_cancer" / "defs.yaml").read_text()
    (tmp_path / "configs" / "broken").mkdir()
    (tmp_path / "configs" / "broken" / "defs.yaml").write_text(text.replace("trials: 3", "trails: 3"))
    return tmp_path


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(project), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, cwd=project, env=environment)


def test_a_broken_use_case_is_one_asset_that_carries_the_error(project: Path) -> None:
    code = (
        "from dagster_project.definitions import defs\n"
        "graph = defs().resolve_asset_graph()\n"
        "for key in graph.get_all_asset_keys(): print(key.to_user_string(), graph.get(key).description)"
    )

    done = run(project, sys.executable, "-W", "ignore", "-c", code)

    assert "breast_cancer/bento" in done.stdout, done.stderr
    assert "broken/bento" not in done.stdout
    assert "broken/broken configs/broken/defs.yaml" in done.stdout
    assert "broken/defs.yaml:14" in done.stdout
    assert "attributes.models.logistic.trails at" in done.stdout


def test_a_broken_use_case_fails_dg_check_defs(project: Path) -> None:
    done = run(project, str(Path(sys.executable).parent / "dg"), "check", "defs", "--no-check-yaml")

    assert done.returncode == 1
    assert "trails" in done.stdout + done.stderr


def test_a_scaffolded_use_case_is_valid_as_it_stands(project: Path) -> None:
    shutil.rmtree(project / "configs" / "broken")
    dg_command = str(Path(sys.executable).parent / "dg")

    scaffolded = run(project, dg_command, "scaffold", "defs", "dagster_project.components.UseCase", "churn")

    assert scaffolded.returncode == 0, scaffolded.stdout + scaffolded.stderr
    for checked in ("yaml", "defs"):
        done = run(project, dg_command, "check", checked)
        assert done.returncode == 0, done.stdout + done.stderr
    assert '"churn/bento"' in run(project, dg_command, "list", "defs", "--json").stdout


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["check", "yaml"], ["check", "defs"], ["list", "defs"]])
def test_the_dg_commands_work(arguments: list[str], home: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dg"), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )

    assert done.returncode == 0, done.stdout + done.stderr
