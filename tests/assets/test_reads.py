"""What an evaluation is made by counts, the limits that only judge it do not."""

from typing import Any

import pytest

from assets import reads
from ml.declaration.reads import changed
from ml.declaration.use_case import UseCaseSpec

DECLARED: dict[str, Any] = {
    "description": "Which?",
    "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
    "examples": {"table": "rows", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2}},
    "models": {"logistic": {}},
}

TIMED: dict[str, Any] = {
    "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id", "time": "at"}},
    "examples": {**DECLARED["examples"], "cutoff": "at"},
}
HISTORY = {"table": "rows", "group_by": ["shop"], "windows": ["1d"]}


def resolved(**changes: Any) -> dict[str, Any]:
    return UseCaseSpec.model_validate({**DECLARED, **changes}).resolved()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"metric": "log_loss"}, ["metric"]),
        ({"task": "multiclass"}, ["metric", "task"]),
        ({"examples": {**DECLARED["examples"], "where": "id > 3"}}, ["examples.where"]),
        ({"evaluation": {"slices": ["g"], "threshold": "f1"}}, ["evaluation.slices", "evaluation.threshold"]),
        ({"gates": {"champion": {"confidence": 0.9}}}, ["gates.champion.confidence"]),
        ({"gates": {"champion": {"resamples": 99, "rows": 7}}}, ["gates.champion.resamples", "gates.champion.rows"]),
        ({"gates": {"baseline": {"confidence": 0.9}}}, ["gates.baseline.confidence"]),
    ],
)
def test_what_an_evaluation_is_made_by_counts(changes: dict[str, Any], named: list[str]) -> None:
    assert changed(reads.EVALUATION.decide(resolved()), reads.EVALUATION.decide(resolved(**changes))) == named


@pytest.mark.parametrize(
    "changes",
    [
        {"gates": {"roc_auc": {"at_least": 0.9}, "latency": {"at_most_ms": 1}, "slices": {"rows": 7}}},
        {"gates": {"champion": {"not_worse_by": 0.1, "when_incomparable": "promote"}, "baseline": {"better_by": 0.1}}},
        {"gates": {"baseline": "off"}},
        {"gates": {"plausible": {"limits": {"roc_auc": 1}, "because": "a game with rules"}}},
        {"production": {"approval": "required"}},
        {"models": {"lightgbm": {}}, "tuning": {"folds": 3}},
        {"retrain": {"schedule": "0 6 1 * *"}, "owners": ["team:a"]},
    ],
)
def test_limits_and_what_comes_before_or_after_do_not_count(changes: dict[str, Any]) -> None:
    assert changed(reads.EVALUATION.decide(resolved()), reads.EVALUATION.decide(resolved(**changes))) == []


def test_a_comparison_with_the_trivial_answer_has_the_evaluations_confidence_where_its_gate_is_off() -> None:
    off, plan = {"baseline": "off"}, {"confidence": 0.9}

    first, second = resolved(gates=off), resolved(gates=off, evaluation=plan)

    assert changed(reads.EVALUATION.decide(first), reads.EVALUATION.decide(second)) == [
        "evaluation.confidence",
        "gates.baseline.confidence",
    ]


def test_a_matrix_is_made_by_tables_examples_and_features_alone() -> None:
    other = resolved(features={"ignore": ["x"]}, metric="log_loss", evaluation={"slices": ["g"]})

    assert changed(reads.MATRIX.decide(resolved()), reads.MATRIX.decide(other)) == ["features.ignore"]


@pytest.mark.parametrize(
    ("audit", "examples", "development", "test"),
    [
        ({"alone_at_most": 0.9}, False, True, False),
        ({"target_apart_at_most": 0.5}, True, False, False),
        ({"warn": ["no_row_in_two_splits"]}, True, True, True),
    ],
)
def test_a_limit_of_the_audit_makes_what_it_is_a_limit_of(
    audit: dict[str, Any], examples: bool, development: bool, test: bool
) -> None:
    first, second = resolved(), resolved(audit=audit)

    assert bool(changed(reads.EXAMPLES.decide(first), reads.EXAMPLES.decide(second))) is examples
    for splits, made in ((["train", "validation"], development), (["test"], test)):
        of_part = reads.features(splits)
        assert bool(changed(of_part.decide(first), of_part.decide(second))) is made


@pytest.mark.parametrize(
    ("features", "made"),
    [
        ({"history": {**HISTORY, "windows": ["9d"]}}, False),
        ({"history": {**HISTORY, "group_by": ["y"]}}, True),
        ({"history": HISTORY, "calendar": {"at": ["hour"]}}, True),
        ({"history": HISTORY, "ignore": ["x"]}, True),
        ({"history": HISTORY, "at_most": 9}, False),
    ],
)
def test_examples_are_made_anew_by_features_only_where_these_say_which_rows_are_equal(
    features: dict[str, Any], made: bool
) -> None:
    first, second = (resolved(**TIMED, features=each) for each in ({"history": HISTORY}, features))

    assert bool(changed(reads.EXAMPLES.decide(first), reads.EXAMPLES.decide(second))) is made
