"""What may be declared of the evaluation."""

from typing import Any

import pytest
from pydantic import ValidationError

from ml.declaration.evaluation import EvaluationPlan, LeastCost, PrecisionAtRecall
from ml.declaration.use_case import UseCaseSpec


def declared(**evaluation: Any) -> dict[str, Any]:
    return {
        "description": "Which?",
        "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
        "examples": {"table": "rows", "target": "y", "split": {"validation_share": 0.2, "test_share": 0.2}},
        "models": {"lightgbm": {}},
        "evaluation": evaluation,
    }


def test_each_objective_of_the_threshold_can_be_declared() -> None:
    costs = EvaluationPlan.model_validate({"threshold": {"cost": {"false_positive": 1, "false_negative": 5}}})
    recall = EvaluationPlan.model_validate({"threshold": {"precision_at_recall": 0.8}})

    assert isinstance(costs.threshold, LeastCost)
    assert costs.threshold.cost.false_negative == 5
    assert recall.threshold == PrecisionAtRecall(precision_at_recall=0.8)
    assert EvaluationPlan.model_validate({"threshold": "f1"}).threshold == "f1"


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        ("f2", "threshold reads `f1`, `{cost: …}` or `{precision_at_recall: …}`; given: 'f2'"),
        ({"costs": {}}, "threshold reads `f1`, `{cost: …}` or `{precision_at_recall: …}`; given: {'costs': {}}"),
        ({"precision_at_recall": 2}, "less than or equal to 1"),
        ({"cost": {"false_yes": 2}}, "unknown key 'false_yes'"),
    ],
)
def test_a_threshold_that_is_no_objective_is_refused_with_what_is_allowed(threshold: Any, said: str) -> None:
    with pytest.raises(ValidationError) as error:
        EvaluationPlan.model_validate({"threshold": threshold})

    assert [each["msg"] for each in error.value.errors() if said in each["msg"]]
    assert len(error.value.errors()) == 1


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_only_two_classes_have_a_threshold(task: str) -> None:
    with pytest.raises(ValidationError, match=f"only the task 'binary' has a threshold; this is '{task}'"):
        UseCaseSpec.model_validate({**declared(threshold="f1"), "task": task})


def test_the_default_is_declared_by_leaving_it_out() -> None:
    spec = UseCaseSpec.model_validate(declared())

    assert (spec.evaluation.resamples, spec.evaluation.confidence, spec.evaluation.threshold) == (1000, 0.95, None)
