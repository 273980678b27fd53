"""An evaluation made: every part of it, from the answers of the models to the same test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ml.bootstrap import Resampling, estimates
from ml.calibration import calibration
from ml.conformal import coverage
from ml.evaluation import Evaluation, compare
from ml.explanations import Explained, Predict, explain
from ml.fairness import Fairness, fairness
from ml.metrics import METRICS, Task, metrics_of, score
from ml.search.seeds import derived_seed
from ml.slice_search import LEAST_LOST, Search, worst_slices
from ml.slices import Judged, Slice, judge_slice, parts
from ml.spec import UseCaseSpec
from ml.thresholds import decide
from ml.wrong_rows import most_wrong

if TYPE_CHECKING:
    from ml.encoding import Encoder
    from ml.reference import Reference

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
    names = metrics_of(given.task.kind)
    measured = {side + name: METRICS[name].prepare(given.y, p) for side, p in answers.items() for name in names}
    found = estimates(given.y, measured, given.how)
    parts: dict[str, Any] = {"resamples": given.how.resamples, "confidence": given.how.confidence}
    for side in answers:
        parts[f"{side}metrics"] = {name: found[side + name].value for name in names}
        parts[f"{side}intervals"] = {name: found[side + name] for name in names}
    return parts | {"over_baseline": _over_baseline(given, answers["baseline_"])}


def _over_baseline(given: Judging, baseline: np.ndarray) -> Any:
    rule, how = given.spec.gates.baseline, given.how
    return compare(
        given.spec.metric,
        given.y,
        given.candidate,
        baseline,
        confidence=rule.confidence if rule else how.confidence,
        resamples=how.resamples,
        seed=how.seed,
    )


def _of_classes(given: Judging) -> dict[str, Any]:
    y, seed = given.y, given.seed("calibration")
    objective = given.spec.evaluation.threshold or "f1"
    return {
        "decisions": decide(y, given.candidate, given.task, given.reference.threshold, objective, given.how),
        "calibration": calibration(y, given.candidate, seed),
        "champion_calibration": None if given.champion is None else calibration(y, given.champion, seed),
    }


def _of_numbers(given: Judging) -> dict[str, Any]:
    interval = given.reference.interval
    return {"coverage": coverage(given.y, given.candidate, interval, given.how) if interval else None}


def _slices(given: Judging) -> dict[str, Any]:
    """The declared slices and those that were found, with the champion's scores on the rows that it has not seen."""
    plan = given.spec.evaluation
    declared = [part for name in plan.slices for part in parts(name, given.grouping[name], plan.slice_rows)]
    searched = worst_slices(given.rows, given.encoder.features, _search(given), plan.worst_slices)
    known = {(part.column, part.value) for part in declared}
    wanted: list[tuple[Any, dict[str, Any]]] = [(part, {}) for part in declared]
    wanted += [
        (each.part, {"found": True, "deficit": each.deficit, "p_value": each.p_value})
        for each in searched.found
        if (each.part.column, each.part.value) not in known
    ]
    judged = [(part, more, _judged(given, part)) for part, more in wanted]
    slices = [
        Slice(column=part.column, value=part.value, rows=len(part.positions), score=each.candidate, **more)
        for part, more, each in judged
    ]
    named = dict(zip([each.name for each in slices], [each for *_, each in judged], strict=True))
    return {
        "slices": tuple(slices),
        "champion_slices": {name: each.champion for name, each in named.items() if each.champion},
        "slice_differences": {name: each.difference for name, each in named.items() if each.difference},
        "searched_slices": searched.looked_at,
    }


def _search(given: Judging) -> Search:
    metric, baseline = given.spec.metric, given.reference.answers(len(given.y), given.task)
    gained = abs(score(metric, given.y, given.candidate) - score(metric, given.y, baseline))
    smallest, seed = given.spec.evaluation.slice_rows, given.seed("slices")
    return Search(metric, given.y, given.candidate, LEAST_LOST * gained, smallest, seed)


def _judged(given: Judging, part: Any) -> Judged:
    return judge_slice(given.spec.metric, given.y, given.candidate, given.champion, part, given.fair, given.how)


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
