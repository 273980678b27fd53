"""The code location: what it contains, what it imports, and what a broken use case does."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from inspect import isabstract
from pathlib import Path
from typing import Any

import dagster as dg
import jsonschema
import pytest
import yaml

from dagster_project.definitions import defs
from ml.declaration import use_case as spec
from ml.declaration.kinds import Kind

ROOT = Path(__file__).parents[2]


def parts_of(base: type[spec.Part]) -> Iterator[str]:
    """Yield the names of the parts that a declaration may have; what several of them are made from is none."""
    for part in base.__subclasses__():
        if part is Kind or isabstract(part) or part.__name__.startswith("_"):
            yield from parts_of(part)
        else:
            yield part.__name__


PARTS = sorted({*parts_of(spec.Part)} - {"UseCaseSpec", "OpenPart"})


@pytest.mark.slow
def test_heavy_libraries_are_not_imported_by_the_code_location(home: Path) -> None:
    code = (
        "import sys; from dagster_project.definitions import defs; defs();"
        "heavy = {'torch', 'mlflow', 'lightgbm', 'sklearn', 'featuretools', 'bentoml', 'pandera'};"
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert done.stdout.strip() == "[]", done.stderr


def test_the_demo_tunes_a_linear_family_boosting_a_network_and_their_blend() -> None:
    declared = yaml.safe_load((ROOT / "configs" / "flight_delays" / "defs.yaml").read_text())

    assert list(declared["attributes"]["models"]) == ["logistic", "lightgbm", "mlp", "ensemble"]


def test_jobs_schedule_and_sensor_are_those_of_the_declarations() -> None:
    repository = defs().get_repository_def()

    assert {"breast_cancer_retrain", "breast_cancer_score", "flight_delays_retrain", "flight_delays_score"} <= set(
        repository.job_names
    )
    assert [schedule.name for schedule in repository.schedule_defs] == ["flight_delays_schedule"]
    assert [sensor.name for sensor in repository.sensor_defs] == ["flight_delays_new_data"]
    dg.Definitions.validate_loadable(defs())


RIDES = """
type: dagster_project.components.UseCase
attributes:
  description: How long?
  task: regression
  tables: {rides: {source: {path: r.csv}, key: id, time: began}}
  examples: {table: rides, cutoff: began, target: minutes, split: {train_until: 2024-02-01, validate_until: 2024-02-15}}
  features: {history: {table: rides, group_by: [city], windows: [30d]}}
  models: {ridge: {}}
"""
MISTAKES = {  # by use case: what to write instead of what, and what the error must say
    "a_key": (
        "trials: 3",
        "trails: 3",
        "logistic.trails",
        14,
        ["did you mean 'trials'", "allowed: gpu, gpu_share, keep, refit, refit_seeds, rows, search, tolerance"],
    ),
    "a_count": ("trials: 3", "trials: -3", "logistic.trials", 14, ["greater than or equal to 1", "given: -3"]),
    "a_family": ("  mlp:", "  forest:", "models.forest", 16, ["logistic, mlp, random_forest, resnet, ridge, xgboost"]),
    "a_type": ("trials: 3", "trials: three", "logistic.trials", 14, ["a valid integer", "given: 'three'"]),
    "a_table": ("  samples:\n", "  sample:\n", "attributes", 2, ["the table 'samples', which is not declared"]),
}


@pytest.fixture
def project(tmp_path: Path, home: Path, copy_project: Callable[[Path], Path]) -> Path:
    """Return a copy of the project with a use case for each mistake."""
    copy_project(tmp_path)
    text = (ROOT / "configs" / "breast_cancer" / "defs.yaml").read_text()
    for name, (right, wrong, *_) in MISTAKES.items():
        (tmp_path / "configs" / name).mkdir()
        (tmp_path / "configs" / name / "defs.yaml").write_text(text.replace(right, wrong, 1))
    return tmp_path


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(project), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, cwd=project, env=environment)


def descriptions(project: Path) -> dict[str, str]:
    """Return the description of each asset of the project's code location, loaded in a process of its own."""
    code = (
        "import json\n"
        "from dagster_project.definitions import defs\n"
        "graph = defs().resolve_asset_graph()\n"
        "print(json.dumps({key.to_user_string(): graph.get(key).description for key in graph.get_all_asset_keys()}))"
    )
    done = run(project, sys.executable, "-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_broken_use_case_is_one_asset_that_says_where_and_what(project: Path) -> None:
    assets = descriptions(project)

    assert "breast_cancer/bento" in assets
    for name, (_, _, field, line, words) in MISTAKES.items():
        assert [key for key in assets if key.startswith(name)] == [f"{name}/broken"]
        for expected in [f"configs/{name}/defs.yaml:{line}", field, *words]:
            assert expected in assets[f"{name}/broken"]
        assert "errors.pydantic.dev" not in assets[f"{name}/broken"]


def test_broken_use_cases_fail_dg_check_defs_together(project: Path) -> None:
    done = run(project, str(Path(sys.executable).parent / "dg"), "check", "defs", "--no-check-yaml")

    assert done.returncode == 1
    for name in MISTAKES:
        assert f"configs/{name}/defs.yaml cannot be loaded" in done.stdout


def test_a_scaffolded_use_case_is_valid_as_it_stands_and_advice_is_printed(project: Path) -> None:
    for name in MISTAKES:
        shutil.rmtree(project / "configs" / name)
    (project / "configs" / "rides").mkdir()
    (project / "configs" / "rides" / "defs.yaml").write_text(RIDES)
    dg_command = str(Path(sys.executable).parent / "dg")

    scaffolded = run(project, dg_command, "scaffold", "defs", "dagster_project.components.UseCase", "churn")

    assert scaffolded.returncode == 0, scaffolded.stdout + scaffolded.stderr
    for checked in ("yaml", "defs"):
        done = run(project, dg_command, "check", checked)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "configs/rides/defs.yaml: the target of earlier rows (minutes) is in no history" in done.stderr
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


def test_a_setting_comes_from_the_environment_and_a_missing_one_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project / "configs" / "a_key" / "defs.yaml"
    source = '{python: "dagster_project.examples.breast_cancer:samples"}'
    warehouse = '{query: "select 1", url: "{{ env.WAREHOUSE }}"}'
    file.write_text(file.read_text().replace("trails", "trials").replace(source, warehouse))

    monkeypatch.delenv("WAREHOUSE", raising=False)
    missing = descriptions(project)
    monkeypatch.setenv("WAREHOUSE", "sqlite:///orders.db")
    assets = descriptions(project)

    assert "WAREHOUSE" in missing["a_key/broken"]
    assert "a_key/raw/samples" in assets


def test_the_schema_for_editors_accepts_what_is_shipped_and_describes_every_field(project: Path) -> None:
    done = run(project, str(Path(sys.executable).parent / "dg"), "utils", "generate-component-schema")
    assert done.returncode == 0, done.stdout + done.stderr
    schema = json.loads((project / ".dg" / "schema.json").read_text())
    parts = {name: schema["$defs"][name] for name in [*PARTS, "dagster_project__components__UseCase"]}

    for part in parts.values():
        assert part["additionalProperties"] is False
        assert [name for name, field in part["properties"].items() if not field.get("description")] == []
    check = jsonschema.Draft202012Validator(schema)
    for file in (ROOT / "configs").glob("*/defs.yaml"):
        check.validate(_as_json(file))
    for name in ("a_key", "a_family", "a_count"):
        assert not check.is_valid(_as_json(project / "configs" / name / "defs.yaml"))


def _as_json(file: Path) -> Any:
    """Return a file as an editor checks it: YAML's dates are texts there."""
    return json.loads(json.dumps(yaml.safe_load(file.read_text()), default=str))
