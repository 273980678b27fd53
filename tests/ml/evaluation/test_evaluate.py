"""What an evaluation puts together: the slices with both models, and every comparison on the same resamples."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.declaration.gates import Gates
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.record import Evaluation, compare
from ml.gates.judge import judge
from ml.intervals.bootstrap import Resampling, estimates
from ml.report.page import html
from ml.tasks.counting import Counting
from ml.tasks.metrics import Metric, metrics_of, score
from ml.tasks.task import Kind
from ml.verdict import Verdict
from tests.support.judged import made, several, spec_of

CLOSE = 40.7128 + np.linspace(0, 0.0011, 240)  # a column in which the ends of all quarters begin with 40.71


def slice_gate(found: Evaluation, **changes: object) -> Verdict:
    gates = Gates.model_validate({"slices": {"rows": 30}})
    compared = found.model_copy(update={"comparison": found.over_baseline, "champion_hash": "b", **changes})
    return next(each for each in judge(gates, compared, "roc_auc") if each.gate == "slices")


def test_a_quarter_of_a_column_of_close_numbers_that_is_inverted_is_refused_by_its_own_name() -> None:
    _, given, _ = made("binary")
    inverted = given.candidate.copy()
    inverted[60:120] = 1 - inverted[60:120]

    found, _, _ = made("binary", candidate=inverted, grouping={"site": pd.Series(CLOSE)})

    declared = [each for each in found.slices if each.declared]
    assert len({each.name for each in declared}) == 4
    refused = slice_gate(found)
    assert not refused.passed
    assert refused.reason.count("site = ") == 1
    assert declared[1].name in refused.reason


def test_a_declared_slice_that_is_the_worst_is_told_once_and_as_found() -> None:
    _, given, _ = made("binary", champion=False)
    far = given.rows["z"] > 0.75
    inverted = np.where(far, 1 - given.candidate, given.candidate)
    spec = given.spec.model_copy(update={"evaluation": given.spec.evaluation.model_copy(update={"slices": ["z"]})})
    grouping = {"z": given.rows["z"], "site": pd.Series(["one"] * 240)}

    found, _, _ = made("binary", champion=False, candidate=inverted, spec=spec, grouping=grouping)

    assert [(each.declared, each.found) for each in found.slices] == [(True, False)] * 3 + [(True, True)]
    assert found.slices[3].p_value is not None
    assert found.slices[3].p_value < 0.05


def test_slices_are_compared_on_the_rows_alone_that_the_champion_has_not_seen() -> None:
    found, given, _ = made("binary", seen=150)

    assert given.champion is not None
    south = np.flatnonzero(given.grouping["site"] == "south")
    new = south[south >= 150]
    each = next(each for each in found.slices if each.name == "site = south")
    both = each.against_champion
    assert both is not None
    assert (each.rows, both.rows) == (len(south), len(new))
    assert each.score.value == score(given.spec.metric, given.y[south], given.candidate[south])
    assert both.candidate.value == score(given.spec.metric, given.y[new], given.candidate[new])
    assert both.champion.value == score(given.spec.metric, given.y[new], given.champion[new])


def test_slices_of_which_the_champion_has_seen_nearly_all_rows_are_not_compared_and_refuse_nothing() -> None:
    _, given, _ = made("binary")

    found, _, _ = made("binary", seen=220, candidate=1 - given.candidate)

    assert slice_gate(found).passed
    assert "2 of fewer than 30 rows that the champion has not learned from" in slice_gate(found).reason


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_comparison_with_the_baseline_is_the_paired_bootstrap_of_the_intervals(kind: str) -> None:
    found, given, _ = made(kind)  # type: ignore[arg-type]

    expected = compare(
        given.spec.metric,
        given.y,
        given.candidate,
        given.reference.answers(240, given.task),
        confidence=0.95,
        resamples=given.resampling.resamples,
        seed=given.resampling.seed,
    )
    assert found.over_baseline == expected
    assert expected.against == found.baseline_metrics[given.spec.metric]


def test_an_evaluation_without_a_champion_compares_no_slice() -> None:
    found, _, _ = made("binary", champion=False)

    assert spec_of("binary").evaluation.slices == ["site"]
    assert [each.against_champion for each in found.slices if each.declared] == [None, None]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_candidate_with_one_answer_that_is_no_number_is_evaluated_and_refused(kind: str, wrong: float) -> None:
    _, given, _ = made(kind)  # type: ignore[arg-type]
    candidate = given.candidate.copy()
    candidate[7] = wrong

    found, _, _ = made(kind, candidate=candidate)  # type: ignore[arg-type]

    assert found.not_finite == 1
    assert not any(np.isfinite(value) for value in found.metrics.values())
    refused = {verdict.gate for verdict in judge(Gates(), found, given.spec.metric) if not verdict.passed}
    assert refused >= {"finite", "baseline", "champion"}


WRONG: dict[str, Any] = {
    "a slice": (np.arange(240) % 3 == 0,),
    "all rows": (slice(None),),
    "one class of one row": (7, 1),
    "one class": (slice(None), 2),
}


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
@pytest.mark.parametrize(
    ("kind", "where"),
    [(kind, where) for kind in ("binary", "multiclass", "regression") for where in WRONG
     if kind == "multiclass" or "class" not in where],
)  # fmt: skip
def test_answers_that_are_no_numbers_anywhere_are_evaluated_and_refused_by_every_metric(
    kind: Kind, where: str, wrong: float
) -> None:
    _, given, _ = made(kind)
    candidate = given.candidate.copy()
    candidate[WRONG[where]] = wrong

    found, _, _ = made(kind, candidate=candidate)

    for metric in metrics_of(kind):
        refused = {verdict.gate for verdict in judge(Gates(), found, metric) if not verdict.passed}
        assert refused >= {"finite"}


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_margins_are_no_probabilities(kind: Kind) -> None:
    _, given, _ = made(kind, champion=False)

    found, _, _ = made(kind, champion=False, candidate=4 * given.candidate - 2)

    assert [v.passed for v in judge(Gates(), found, given.spec.metric) if v.gate == "finite"] == [False]


def test_rows_that_are_ranked_within_groups_are_drawn_with_them_for_every_figure() -> None:
    declared = spec_of("binary").model_dump(mode="json")
    declared["examples"]["ranked_within"] = "list"
    spec = UseCaseSpec.model_validate({**declared, "metric": "map_at_3"})
    counting = Counting(groups=np.arange(240) // 6)

    found, judging, explanations = made("binary", spec=spec, counting=counting, seen=60)

    measured = {name: Metric.named(name).prepare(judging.y, judging.candidate, counting) for name in found.metrics}
    how = Resampling(60, 0.95, judging.seed("bootstrap"), counting.groups)
    assert "map_at_3" in found.metrics
    assert found.intervals == estimates(judging.y, measured, how)
    assert found.over_baseline is not None
    assert (found.over_baseline.metric, found.over_baseline.against) == ("map_at_3", found.baseline_metrics["map_at_3"])
    assert found.baseline_metrics["map_at_3"] < found.metrics["map_at_3"]
    for part in found.slices:
        of_part = (judging.grouping["site"] == part.value).to_numpy()
        expected = score("map_at_3", judging.y[of_part], judging.candidate[of_part], counting.at(of_part))
        assert part.score.value == pytest.approx(expected, abs=1e-12)
        assert part.score.low <= part.score.value <= part.score.high
    assert all(importance.drop == importance.drop for importance in explanations.importances)
    page = html("zoo", spec, found, [], {}, {"id": "0" * 16, "data": {}, "seed": 0})
    assert "bootstrap resamples, each of whole groups of rows with the same list" in page


def test_the_record_of_one_of_several_targets_is_that_of_the_same_target_alone() -> None:
    alone, _, explained_alone = made("binary")

    found, _, explanations = several()

    of_first = found.targets["first"]
    same = {"metrics", "intervals", "champion_metrics", "champion_intervals", "baseline_metrics", "over_baseline"}
    same |= {"decisions", "calibration", "champion_calibration", "fairness", "importances", "slices", "most_wrong"}
    assert {name: getattr(of_first, name) for name in same} == {name: getattr(alone, name) for name in same}
    assert of_first.target == {"share positive": pytest.approx(alone_share(alone))}
    assert np.array_equal(explanations.of_targets[0].values, explained_alone.values)


def alone_share(found: Evaluation) -> float:
    """The share of positives, by the confusion of decisions."""
    assert found.decisions is not None
    return sum(found.decisions.confusion[1]) / found.rows


def test_several_targets_together_have_the_means_of_their_metrics_and_no_decision_of_their_own() -> None:
    found, given, _ = several()

    for metric, value in found.metrics.items():
        assert value == pytest.approx(np.mean([one.metrics[metric] for one in found.targets.values()]))
        low, high = found.intervals[metric].low, found.intervals[metric].high
        assert low <= value <= high
        assert high - low < max(
            one.intervals[metric].high - one.intervals[metric].low for one in found.targets.values()
        )
    assert (found.decisions, found.calibration, found.fairness, found.most_wrong) == (None, None, (), ())
    assert found.label("accuracy") == "accuracy at 0.5"
    assert found.over_baseline is not None
    assert found.over_baseline.lower > 0
    assert score("roc_auc", given.y, given.candidate) == found.metrics["roc_auc"]


def test_each_target_is_a_slice_which_the_champion_may_be_better_at() -> None:
    _, given, _ = several()
    worse = np.column_stack([given.candidate[:, 0], 1 - given.candidate[:, 1]])

    found, _, _ = several(candidate=worse)

    assert [part.name for part in found.slices[:2]] == ["target = first", "target = second"]
    verdict = slice_gate(found)
    assert not verdict.passed
    assert "target = second: roc_auc" in verdict.reason


def test_probabilities_of_each_target_must_be_what_they_say() -> None:
    _, given, _ = several(champion=False)
    squeezed = np.column_stack([given.candidate[:, 0], given.candidate[:, 1] * 0.2])

    found, _, _ = several(champion=False, candidate=squeezed)

    gates = Gates.model_validate({"calibration": {"at_most": 0.05}})
    verdict = next(each for each in judge(gates, found, "roc_auc") if each.gate == "calibration")
    assert not verdict.passed
    assert verdict.reason.startswith("second: the expected calibration error is 0.")
    assert set(verdict.figures) >= {"error of first", "error of second"}


def test_one_target_that_is_too_good_to_be_true_is_seen_beside_an_ordinary_one() -> None:
    _, given, _ = several(champion=False)
    told = np.column_stack([given.candidate[:, 0], np.abs(given.y[:, 1] - 0.01)])

    found, _, _ = several(champion=False, candidate=told)

    assert found.metrics["roc_auc"] < 0.998
    verdict = next(each for each in judge(Gates(), found, "roc_auc") if each.gate == "plausible")
    assert not verdict.passed
    assert verdict.reason.startswith("second: roc_auc is 1.0000")


def test_an_answer_to_one_target_that_is_no_number_makes_the_means_none() -> None:
    _, given, _ = several(champion=False)
    wrong = given.candidate.copy()
    wrong[3, 1] = np.nan

    found, _, _ = several(champion=False, candidate=wrong)

    assert found.not_finite == 1
    assert np.isnan(found.metrics["roc_auc"])
    assert found.undefined["roc_auc"] == "1 of 240 predictions are no finite numbers"
    assert not np.isnan(found.targets["first"].metrics["roc_auc"])
