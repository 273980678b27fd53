"""An evaluation made: every part of it, from the answers of the models to the same test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ml.base.seeds import derived_seed
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.explanations import Explained, Predict, explain
from ml.evaluation.fairness import Fairness, fairness
from ml.evaluation.record import Evaluation, Interval, paired
from ml.evaluation.slice_search import LEAST_LOST, Found, Search, worst_slices
from ml.evaluation.slices import Part, Slice, judge_slice, parts
from ml.evaluation.wrong_rows import most_wrong
from ml.intervals.bootstrap import Resampling, estimate, resampled
from ml.intervals.calibration import calibration
from ml.intervals.conformal import coverage
from ml.intervals.thresholds import decide
from ml.tasks.metrics import METRICS, Task, metrics_of, score

if TYPE_CHECKING:
    from ml.exported.reference import Reference
    from ml.tasks.encoding import Encoder

SHOWN_FEATURES = 5  # of a row that is wrong: those that matter most


@dataclass(frozen=True)
class Judging:
    """What an evaluation is made of: the test rows as features, their labels y, and answers to all of them.

    `grouping` holds the values of the declared slices' and sensitive columns, row by row. `fair` says of which rows the
    champion has learned nothing [n_rows]: slices are compared on these alone.
    """

    spec: UseCaseSpec
    task: Task
    rows: pd.DataFrame
    grouping: Mapping[str, pd.Series]
    y: np.ndarray
    candidate: np.ndarray
    champion: np.ndarray | None
    fair: np.ndarray
    reference: Reference
    encoder: Encoder
    predict: Predict

    @property
    def how(self) -> Resampling:
        plan = self.spec.evaluation
        return Resampling(plan.resamples, plan.confidence, self.seed("bootstrap"))

    def seed(self, purpose: str) -> int:
        return derived_seed(self.spec.seed, "evaluation", purpose)


def evaluate(found: Evaluation, given: Judging) -> tuple[Evaluation, Explained]:
    """The evaluation with all that the test rows say, and what the model's answers depend on."""
    explained = explain(
        given.predict,
        given.encoder,
        given.rows,
        given.y,
        given.task,
        given.spec.metric,
        rows=given.spec.evaluation.importance_rows,
        shap_rows=given.spec.evaluation.shap_rows,
        seed=given.seed("explanations"),
    )
    matter = [each.feature for each in explained.importances[:SHOWN_FEATURES]]
    key = given.spec.tables[given.spec.examples.table].keys[0]
    parts = {
        **_metrics(given),
        **_slices(given),
        **(_of_numbers(given) if given.task.kind == "regression" else _of_classes(given)),
        "fairness": tuple(_fairness(given)),
        "importances": tuple(explained.importances),
        "most_wrong": tuple(most_wrong(given.rows, key, given.y, given.candidate, given.task, matter)),
        "reference": given.reference,
    }
    return found.model_copy(update=parts), explained


def _metrics(given: Judging) -> dict[str, Any]:
    """The metrics of candidate, champion and baseline with intervals, all on the same resamples of the same rows."""
    answers = {"": given.candidate, "baseline_": given.reference.answers(len(given.y), given.task)}
    if given.champion is not None:
        answers["champion_"] = given.champion
    names, ones = metrics_of(given.task.kind), np.ones(len(given.y))
    measured = {side + name: METRICS[name].prepare(given.y, p) for side, p in answers.items() for name in names}
    drawn = resampled(given.y, measured, given.how)
    exact = {name: float(function(ones)) for name, function in measured.items()}
    parts: dict[str, Any] = {"resamples": given.how.resamples, "confidence": given.how.confidence}
    for side in answers:
        parts[f"{side}metrics"] = {name: exact[side + name] for name in names}
        parts[f"{side}intervals"] = {
            name: estimate(exact[side + name], drawn[side + name], given.how) for name in names
        }
    return parts | {"over_baseline": _over_baseline(given, exact, drawn)}


def _over_baseline(given: Judging, exact: Mapping[str, float], drawn: Mapping[str, np.ndarray]) -> Interval:
    rule, metric = given.spec.gates.baseline, given.spec.metric
    baseline = f"baseline_{metric}"
    return paired(
        metric,
        (exact[metric], exact[baseline]),
        (drawn[metric], drawn[baseline]),
        confidence=rule.confidence if rule else given.how.confidence,
    )


def _of_classes(given: Judging) -> dict[str, Any]:
    y, seed = given.y, given.seed("calibration")
    objective = given.spec.evaluation.objective
    return {
        "decisions": decide(y, given.candidate, given.task, given.reference.threshold, objective, given.how),
        "calibration": calibration(y, given.candidate, seed),
        "champion_calibration": None if given.champion is None else calibration(y, given.champion, seed),
    }


def _of_numbers(given: Judging) -> dict[str, Any]:
    interval = given.reference.interval
    return {"coverage": coverage(given.y, given.candidate, interval, given.how) if interval else None}


def _slices(given: Judging) -> dict[str, Any]:
    """The declared slices, and after them those that were found besides."""
    plan = given.spec.evaluation
    searched = worst_slices(given.rows, given.encoder.features, _search(given), plan.worst_slices)
    found = {_same(each.part): each for each in searched.found}
    declared = [part for name in plan.slices for part in parts(name, given.grouping[name], plan.slice_rows)]
    slices = [_slice(given, part, found.pop(_same(part), None)) for part in declared]
    slices += [_slice(given, each.part, each, declared=False) for each in found.values()]
    return {"slices": tuple(slices), "searched_slices": searched.looked_at}


def _same(part: Part) -> tuple[str, bytes]:
    """What two parts have in common that are one slice."""
    return part.column, part.positions.tobytes()


def _slice(given: Judging, part: Part, found: Found | None, *, declared: bool = True) -> Slice:
    metric, y = given.spec.metric, given.y
    judged = judge_slice(metric, y, given.candidate, given.champion, part, given.fair, given.how)
    told = {"found": True, "deficit": found.deficit, "p_value": found.p_value} if found else {}
    return judged.model_copy(update={"declared": declared, **told})


def _search(given: Judging) -> Search:
    metric, baseline = given.spec.metric, given.reference.answers(len(given.y), given.task)
    gained = abs(score(metric, given.y, given.candidate) - score(metric, given.y, baseline))
    smallest, seed = given.spec.evaluation.slice_rows, given.seed("slices")
    return Search(metric, given.y, given.candidate, LEAST_LOST * gained, smallest, seed)


def _fairness(given: Judging) -> list[Fairness]:
    threshold = given.reference.threshold.value if given.reference.threshold else None
    smallest = given.spec.evaluation.slice_rows
    return [
        fairness(
            name,
            parts(name, given.grouping[name], smallest),
            given.y,
            given.candidate,
            given.task,
            threshold,
            given.how,
        )
        for name in given.spec.evaluation.sensitive
    ]
