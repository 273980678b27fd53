from pathlib import Path

import pytest
import yaml

from dagster_project.runs.demo_bad import BAD, demo_bad
from dagster_project.runs.outcome import Outcome, Refusal
from ml.declaration.use_case import UseCaseSpec


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
    ("refusal", "after", "message"),
    [
        (REFUSED, "1", None),
        (REFUSED, "2", "the bad candidate was promoted: version 2 is champion instead of 1"),
        (None, "1", "no gate was asked"),
    ],
)
def test_the_bad_demo_ends_well_only_if_a_gate_refused_and_the_champion_stayed(
    refusal: Refusal | None, after: str, message: str | None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    fake = Fake(refusal, after)
    monkeypatch.setattr("dagster_project.runs.demo_bad.execute", fake.execute)
    monkeypatch.setattr("dagster_project.runs.demo_bad.tracking", lambda: fake)

    if message is None:
        demo_bad("flight_delays")
        assert "REFUSED roc_auc: too low" in capsys.readouterr().out
    else:
        with pytest.raises(Exception, match=message):
            demo_bad("flight_delays")
