"""Gates refuse what falls short, what is no number, and what was measured by another rule."""

import pytest

from ml.evaluation import Evaluation, Interval
from ml.gates import gate_names, judge
from ml.spec_gates import Gates


def evaluation(**changes: object) -> Evaluation:
    found = {"model_hash": "a", "family": "f", "rows": 10, "metrics": {"roc_auc": 0.8}}
    return Evaluation.model_validate(found | changes)


def against_champion(lower: float, confidence: float = 0.95, metric: str = "roc_auc") -> Evaluation:
    interval = Interval(metric=metric, difference=lower + 0.01, lower=lower, confidence=confidence, resamples=300)
    return evaluation(champion_version="3", champion_hash="b", comparison=interval)


GATES = Gates.model_validate({"roc_auc": {"at_least": 0.7, "at_most": 0.9}})


@pytest.mark.parametrize(("value", "passed"), [(0.7, True), (0.9, True), (0.69, False), (0.91, False)])
def test_a_bound_includes_its_limits(value: float, passed: bool) -> None:
    verdicts = judge(GATES, evaluation(metrics={"roc_auc": value}), "roc_auc")

    assert [verdict.gate for verdict in verdicts] == gate_names(GATES)
    assert verdicts[0].passed is passed


@pytest.mark.parametrize("metrics", [{}, {"roc_auc": float("nan")}])
def test_what_is_missing_or_no_number_never_passes(metrics: dict[str, float]) -> None:
    assert not judge(GATES, evaluation(metrics=metrics), "roc_auc")[0].passed


@pytest.mark.parametrize(
    ("found", "passed", "said"),
    [
        (evaluation(), True, "there is no champion yet"),
        (evaluation(champion_version="3", champion_hash="a"), True, "the candidate is the champion"),
        (against_champion(lower=-0.001), True, "with 95% confidence at least -0.0010"),
        (against_champion(lower=-0.01), False, "needed: at least -0.0020"),
        (against_champion(lower=0.1, confidence=0.6), False, "materialize evaluation again"),
        (against_champion(lower=0.1, metric="brier"), False, "materialize evaluation again"),
        (evaluation(champion_version="3", champion_hash="b", incomparable="no column x"), False, "no column x"),
    ],
)
def test_the_champion_gate(found: Evaluation, passed: bool, said: str) -> None:
    verdict = judge(GATES, found, "roc_auc")[-1]

    assert verdict.passed is passed
    assert said in verdict.reason
