from pathlib import Path

import dagster as dg

from dagster_project.runs.outcome import Outcome, Refusal, read_outcome

TAGS, LOG = {"sextant/launch": "1"}, Path("log")
VERDICTS = [
    {"gate": "roc_auc", "passed": False, "reason": "too low"},
    {"gate": "size", "passed": True, "reason": "small"},
]


def outcome_of(failure: dg.Failure | None) -> Outcome:
    """Run an asset that fails, or not, and return the outcome of the run."""

    @dg.asset
    def production_model() -> None:
        if failure:
            raise failure

    with dg.DagsterInstance.get() as instance:
        done = dg.materialize([production_model], instance=instance, tags=TAGS, raise_on_error=False)
        outcome = read_outcome(instance, done.success, TAGS, LOG)
    assert outcome.run_id == done.run_id
    return outcome


def test_a_run_that_went_well_has_no_refusal(home: Path) -> None:
    outcome = outcome_of(None)

    assert outcome.succeeded
    assert outcome.refusal is None


def test_a_refusal_is_read_with_its_verdicts(home: Path) -> None:
    outcome = outcome_of(dg.Failure("no", metadata={"champion": "version 1 stays champion", "verdicts": VERDICTS}))

    assert not outcome.succeeded
    assert outcome.refusal == Refusal("version 1 stays champion", VERDICTS)
    assert outcome.refusal.gates == ["roc_auc"]


def test_another_failure_is_no_refusal(home: Path) -> None:
    assert outcome_of(dg.Failure("the disk is full")).refusal is None


def test_a_process_that_ended_before_its_run_began_has_failed(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        assert read_outcome(instance, True, TAGS, LOG) == Outcome(False, "", LOG)
