"""Every test has its own SEXTANT_HOME."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ml.coordinates import PACKAGES

ROOT = Path(__file__).parents[1]

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("SEXTANT_HOME", str(folder))
    monkeypatch.setenv("DAGSTER_HOME", str(folder / "dagster"))
    (folder / "dagster").mkdir(parents=True)
    (folder / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return folder


@pytest.fixture(scope="session")
def copy_project() -> Callable[[Path], Path]:
    """Copies the project to a folder, for tests that change its configs."""

    def copy(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        for file in ("pyproject.toml", "workspace.yaml"):
            shutil.copy(ROOT / file, folder)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        return folder

    return copy
