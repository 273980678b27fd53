"""The reference of a model: what only training and validation rows can tell of it, inside of the exported one."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ml.declaration.evaluation import EvaluationPlan
from ml.intervals.conformal import ConformalInterval, conformal_interval
from ml.intervals.thresholds import Threshold, choose_threshold
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.metrics import score, usual_metrics
from ml.tasks.objectives import SQUARED, Objective
from ml.tasks.task import Task

KEY = "sextant.reference"
TWENTIETHS = np.arange(1, 20) / 20


class Reference(BaseModel):
    """The threshold, the interval and the trivial baseline of a model, none of which has seen a test row.

    `baseline` is what answers every row alike: the share of the positive or of each class among training rows, or the
    mean of their targets, or the median or quantile that is wanted. `refit_scores` are the validation scores of models
    refitted with other seeds, the model's own first; `validation` are its metrics there. `quantiles` are those of a
    regression's answers there, by which a service counts its own. Of several targets `targets` are the references of
    each, and only they have a threshold.
    """

    model_config = ConfigDict(frozen=True)

    train_rows: int
    validation_rows: int
    baseline: tuple[float, ...]
    threshold: Threshold | None = None
    interval: ConformalInterval | None = None
    metric: str
    refit_scores: tuple[float, ...] = ()
    validation: dict[str, float] = {}
    quantiles: tuple[float, ...] = Field(default=(), exclude_if=lambda quantiles: not quantiles)
    targets: dict[str, "Reference"] = Field(
        default_factory=dict,
        exclude_if=lambda targets: not targets,  # so that the model of one target is exported as ever
    )

    def answers(self, rows: int, task: Task) -> np.ndarray:
        """Return what the baseline answers to so many rows: [rows], or [rows, n_classes], or [rows, n_targets]."""
        alike = np.tile(np.array(self.baseline), (rows, 1))
        return alike if task.answer_shape else alike[:, 0]


def make_reference(
    task: Task,
    plan: EvaluationPlan,
    metric: str,
    y_train: np.ndarray,
    y_valid: np.ndarray,
    p_valid: np.ndarray,
    refit_scores: Sequence[float],
    counting: tuple[Counting, Counting] = (EQUALLY, EQUALLY),
    objective: Objective = SQUARED,
) -> Reference:
    """The reference of a model; `p_valid` are its answers to the validation rows, from before it learned from any.

    Baseline and metrics go by how rows of train and of validation are `counting`. Of several targets, y and p
    [n_rows, n_targets], it has those of each.
    """
    if task.targets:
        of_targets = {
            name: make_reference(
                task.alone, plan, metric, y_train[:, at], y_valid[:, at], p_valid[:, at], (), counting, objective
            )
            for at, name in enumerate(task.targets)
        }
        return of_all(of_targets, metric, refit_scores)
    names = dict.fromkeys([*usual_metrics(task.kind), metric])
    binary, number = task.kind == "binary", task.kind == "regression"
    return Reference(
        train_rows=len(y_train),
        validation_rows=len(y_valid),
        baseline=_baseline(y_train, task, counting[0].weights, objective),
        threshold=choose_threshold(y_valid, p_valid, plan.objective) if binary else None,
        interval=conformal_interval(y_valid, p_valid, plan.interval) if number else None,
        metric=metric,
        refit_scores=tuple(refit_scores),
        validation={name: score(name, y_valid, p_valid, counting[1]) for name in names},
        quantiles=tuple(np.unique(np.quantile(p_valid, TWENTIETHS)).tolist()) if number else (),
    )


def of_all(of_targets: dict[str, Reference], metric: str, refit_scores: Sequence[float]) -> Reference:
    """Return the reference of several targets: metrics are means of theirs."""
    first = next(iter(of_targets.values()))
    measured = [reference.validation for reference in of_targets.values()]
    return Reference(
        train_rows=first.train_rows,
        validation_rows=first.validation_rows,
        baseline=tuple(share for reference in of_targets.values() for share in reference.baseline),
        metric=metric,
        refit_scores=tuple(refit_scores),
        validation={name: fmean(values[name] for values in measured) for name in first.validation},
        targets=of_targets,
    )


def _baseline(y: np.ndarray, task: Task, weights: np.ndarray | None, objective: Objective) -> tuple[float, ...]:
    if task.kind == "multiclass":
        counts = np.bincount(y, weights, minlength=len(task.classes))
        return tuple((counts / counts.sum()).tolist())
    return (objective.trivial(y, weights),)
