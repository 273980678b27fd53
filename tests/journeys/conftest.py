"""A home that the first version of the project left behind: a use case with two promoted versions and their Bentos."""

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from dagster_project.definitions import PINNED

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "home.tar.xz"
MADE_IN = "file:///tmp/sextant-fixture/home"
LOCATIONS = {
    "experiments": ["artifact_location"],
    "runs": ["artifact_uri"],
    "model_versions": ["source", "storage_location"],
}


@pytest.fixture
def former(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home, in this test's own folder: MLflow keeps whole paths, and these follow."""
    for name, value in PINNED.items():
        monkeypatch.setenv(name, value)
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(home, filter="data")
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as database:
        for table, columns in LOCATIONS.items():
            for column in columns:
                database.execute(f"update {table} set {column} = replace({column}, ?, ?)", (MADE_IN, home.as_uri()))
        database.commit()
    return home
