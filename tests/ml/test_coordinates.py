"""The coordinate of the code where there is git and where there is none."""

from pathlib import Path

import pytest

from ml.coordinates import git_state
from ml.source import ROOT


def test_the_commit_is_that_of_the_tree_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the project has no git")
    monkeypatch.setenv("SEXTANT_COMMIT", "f00d")

    assert len(git_state.__wrapped__(ROOT)["commit"]) == 40


@pytest.mark.parametrize(
    ("said", "commit", "dirty"),
    [("c0ffee", "c0ffee", False), ("c0ffee-dirty", "c0ffee", True), ("", None, None), (None, None, None)],
)
def test_without_git_the_commit_is_what_the_image_was_built_with(
    said: str | None, commit: str | None, dirty: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEXTANT_COMMIT", raising=False)
    if said is not None:
        monkeypatch.setenv("SEXTANT_COMMIT", said)

    found = git_state(tmp_path)

    assert (found["commit"], found["dirty"]) == (commit, dirty)
