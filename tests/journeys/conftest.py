"""A home that the first version of the project left behind: a use case with two promoted versions and their Bentos."""

import tarfile
from pathlib import Path

import pytest

from dagster_project.definitions import PINNED
from tests.support.small import move_artifacts

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "home.tar.xz"
MADE_IN = "file:///tmp/sextant-fixture/home"


@pytest.fixture
def former(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home, in this test's own folder: MLflow keeps whole paths, and these follow."""
    for name, value in PINNED.items():
        monkeypatch.setenv(name, value)
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(home, filter="data")
    move_artifacts(home, MADE_IN)
    return home
