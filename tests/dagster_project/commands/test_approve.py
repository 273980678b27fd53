"""The commands around a champion, from a terminal: wait, approve, refuse, roll back, look back."""

import json
import subprocess
from contextlib import redirect_stderr
from io import StringIO
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner, Result

from assets.framework.case import Case
from dagster_project.commands.main import main
from dagster_project.components import UseCase, definitions_of
from dagster_project.definitions import CONFIGS, resources
from tests.support.edited import in_home


class Terminal:
    """The commands, over the use case breast_cancer with other declarations; its jobs run in this process."""

    def declare(self, **changes: object) -> None:
        declared = yaml.safe_load((CONFIGS / "breast_cancer" / "defs.yaml").read_text())["attributes"]
        declared |= {"models": {"logistic": {"trials": 1}}, **changes}
        self.case = Case("breast_cancer", UseCase.model_validate(declared))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    def process(self, command: list[str], **_: Any) -> "Process":
        return Process(self.case, dict(pairwise(command)))


class Process:
    """A process that executes a job; `said` are the options of its command."""

    def __init__(self, case: Case, said: dict[str, str]) -> None:
        defs = dg.Definitions.merge(definitions_of(case), dg.Definitions(resources=resources()))
        config = yaml.safe_load(Path(said["-c"]).read_text()) if "-c" in said else None
        with dg.DagsterInstance.get() as instance, redirect_stderr(StringIO()):
            done = defs.resolve_job_def(said["-j"]).execute_in_process(
                config, instance, tags=json.loads(said["--tags"]), raise_on_error=False
            )
        self.status = int(not done.success)

    def poll(self) -> int:
        return self.status

    wait = poll


@pytest.fixture
def terminal(stocked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    in_home(stocked_home, monkeypatch)
    terminal = Terminal()
    processes = SimpleNamespace(Popen=terminal.process, STDOUT=subprocess.STDOUT)
    monkeypatch.setattr("dagster_project.runs.launch.subprocess", processes)
    return terminal


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

    assert waits.exit_code == 0, waits.stdout + waits.stderr
    assert "version 1 waits as the challenger: sextant approve breast_cancer 1 --reason …" in waits.stdout
    assert nothing.stdout == "no model of breast_cancer was promoted yet\n"
    assert stricter.exit_code == 1
    assert "not promoted, there is still no champion. Refused by the gate roc_auc: roc_auc is 0." in stricter.stdout
    assert stricter.stderr.startswith("Error: there is no champion; the run's log is ")
    assert approved.exit_code == 0, approved.stdout + approved.stderr
    assert "approve of version 1 of breast_cancer, by ada" in approved.stdout
    assert "version 1 is the champion; sextant serve breast_cancer serves its Bento" in approved.stdout
    assert refused.exit_code == 1
    assert "refused     by roc_auc" in refused.stdout
    assert "; version 1 stays champion" in refused.stdout
    assert "REFUSED roc_auc: roc_auc is 0." in refused.stdout
    assert "version 1 approved by ada\n    the first\n    accuracy at 0.5 = 0." in history.stdout
    assert back.exit_code == 1
    assert "no champion is known from before version 1; name a version with --to" in back.stderr
