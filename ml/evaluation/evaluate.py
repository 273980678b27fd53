"""The making of an evaluation: every part of it, from the answers of the models to the same test rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ml.base.seeds import derived_seed
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.ablation import Ablated, Ablation
from ml.evaluation.explanations import Explained, Predict, explain
from ml.evaluation.fairness import Fairness, fairness
from ml.evaluation.record import Evaluation, Interval, paired_difference
from ml.evaluation.slice_search import LEAST_LOST, Search, WeakSlice, worst_slices
from ml.evaluation.slices import Part, Slice, judge_slice, parts
from ml.evaluation.unseen import compare_unseen
from ml.evaluation.wrong_rows import most_wrong
from ml.intervals.bootstrap import Resampling, estimate, resampled_values
from ml.intervals.calibration import calibration
from ml.intervals.conformal import coverage
from ml.intervals.thresholds import decide
from ml.tasks.answers import rows_unanswered
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.metrics import Metric, score, usual_metrics
from ml.tasks.sampling import sampled_rows
from ml.tasks.targets import TARGET, target_column
from ml.tasks.task import Task

if TYPE_CHECKING:
    from ml.exported.reference import Reference
    from ml.tasks.encoding import Encoder

SHOWN_FEATURES = 5  # of a row that is wrong: those that matter most


@dataclass(frozen=True)
class EvaluationInputs:
    """The inputs of an evaluation: the test rows as features, their labels y, and answers to all of them.

    `grouping` holds the values of the declared slices' and sensitive columns, row by row. `fair` [n_rows] marks the
    rows of which the champion has learned nothing: slices are compared on these alone. `counting` says how metrics
    count the rows, and whether whole groups are drawn for intervals.
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
    counting: Counting = EQUALLY

    def of(self, target: str) -> EvaluationInputs:
        """Return the same of one of several targets, as if it were the only one."""
        at = self.task.targets.index(target)
        return replace(
            self,
            task=self.task.alone,
            y=self.y[:, at],
            candidate=self.candidate[:, at],
            champion=None if self.champion is None else self.champion[:, at],
            reference=self.reference.targets[target],
            predict=lambda X: self.predict(X)[:, at],
        )

    @property
    def resampling(self) -> Resampling:
        plan = self.spec.evaluation
        return Resampling(plan.resamples, plan.confidence, self.seed("bootstrap"), self.counting.groups)

    def seed(self, purpose: str) -> int:
        return derived_seed(self.spec.seed, "evaluation", purpose)


def explained(inputs: EvaluationInputs) -> Explained:
    """Explain the answers of the candidate on the test rows."""
    return explain(
        inputs.predict,
        inputs.encoder,
        inputs.rows,
        inputs.y,
        inputs.task,
        inputs.spec.metric,
        counting=inputs.counting,
        rows=inputs.spec.evaluation.importance_rows,
        shap_rows=inputs.spec.evaluation.shap_rows,
        seed=inputs.seed("explanations"),
    )


def evaluate(evaluation: Evaluation, inputs: EvaluationInputs, explanations: Explained) -> Evaluation:
    """Return an evaluation with all that the test rows say; `explanations` are those of the candidate's answers."""
    # Infinite answers would make warnings, and figures, of a candidate that is refused anyway.
    inputs = replace(inputs, candidate=np.where(np.isfinite(inputs.candidate), inputs.candidate, np.nan))
    if inputs.task.targets:
        return _of_all(evaluation, inputs, explanations)
    important = [importance.feature for importance in explanations.importances[:SHOWN_FEATURES]]
    keys = inputs.spec.keys
    parts = {
        "not_finite": rows_unanswered(inputs.candidate, inputs.task),
        **_metrics(inputs),
        **_slices(inputs),
        **(_regression_parts(inputs) if inputs.task.kind == "regression" else _classification_parts(inputs)),
        "fairness": tuple(_fairness(inputs)),
        "importances": tuple(explanations.importances),
        "most_wrong": tuple(most_wrong(inputs.rows, keys, inputs.y, inputs.candidate, inputs.task, important)),
        "reference": inputs.reference,
    }
    measured = evaluation.model_copy(update=parts)
    return measured.model_copy(update={"ablation": tuple(_ablation(measured, inputs))})


def _of_all(evaluation: Evaluation, inputs: EvaluationInputs, explanations: Explained) -> Evaluation:
    """Return the evaluation of several targets: that of each, and what there is of all of them together."""
    of_targets = zip(inputs.task.targets, explanations.of_targets, strict=True)
    parts = {
        "not_finite": rows_unanswered(inputs.candidate, inputs.task),
        **_metrics(inputs),
        "slices": (*_target_slices(inputs), *_declared_slices(inputs)),
        "importances": tuple(explanations.importances),
        "reference": inputs.reference,
        "targets": {name: _of_target(evaluation, inputs, name, alone) for name, alone in of_targets},
    }
    return evaluation.model_copy(update=parts)


def _of_target(evaluation: Evaluation, inputs: EvaluationInputs, target: str, explanations: Explained) -> Evaluation:
    alone = inputs.of(target)
    about = {"target": alone.task.summary(inputs.rows[target_column(target)]), "serving": None, "leak_audit": None}
    if alone.champion is not None:
        rule, sides = inputs.spec.gates.champion, (alone.candidate, alone.champion)
        about |= compare_unseen(
            inputs.spec.metric, rule, inputs.spec.seed, alone.y, *sides, inputs.fair, inputs.counting
        )
    return evaluate(evaluation.model_copy(update=about), alone, explanations)


def _target_slices(inputs: EvaluationInputs) -> Iterator[Slice]:
    """Yield each of several targets as a slice of the answers: the champion may be better at one of them."""
    rows = np.arange(len(inputs.y))
    for target in inputs.task.targets:
        yield _slice(inputs.of(target), Part(TARGET, target, rows), None)


def _ablation(measured: Evaluation, inputs: EvaluationInputs) -> Iterator[Ablated]:
    """Yield the features that make a metric that is too good to be true, on as many rows as explanations are of."""
    limits = inputs.spec.gates.plausible.surpassed(measured)
    if not limits:
        return
    rows, seed = inputs.spec.evaluation.importance_rows, inputs.seed("ablation")
    least = max(rows, len(inputs.task.classes))
    chosen = sampled_rows(inputs.y, inputs.task, least, seed, inputs.counting.groups)
    X, y = inputs.encoder.encode(inputs.rows.iloc[chosen]).astype(np.float64), inputs.y[chosen]
    counting = inputs.counting.at(chosen)
    important = [importance.feature for importance in measured.importances]
    for metric, limit in limits.items():
        ablation = Ablation(inputs.predict, X, y, inputs.encoder.features, metric, limit, seed, counting)
        yield from ablation.makers(important)


def _metrics(inputs: EvaluationInputs) -> dict[str, Any]:
    """Measure candidate, champion and baseline with intervals, all on the same resamples of the same rows."""
    answers = {"": inputs.candidate, "baseline_": inputs.reference.answers(len(inputs.y), inputs.task)}
    if inputs.champion is not None:
        answers["champion_"] = inputs.champion
    names = [*usual_metrics(inputs.task.kind), *inputs.spec.evaluation.metrics]
    ones = np.ones(len(inputs.y))
    measured = {
        side + name: Metric.named(name).prepare(inputs.y, p, inputs.counting)
        for side, p in answers.items()
        for name in names
    }
    values = resampled_values(inputs.y, measured, inputs.resampling)
    exact = {name: float(function(ones)) for name, function in measured.items()}
    parts: dict[str, Any] = {"resamples": inputs.resampling.resamples, "confidence": inputs.resampling.confidence}
    for side in answers:
        parts[f"{side}metrics"] = {name: exact[side + name] for name in names}
        parts[f"{side}intervals"] = {
            name: estimate(exact[side + name], values[side + name], inputs.resampling) for name in names
        }
    undefined = {name: why for name in names if (why := _undefined(name, exact[name], inputs)) is not None}
    return parts | {"undefined": undefined, "over_baseline": _over_baseline(inputs, exact, values)}


def _undefined(name: str, value: float, inputs: EvaluationInputs) -> str | None:
    """Return why a metric says nothing of the candidate; None if it does."""
    if not np.isnan(value):
        return None
    return Metric.named(name).undefined(inputs.y, inputs.candidate, inputs.counting) or "its function returns no number"


def _over_baseline(inputs: EvaluationInputs, exact: Mapping[str, float], values: Mapping[str, np.ndarray]) -> Interval:
    rule, metric = inputs.spec.gates.baseline, inputs.spec.metric
    baseline = f"baseline_{metric}"
    return paired_difference(
        metric,
        (exact[metric], exact[baseline]),
        (values[metric], values[baseline]),
        confidence=rule.confidence if rule else inputs.resampling.confidence,
    )


def _classification_parts(inputs: EvaluationInputs) -> dict[str, Any]:
    y, seed = inputs.y, inputs.seed("calibration")
    objective = inputs.spec.evaluation.objective
    return {
        "decisions": decide(y, inputs.candidate, inputs.task, inputs.reference.threshold, objective, inputs.resampling),
        "calibration": calibration(y, inputs.candidate, seed),
        "champion_calibration": None if inputs.champion is None else calibration(y, inputs.champion, seed),
    }


def _regression_parts(inputs: EvaluationInputs) -> dict[str, Any]:
    interval = inputs.reference.interval
    return {"coverage": coverage(inputs.y, inputs.candidate, interval, inputs.resampling) if interval else None}


def _slices(inputs: EvaluationInputs) -> dict[str, Any]:
    """Judge the declared slices, and after them those that the search found besides."""
    plan = inputs.spec.evaluation
    searched = worst_slices(inputs.rows, inputs.encoder.features, _search(inputs), plan.worst_slices)
    weak = {_identity(finding.part): finding for finding in searched.findings}
    slices = _declared_slices(inputs, weak)
    slices += [_slice(inputs, finding.part, finding, declared=False) for finding in weak.values()]
    return {"slices": tuple(slices), "searched_slices": searched.looked_at}


def _declared_slices(inputs: EvaluationInputs, weak: dict[tuple[str, bytes], WeakSlice] | None = None) -> list[Slice]:
    """Judge the declared slices, and take those out of `weak` that were found too."""
    plan, weak = inputs.spec.evaluation, {} if weak is None else weak
    declared = [part for name in plan.slices for part in parts(name, inputs.grouping[name], plan.slice_rows)]
    return [_slice(inputs, part, weak.pop(_identity(part), None)) for part in declared]


def _identity(part: Part) -> tuple[str, bytes]:
    """Return what two parts have in common that are one slice: their column and rows."""
    return part.column, part.positions.tobytes()


def _slice(inputs: EvaluationInputs, part: Part, finding: WeakSlice | None, *, declared: bool = True) -> Slice:
    metric, y = inputs.spec.metric, inputs.y
    judged = judge_slice(
        metric, y, inputs.candidate, inputs.champion, part, inputs.fair, inputs.resampling, inputs.counting
    )
    search = {"found": True, "deficit": finding.deficit, "p_value": finding.p_value} if finding else {}
    return judged.model_copy(update={"declared": declared, **search})


def _search(inputs: EvaluationInputs) -> Search:
    metric, baseline = inputs.spec.metric, inputs.reference.answers(len(inputs.y), inputs.task)
    scores = [score(metric, inputs.y, p, inputs.counting) for p in (inputs.candidate, baseline)]
    gain = abs(scores[0] - scores[1])
    smallest, seed = inputs.spec.evaluation.slice_rows, inputs.seed("slices")
    return Search(metric, inputs.y, inputs.candidate, LEAST_LOST * gain, smallest, seed, inputs.counting)


def _fairness(inputs: EvaluationInputs) -> list[Fairness]:
    threshold = inputs.reference.threshold.value if inputs.reference.threshold else None
    smallest = inputs.spec.evaluation.slice_rows
    return [
        fairness(
            name,
            parts(name, inputs.grouping[name], smallest),
            inputs.y,
            inputs.candidate,
            inputs.task,
            threshold,
            inputs.resampling,
        )
        for name in inputs.spec.evaluation.sensitive
    ]
