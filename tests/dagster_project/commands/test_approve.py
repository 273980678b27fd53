"""The commands around a champion, from a terminal: wait, approve, refuse, roll back, look back."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SEXTANT = Path(sys.executable).parent / "sextant"


class Terminal:
    """A copy of the project whose use case breast_cancer can be changed."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.file = project / "configs" / "breast_cancer" / "defs.yaml"

    def declare(self, **changes: object) -> None:
        declared = yaml.safe_load((ROOT / "configs" / "breast_cancer" / "defs.yaml").read_text())
        declared["attributes"] |= {"models": {"logistic": {"trials": 1}}, **changes}
        self.file.write_text(yaml.safe_dump(declared))

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {"PYTHONPATH": str(self.project)}
        return subprocess.run([SEXTANT, *arguments], cwd=self.project, env=environment, capture_output=True, text=True)


@pytest.fixture
def terminal(tmp_path: Path, home: Path, copy_project: Callable[[Path], Path]) -> Terminal:
    return Terminal(copy_project(tmp_path / "project"))


@pytest.mark.slow
def test_a_candidate_waits_is_approved_and_protected_from_the_next_one(terminal: Terminal) -> None:
    terminal.declare(production={"approval": "required"})
    waits = terminal.run("demo", "breast_cancer")
    nothing = terminal.run("history", "breast_cancer")
    terminal.declare(production={"approval": "required"}, gates={"roc_auc": {"at_least": 0.99999}})
    stricter = terminal.run("approve", "breast_cancer", "1", "--reason", "the first", "--by", "ada")
    terminal.declare(production={"approval": "required"})
    approved = terminal.run("approve", "breast_cancer", "1", "--reason", "the first", "--by", "ada")
    terminal.declare(gates={"roc_auc": {"at_least": 0.99999}}, seed=1)
    refused = terminal.run("demo", "breast_cancer")
    history = terminal.run("history", "breast_cancer")
    back = terminal.run("rollback", "breast_cancer", "--reason", "why not")

    assert waits.returncode == 0, waits.stdout + waits.stderr
    assert "version 1 waits as the challenger: sextant approve breast_cancer 1 --reason …" in waits.stdout
    assert nothing.stdout == "no model of breast_cancer was promoted yet\n"
    assert stricter.returncode == 1
    assert "not promoted, there is still no champion. Refused by the gate roc_auc: roc_auc is 0." in stricter.stdout
    assert stricter.stderr.startswith("Error: there is no champion; the run's log is ")
    assert approved.returncode == 0, approved.stdout + approved.stderr
    assert "approve of version 1 of breast_cancer, by ada" in approved.stdout
    assert "version 1 is the champion; sextant serve breast_cancer serves its Bento" in approved.stdout
    assert refused.returncode == 1
    assert "refused     by roc_auc" in refused.stdout
    assert "; version 1 stays champion" in refused.stdout
    assert "REFUSED roc_auc: roc_auc is 0." in refused.stdout
    assert "version 1 approved by ada\n    the first\n    accuracy 0." in history.stdout
    assert back.returncode == 1
    assert "no champion is known from before version 1; name a version with --to" in back.stderr
