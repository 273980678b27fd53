"""The coordinates of the code, with git and without, and of the environment."""

import subprocess
import sys
from pathlib import Path

import pytest

from ml.provenance.coordinates import origin
from ml.provenance.source import ROOT


def test_the_commit_is_that_of_the_tree_whatever_the_environment_says() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the project has no git")

    assert len(origin(ROOT, "f00d")["commit"]) == 40


@pytest.mark.parametrize(
    ("stated", "commit", "dirty"),
    [("c0ffee", "c0ffee", False), ("c0ffee-dirty", "c0ffee", True), ("", None, None)],
)
def test_without_git_the_commit_is_what_the_image_was_built_with(
    stated: str, commit: str | None, dirty: bool | None, tmp_path: Path
) -> None:
    state = origin(tmp_path, stated)

    assert (state["commit"], state["dirty"]) == (commit, dirty)


@pytest.mark.slow
def test_the_environment_does_not_depend_on_what_has_been_imported() -> None:
    """setuptools puts a folder of packages of its own on the path as soon as it is imported, as featuretools does."""
    code = "from ml.provenance.coordinates import environment_coordinate; print(environment_coordinate()['id'])"

    ids = {
        subprocess.check_output([sys.executable, "-W", "ignore", "-c", first + code], cwd=ROOT, text=True)
        for first in ("", "import setuptools; ", "import pkg_resources; ")
    }

    assert len(ids) == 1
