"""The command behind `make demo`, on the small use case."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SEXTANT = Path(sys.executable).parent / "sextant"


def files(folder: Path) -> set[str]:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if "__pycache__" not in name}


@pytest.mark.slow
def test_it_says_what_came_out_twice_and_writes_nothing_outside_of_its_home(
    tmp_path: Path, home: Path, copy_project: Callable[[Path], Path]
) -> None:
    project, user = copy_project(tmp_path / "project"), tmp_path / "user"
    user.mkdir()
    before = files(project)
    environment = {name: value for name, value in os.environ.items() if name not in ("MPLCONFIGDIR",)}
    environment |= {"PYTHONPATH": str(project), "HOME": str(user)}

    def demo() -> str:
        command = [SEXTANT, "demo", "breast_cancer"]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    first, second = demo(), demo()

    for line in (r"done +breast_cancer/models/mlp +\d+\.\d s", r"lightgbm +0\.\d{4}", r"test +roc_auc = [01]\.\d{4}",
                 r"production +breast_cancer version 1", r"because roc_auc", r"asked +\{", r'answered +\{"score": ',
                 r"report +/.*\.html", r"Bento +breast_cancer:1-", r"http://127\.0\.0\.1:3000"):  # fmt: skip
        assert re.search(line, first), (line, first)
    assert re.search(r"reused +breast_cancer/models/mlp", second)
    assert "because the candidate is the champion, version 1" in second
    assert (files(project), files(user)) == (before, set())
    assert {path.name for path in home.iterdir()} >= {"bentoml", "coordinates", "dagster", "logs", "mlflow", "storage"}


def test_a_failed_run_says_what_is_wrong_with_which_use_case(
    tmp_path: Path, home: Path, copy_project: Callable[[Path], Path]
) -> None:
    project = copy_project(tmp_path / "project")
    file = project / "configs" / "breast_cancer" / "defs.yaml"
    file.write_text(file.read_text().replace("diagnosis = 'malignant'", "diagnose = 'malignant'"))

    command, environment = [SEXTANT, "demo", "breast_cancer"], os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)

    assert done.returncode == 1
    assert (
        "FAILED breast_cancer/examples\n    ml.base.sql.DataError: use case 'breast_cancer', table 'samples'"
        in done.stdout
    )
    assert "names ['diagnose'], which are no columns" in done.stdout
    assert "the run failed; its log is" in done.stderr
