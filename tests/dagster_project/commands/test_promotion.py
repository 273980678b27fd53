"""The commands around a champion, from a terminal: wait, approve, refuse, roll back, look back."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dagster_project.runs.demo_bad import BAD, demo_bad
from dagster_project.runs.outcome import Outcome, Refusal
from ml.declaration.use_case import UseCaseSpec

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


class Fake:
    """Runs that end as they are told to, and a registry with one alias."""

    def __init__(self, refusal: Refusal | None, after: str) -> None:
        self.refusal, self.versions = refusal, iter(["1", after])

    def execute(self, use_case: str, job: str, *, project: Path) -> Outcome:
        declared = yaml.safe_load((project / "configs" / use_case / "defs.yaml").read_text())["attributes"]
        assert {name: declared[name] for name in BAD[use_case]} == BAD[use_case]
        UseCaseSpec.model_validate(declared)
        return Outcome(False, "run", Path("log"), self.refusal)

    def version(self, name: str, alias: str) -> str:
        return next(self.versions)


REFUSED = Refusal("version 1 stays champion", [{"gate": "roc_auc", "passed": False, "reason": "too low"}])


@pytest.mark.parametrize(
    ("refusal", "after", "said"),
    [
        (REFUSED, "1", None),
        (REFUSED, "2", "the bad candidate was promoted: version 2 is champion instead of 1"),
        (None, "1", "no gate was asked"),
    ],
)
def test_the_bad_demo_ends_well_only_if_a_gate_refused_and_the_champion_stayed(
    refusal: Refusal | None, after: str, said: str | None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    fake = Fake(refusal, after)
    monkeypatch.setattr("dagster_project.runs.demo_bad.execute", fake.execute)
    monkeypatch.setattr("dagster_project.runs.demo_bad.tracking", lambda: fake)

    if said is None:
        demo_bad("flight_delays")
        assert "REFUSED roc_auc: too low" in capsys.readouterr().out
    else:
        with pytest.raises(Exception, match=said):
            demo_bad("flight_delays")
