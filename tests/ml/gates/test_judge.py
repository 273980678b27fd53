"""Gates refuse what falls short, what is no number, and what was measured by another rule."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ml.declaration.gate_kinds.catalogue import SWITCHES
from ml.declaration.gates import Gates
from ml.evaluation.ablation import Ablated
from ml.evaluation.record import Calibration, Estimate, Evaluation, Interval, LeakAudit, Serving, Slice
from ml.evaluation.slices import Compared
from ml.gates.judge import gate_names, judge
from ml.tasks.metrics import usual_metrics
from ml.tasks.task import Kind
from ml.verdict import Verdict

NAN = float("nan")


def interval(lower: float, **changes: Any) -> Interval:
    found = {"metric": "roc_auc", "difference": lower + 0.01, "lower": lower, "confidence": 0.95, "resamples": 300}
    return Interval.model_validate(found | changes)


def evaluation(**changes: Any) -> Evaluation:
    """One that every gate lets pass."""
    found = {
        "model_hash": "a",
        "family": "f",
        "rows": 1000,
        "metrics": {**dict.fromkeys(usual_metrics("binary"), 0.5), "roc_auc": 0.8},
        "not_finite": 0,
        "over_baseline": interval(0.2),
        "calibration": Calibration(error=0.02),
        "serving": Serving(latency_ms=0.1, size_mb=1.0, parity=1e-7),
    }
    return Evaluation.model_validate(found | changes)


def against_champion(lower: float, **changes: Any) -> Evaluation:
    found = {"champion_version": "3", "champion_hash": "b", "champion_metrics": {"roc_auc": 0.8}}
    return evaluation(**{**found, "comparison": interval(lower), **changes})


def verdict(gate: str, found: Evaluation, metric: str = "roc_auc", **declared: Any) -> Verdict:
    verdicts = judge(Gates.model_validate(declared), found, metric)
    return next(each for each in verdicts if each.gate == gate)


def test_every_gate_is_on_by_default_and_all_but_three_can_be_off() -> None:
    off = Gates.model_validate(dict.fromkeys(SWITCHES, "off"))

    named = [
        "finite",
        "plausible",
        "baseline",
        "champion",
        "slices",
        "leaks",
        "calibration",
        "parity",
        "latency",
        "size",
    ]
    assert gate_names(Gates()) == named
    assert (
        gate_names(off)
        == gate_names(Gates.model_validate(dict.fromkeys(SWITCHES, False)))
        == ["finite", "plausible", "champion"]
    )
    assert Gates.model_validate(off.model_dump()) == off
    for always in ("finite", "plausible", "champion"):
        with pytest.raises(ValidationError):
            Gates.model_validate({always: False})


def test_what_passes_every_gate_answers_under_each_name_in_order_with_its_figures() -> None:
    gates = Gates.model_validate({"roc_auc": {"at_least": 0.7}})

    verdicts = judge(gates, against_champion(0.0), "roc_auc")

    assert [each.gate for each in verdicts] == gate_names(gates)
    assert [each for each in verdicts if not each.passed] == []
    assert verdicts[0].figures == {"roc_auc": 0.8, "at least": 0.7}


@pytest.mark.parametrize(("value", "passed"), [(0.7, True), (0.9, True), (0.69, False), (0.91, False)])
def test_a_bound_includes_its_limits(value: float, passed: bool) -> None:
    found = evaluation(metrics={"roc_auc": value})

    assert verdict("roc_auc", found, roc_auc={"at_least": 0.7, "at_most": 0.9}).passed is passed


def test_a_bound_refuses_a_mean_over_targets_of_which_one_is_unknown() -> None:
    undefined = {"map_at_3": "none of 2 groups has a row that is relevant and another"}
    blank = evaluation(metrics={"map_at_3": NAN}, undefined=undefined)
    found = evaluation(metrics={"map_at_3": 0.9}, targets={"a": evaluation(metrics={"map_at_3": 0.9}), "b": blank})

    refused = verdict("map_at_3", found, map_at_3={"at_least": 0.5})

    assert not refused.passed
    assert refused.reason == (
        "map_at_3 is 0.9000 on the 1000 test rows, needed: at least 0.5; of b it is undefined: none of 2 groups has a "
        "row that is relevant and another"
    )


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        ("roc_auc", {"metrics": {}}),
        ("roc_auc", {"metrics": {"roc_auc": NAN}}),
        ("baseline", {"over_baseline": None}),
        ("baseline", {"over_baseline": interval(NAN)}),
        ("champion", {"comparison": interval(NAN)}),
        ("champion", {"comparison": None}),
        ("calibration", {"calibration": None}),
        ("calibration", {"calibration": Calibration(error=NAN)}),
        ("parity", {"serving": None}),
        ("parity", {"serving": Serving(latency_ms=1, size_mb=1, parity=NAN)}),
        ("latency", {"serving": None}),
        ("latency", {"serving": Serving(latency_ms=NAN, size_mb=1, parity=0)}),
        ("size", {"serving": None}),
        ("size", {"serving": Serving(latency_ms=1, size_mb=NAN, parity=0)}),
    ],
)
def test_what_is_missing_or_no_number_never_passes(gate: str, changes: dict[str, Any]) -> None:
    gates = {"roc_auc": {"at_least": 0.5}}

    assert verdict(gate, against_champion(0.0), **gates).passed
    assert not verdict(gate, against_champion(0.0, **changes), **gates).passed


@pytest.mark.parametrize(
    ("changes", "passed", "said"),
    [
        ({"leak_audit": LeakAudit(passed=True, reason="of 400 rows")}, True, "of 400 rows"),
        ({"leak_audit": LeakAudit(passed=False, reason="x changes")}, False, "the leak audit failed: x changes"),
        ({}, True, "the rows have no cutoff, so that nothing comes after it"),
        ({"period": ("2024-01-01", "2024-02-01")}, False, "nothing says whether the features of the test rows tell"),
    ],
)
def test_a_model_that_knows_what_comes_after_the_cutoff_is_refused(
    changes: dict[str, Any], passed: bool, said: str
) -> None:
    found = verdict("leaks", evaluation(**changes))

    assert found.passed is passed
    assert said in found.reason
    assert "leaks" not in gate_names(Gates.model_validate({"leaks": "off"}))


def test_a_confidence_is_said_with_all_its_digits() -> None:
    sure = evaluation(over_baseline=interval(0.1, confidence=0.995))

    assert "with 99.5% confidence at least" in verdict("baseline", sure, baseline={"confidence": 0.995}).reason


@pytest.mark.parametrize(("lower", "passed"), [(0.001, True), (0.0, False), (-0.1, False)])
def test_the_candidate_must_be_better_than_a_trivial_answer_with_confidence(lower: float, passed: bool) -> None:
    assert verdict("baseline", evaluation(over_baseline=interval(lower))).passed is passed


@pytest.mark.parametrize(
    ("found", "passed", "said"),
    [
        (evaluation(), True, "there is no champion yet"),
        (evaluation(champion_version="3", champion_hash="a"), True, "the candidate is the champion"),
        (against_champion(-0.001), True, "with 95% confidence at least -0.0010"),
        (against_champion(-0.01), False, "needed: at least -0.0020"),
        (against_champion(0.1, comparison=interval(0.1, confidence=0.6)), False, "materialize evaluation again"),
        (against_champion(0.1, comparison=interval(0.1, metric="brier")), False, "materialize evaluation again"),
        (evaluation(champion_version="3", champion_hash="b", incomparable="no column x"), False, "no column x"),
        (against_champion(0.1, seen_by_champion=400), True, "learned from 400 of the 1000 test rows: this is on the o"),
    ],
)
def test_the_champion_gate(found: Evaluation, passed: bool, said: str) -> None:
    found_verdict = verdict("champion", found)

    assert found_verdict.passed is passed
    assert said in found_verdict.reason


@pytest.mark.parametrize(
    ("metric", "declared", "champions", "margin"),
    [
        ("roc_auc", None, 0.8, 0.002),
        ("rmse", None, 50.0, 1.0),  # 2% of the champion's error
        ("log_loss", None, 0.5, 0.01),
        ("tests.support.own_metrics:profit", None, 50_000.0, 1_000.0),  # nothing is known of its unit
        ("ndcg_at_10", None, 0.8, 0.002),
        ("rmse", 0.3, 50.0, 0.3),
        ("roc_auc", "10%", 0.8, 0.08),
        ("r2", "10%", -0.5, 0.05),  # a share of what is negative is no negative margin
    ],
)
def test_the_margin_is_in_the_metrics_units_or_a_share_of_the_champions_value(
    metric: str, declared: object, champions: float, margin: float
) -> None:
    def passes(lower: float) -> bool:
        found = against_champion(0, comparison=interval(lower, metric=metric, against=champions))
        return verdict("champion", found, metric, champion={"not_worse_by": declared}).passed

    assert passes(-0.999 * margin)
    assert not passes(-1.001 * margin)


@pytest.mark.parametrize(("why", "passed"), [("no column x", True), (None, False)])
def test_what_cannot_be_compared_is_promoted_only_where_that_is_declared_and_there_is_a_reason(
    why: str | None, passed: bool
) -> None:
    found = against_champion(0.0, comparison=None, incomparable=why)

    assert verdict("champion", found, champion={"when_incomparable": "promote"}).passed is passed
    assert not verdict("champion", found).passed


def test_a_share_is_of_the_champions_value_on_the_rows_that_are_compared() -> None:
    learned = {"seen_by_champion": 900, "champion_metrics": {"rmse": 1.0}}
    found = against_champion(0, comparison=interval(-0.9, metric="rmse", against=50.0), **learned)

    assert verdict("champion", found, "rmse", champion={"not_worse_by": "2%"}).passed


def test_a_share_of_a_champions_metric_that_nobody_knows_is_no_margin() -> None:
    found = against_champion(0.5, comparison=interval(0.5, metric="rmse", against=NAN))

    assert not verdict("champion", found, "rmse").passed


def estimated(value: float, high: float = 1.0) -> Estimate:
    return Estimate(value=value, low=high - 0.2, high=high)


def one_slice(high: float, *, rows: int = 500, champions: float = 0.8, score: float = 0.7, value: str = "JFK") -> Slice:
    both = Compared(
        rows=rows, candidate=estimated(score), champion=estimated(champions), difference=estimated(high - 0.1, high)
    )
    return Slice(column="origin", value=value, rows=500, score=estimated(score), against_champion=both)


def sliced(*slices: Slice, **changes: Any) -> Evaluation:
    return against_champion(0.0, slices=slices, **changes)


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (one_slice(high=-0.04), True),  # within the margin of 0.05
        (one_slice(high=-0.06), False),
        (one_slice(high=-0.06, rows=99), True),  # too few rows to count
        (one_slice(high=NAN, rows=0, champions=NAN, score=NAN), True),  # the champion has seen them all
        (one_slice(high=NAN), False),
        (one_slice(high=NAN, score=NAN), False),  # the candidate alone has no score
        (one_slice(high=NAN, champions=NAN, score=NAN), True),  # one class only: the metric says nothing of either
        (one_slice(high=-0.04).model_copy(update={"against_champion": None}), False),
    ],
)
def test_no_slice_may_be_worse_than_with_the_champion(found: Slice, passed: bool) -> None:
    assert verdict("slices", sliced(found)).passed is passed
    assert verdict("slices", sliced(found, champion_version=None)).passed


def test_a_slice_that_is_worse_is_named_with_its_figures() -> None:
    found = verdict("slices", sliced(one_slice(high=-0.06)))

    assert "1 of 1 slices are worse than with champion version 3: origin = JFK: roc_auc -0.1600" in found.reason
    assert "at best -0.0600, needed: at least -0.0500" in found.reason
    assert found.figures == {"origin = JFK": pytest.approx(-0.16)}


def test_slices_that_are_not_compared_are_counted_with_the_reason() -> None:
    silent = one_slice(high=NAN, champions=NAN, score=NAN, value="SFO")
    few = [one_slice(high=-0.06, rows=rows, value=str(rows)) for rows in (0, 99)]

    found = verdict("slices", sliced(one_slice(high=0.1), silent, *few, seen_by_champion=5))
    nothing = verdict("slices", sliced(silent, *few))

    assert found.reason == (
        "none of 1 slices is worse than with champion version 3; not compared: 1 on which roc_auc says nothing of "
        "either model, 2 of fewer than 100 rows that the champion has not learned from"
    )
    assert found.figures == {"origin = JFK": pytest.approx(0.0)}
    assert nothing.passed
    assert nothing.reason.startswith(
        "no slice is compared: 1 on which roc_auc says nothing of either model, 2 of fewer"
    )
    assert verdict("slices", sliced()).reason == "no slice is compared: there are none"


def test_a_slice_of_one_group_is_not_compared_for_nothing_says_how_much_is_chance() -> None:
    alone = Estimate(value=-0.3, low=NAN, high=NAN)
    part = one_slice(high=0.1)
    assert part.against_champion is not None
    compared = part.against_champion.model_copy(update={"difference": alone})

    found = verdict("slices", sliced(part.model_copy(update={"against_champion": compared})))

    assert found.passed
    assert found.reason == "no slice is compared: 1 of too few groups for an interval"


def test_the_margin_of_slices_is_a_share_where_a_metric_is_better_when_lower() -> None:
    near, far = (sliced(one_slice(high=high, champions=50.0, score=55.0)) for high in (-4.9, -5.1))

    assert verdict("slices", near, "rmse").passed
    assert not verdict("slices", far, "rmse").passed


def test_a_confidence_is_told_as_it_was_declared() -> None:
    found = against_champion(-0.001, comparison=interval(-0.001, confidence=0.995))

    assert "with 99.5% confidence at least" in verdict("champion", found, champion={"confidence": 0.995}).reason


@pytest.mark.parametrize(
    ("predicted", "aside"), [((0.3, 0.6), "On average 45.0% are predicted and 10.0% happen"), ((0.35, -0.15), None)]
)
def test_probabilities_that_all_lie_to_one_side_are_told_from_those_that_lie_to_both(
    predicted: tuple[float, ...], aside: str | None
) -> None:
    error = float(np.mean([abs(share - 0.1) for share in predicted]))
    found = Calibration(error=error, predicted=predicted, observed=(0.1, 0.1), rows=(100, 100))

    refused = verdict("calibration", evaluation(calibration=found))

    assert not refused.passed
    assert ("examples.weights balances rare classes" in refused.reason) == (aside is not None)
    assert aside is None or aside in refused.reason


def test_calibration_may_be_off_by_the_limit_and_what_chance_gives_and_concerns_no_numbers() -> None:
    def passes(error: float, by_chance: float, metric: str = "roc_auc") -> bool:
        kind: Kind = "binary" if metric == "roc_auc" else "regression"
        metrics = dict.fromkeys(usual_metrics(kind), 0.5)
        calibration = Calibration(error=error, by_chance=by_chance)
        return verdict("calibration", evaluation(calibration=calibration, metrics=metrics), metric).passed

    assert passes(0.1, 0.0)
    assert not passes(0.11, 0.0)
    assert passes(0.19, 0.1)
    assert passes(NAN, NAN, "rmse")
    assert passes(NAN, NAN, "tests.support.own_metrics:profit")


@pytest.mark.parametrize(
    ("gate", "limit", "serving"),
    [
        ("parity", {"at_most": 0.5}, {"parity": 0.5}),
        ("latency", {"at_most_ms": 0.5}, {"latency_ms": 0.5}),
        ("size", {"at_most_mb": 0.5}, {"size_mb": 0.5}),
    ],
)
def test_what_serving_takes_has_a_limit(gate: str, limit: dict[str, float], serving: dict[str, float]) -> None:
    small = {"latency_ms": 0.0, "size_mb": 0.0, "parity": 0.0}
    at, above = ({name: value * factor for name, value in serving.items()} for factor in (1.0, 1.01))

    assert verdict(gate, evaluation(serving=small | at), **{gate: limit}).passed
    refused = verdict(gate, evaluation(serving=small | above), **{gate: limit})
    assert not refused.passed
    assert "needed: at most 0.5" in refused.reason


@pytest.mark.parametrize("margin", ["two", "-1%", -0.1])
def test_a_margin_that_is_none_is_refused(margin: object) -> None:
    with pytest.raises(ValidationError, match="margin"):
        Gates.model_validate({"champion": {"not_worse_by": margin}})


@pytest.mark.parametrize("rows", [1, None])
def test_a_model_with_an_answer_that_is_no_number_passes_by_no_metric(rows: int | None) -> None:
    refused = verdict("finite", evaluation(not_finite=rows), roc_auc={"at_least": 0.7}, calibration=False)

    assert not refused.passed
    assert ("1 of the 1000 test rows" if rows else "materialize evaluation again") in refused.reason


def scored(kind: Kind, metric: str, value: float, low: float | None = None, **changes: Any) -> Evaluation:
    """An evaluation of a task by one metric, with the lower end of its interval."""
    intervals = {} if low is None else {metric: Estimate(value=value, low=low, high=1.0)}
    metrics = {**dict.fromkeys(usual_metrics(kind), 0.5), metric: value}
    return evaluation(metrics=metrics, intervals=intervals, **changes)


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (scored("regression", "r2", 0.98, 0.975), True),  # a relation of physics
        (scored("regression", "r2", 0.9955, 0.9945), True),  # not with confidence
        (scored("regression", "r2", 0.999999, 0.999998), False),
        (scored("binary", "roc_auc", 0.995, 0.99), True),
        (scored("binary", "roc_auc", 1.0, 1.0), False),
        (scored("binary", "roc_auc", 1.0, 1.0, rows=114), True),  # few rows may all be easy
        (scored("binary", "accuracy", 1.0, 1.0), True),  # of a rare class all answers are right
        (scored("multiclass", "accuracy", 0.99, 0.98), True),
        (scored("multiclass", "roc_auc", 0.9999, 0.9998), True),  # which a mean over many classes soon is
        (scored("multiclass", "accuracy", 1.0, 1.0), False),
        (scored("regression", "r2", 1.0), False),
        (scored("regression", "r2", NAN), False),
        (evaluation(metrics={}), False),
    ],
)
def test_a_score_that_is_too_good_to_be_true_is_refused(found: Evaluation, passed: bool) -> None:
    assert verdict("plausible", found, "rmse").passed is passed


def test_the_features_that_make_a_score_are_named_and_what_to_write() -> None:
    makers = (
        Ablated(features=("casual",), metric="r2", score=0.93),
        Ablated(features=("a", "b"), metric="r2", score=0.5),
    )

    refused = verdict("plausible", scored("regression", "r2", 1.0, 0.9999, ablation=makers), "rmse")

    assert "r2 is 1.0000 on the 1000 test rows, with 95% confidence at least 0.9999: beyond 0.995" in refused.reason
    assert "without casual it is 0.9300, without a and b it is 0.5000" in refused.reason
    assert "gates.plausible: {limits: {r2: …}, because: …}" in refused.reason
    assert refused.figures == {"r2": 1.0}


def test_a_limit_of_ones_own_needs_a_reason_which_the_verdict_says() -> None:
    perfect, because = scored("binary", "roc_auc", 1.0, 1.0), "the odor of a mushroom says all"

    allowed = verdict("plausible", perfect, plausible={"limits": {"roc_auc": 1}, "because": because})
    stricter = verdict("plausible", perfect, plausible={"limits": {"log_loss": 0.6}, "because": "it is a coin"})

    assert allowed.passed
    assert because in allowed.reason
    assert not stricter.passed
    assert "log_loss is 0.5000" in stricter.reason
    with pytest.raises(ValidationError, match="limits need `because`"):
        Gates.model_validate({"plausible": {"limits": {"roc_auc": 1}}})


OWN = "tests.support.own_metrics:profit"


def test_a_metric_with_a_number_and_one_of_ones_own_have_limits_as_any_other() -> None:
    metrics = {**evaluation().metrics, "precision_at_0.1": 0.4, OWN: 2.0}
    declared = Gates.model_validate(
        {"precision_at_0.1": {"at_least": 0.5}, OWN: {"at_least": 1}, "mcc": {"at_most": 1}}
    )

    verdicts = {each.gate: each for each in judge(declared, evaluation(metrics=metrics), "roc_auc")}

    assert not verdicts["precision_at_0.1"].passed
    assert verdicts["profit"].passed
    assert verdicts["profit"].figures == {OWN: 2.0, "at least": 1.0}
    assert not verdicts["mcc"].passed  # nothing says what it is


def test_a_metric_that_says_nothing_of_the_rows_is_refused_with_the_reason() -> None:
    metrics = {**evaluation().metrics, "mape": NAN}
    why = {"mape": "2 of 9 true numbers are 0, of which an error is no share"}

    refused = verdict("mape", evaluation(metrics=metrics, undefined=why), mape={"at_most": 0.2})

    assert not refused.passed
    assert refused.reason == f"mape is undefined: {why['mape']}, needed: at most 0.2"


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"accuracy": {"at_least": 90}}, "no model can pass the limits of accuracy, which lies between 0 and 1"),
        ({"mcc": {"at_most": -2}}, "no model can pass the limits of mcc, which lies between -1 and 1"),
        ({"pinball_2": {"at_most": 1}}, "takes a quantile between 0 and 1"),
        ({"acuracy": {"at_least": 0.9}}, "unknown key 'acuracy', did you mean 'accuracy'"),
        ({OWN: {"at_least": 1}, "own": {"a.b:profit": {}}}, r"several gates would be called \['profit'\]"),
        ({"a.b:parity": {"at_least": 1}}, r"several gates would be called \['parity'\]"),
    ],
)
def test_limits_that_nothing_passes_and_names_that_nothing_has_are_refused(limits: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Gates.model_validate(limits)
