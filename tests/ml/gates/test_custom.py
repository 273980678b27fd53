"""A gate of one's own is found early, answers under its own name, and must give a verdict."""

import pytest
from pydantic import ValidationError

from ml.declaration.gates import Gates
from ml.gates.custom import custom_gate
from ml.gates.judge import gate_names, judge
from tests.ml.gates.test_judge import evaluation

HERE = "tests.support.own_gates"


def declared(function: str, **options: object) -> Gates:
    return Gates.model_validate({"own": {f"{HERE}:{function}": options}})


def test_a_gate_of_ones_own_answers_last_under_the_name_of_its_function() -> None:
    gates = declared("enough_rows", rows=2000)

    found = judge(gates, evaluation(rows=1000), "roc_auc")[-1]

    assert gate_names(gates)[-1] == found.gate == "enough_rows"
    assert (found.passed, found.reason, found.figures) == (False, "there are 1000 rows", {"rows": 1.0})
    assert judge(gates, evaluation(rows=2000), "roc_auc")[-1].passed
    assert gates.modules == [HERE]


def test_what_is_no_verdict_does_not_count_as_one() -> None:
    with pytest.raises(TypeError, match="must return a Verdict whose `passed` is a bool, given nan"):
        judge(declared("returns_a_number"), evaluation(), "roc_auc")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (f"{HERE}:nothing", "has no function 'nothing'"),
        ("tests.ml.nowhere:gate", "there is no module 'tests.ml.nowhere'"),
        (f"{HERE}:takes_too_little", "does not take \\(evaluation, options\\)"),
    ],
)
def test_a_reference_that_leads_to_no_gate_says_so(reference: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        custom_gate(reference)


@pytest.mark.parametrize("reference", ["enough_rows", f"{HERE}:size", f"{HERE}:roc_auc"])
def test_a_name_that_is_no_reference_or_is_taken_is_refused(reference: str) -> None:
    with pytest.raises(ValidationError, match="own"):
        Gates.model_validate({"own": {reference: {}}})
