"""The threshold from which on a probability is a yes: chosen on validation rows, judged on test rows."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.declaration.evaluation import LeastCost, Objective, PrecisionAtRecall
from ml.intervals.bootstrap import Estimate, Resampling, estimates
from ml.tasks.task import Task
from ml.tasks.weighted import Groups, Weighted, most_likely, ratio

MOST_CLASSES = 12  # in one confusion matrix: more cannot be read


class Threshold(BaseModel):
    """A threshold, the objective that chose it, and what that, precision and recall reached on validation rows."""

    model_config = ConfigDict(frozen=True)

    value: float
    objective: str
    reached: float
    precision: float
    recall: float


class Decisions(BaseModel):
    """The outcome of decisions on test rows: `confusion[truth][answer]` counts rows; of a binary task, rates by name.

    Of many classes the most frequent are told apart; `others` are the rest.
    """

    model_config = ConfigDict(frozen=True)

    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    rates: dict[str, Estimate] = {}


def choose_threshold(y: np.ndarray, p: np.ndarray, objective: Objective = "f1") -> Threshold:
    """Choose the best threshold for labels y and probabilities p [n_rows]; of equally good ones the highest.

    It lies halfway to the next lower probability, so that the last digit of one decides nothing. The highest one
    asked about says no to all rows.
    """
    from sklearn.metrics import confusion_matrix_at_thresholds

    _, *counts, cuts = confusion_matrix_at_thresholds(y, p)
    fp, fn, tp = (np.append(none, count) for none, count in zip((0, int(y.sum()), 0), counts, strict=True))
    cuts = np.append(1.0, cuts)
    description, sign, values = _values(objective, fp, fn, tp, len(y))
    best = int(np.argmax(sign * values))
    return Threshold(
        value=float((cuts[best] + cuts[min(best + 1, len(cuts) - 1)]) / 2),
        objective=description,
        reached=float(values[best]),
        precision=_or_zero(tp, tp + fp)[best],
        recall=_or_zero(tp, tp + fn)[best],
    )


def _values(
    objective: Objective, fp: np.ndarray, fn: np.ndarray, tp: np.ndarray, rows: int
) -> tuple[str, int, np.ndarray]:
    """Return an objective's description, 1 or -1 as more or less of it is better, and its value at each threshold."""
    if isinstance(objective, LeastCost):
        cost = objective.cost
        costs = f"a false positive {cost.false_positive:g}, a false negative {cost.false_negative:g}"
        return f"least cost per row: {costs}", -1, (fp * cost.false_positive + fn * cost.false_negative) / rows
    if isinstance(objective, PrecisionAtRecall):
        wanted = objective.precision_at_recall
        reached = _or_zero(tp, tp + fn) >= wanted
        return f"greatest precision at a recall of at least {wanted:g}", 1, np.where(reached, _or_zero(tp, tp + fp), -1)
    return "greatest F1", 1, _or_zero(2 * tp, 2 * tp + fp + fn)


def _or_zero(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    quotients: np.ndarray = np.nan_to_num(ratio(part, whole))
    return quotients


def decide(
    y: np.ndarray, p: np.ndarray, task: Task, threshold: Threshold | None, objective: Objective, resampling: Resampling
) -> Decisions:
    """Decide on test rows: of a binary task by the threshold, of many classes the likeliest one."""
    if threshold is None:
        return _classes(y, most_likely(p), task)
    decided = (p >= threshold.value).astype(int)
    return Decisions(
        classes=("no", "yes"),
        confusion=_confusion(y, decided, 2),
        rates=estimates(y, rates(y, decided, objective), resampling),
    )


def rates(y: np.ndarray, decided: np.ndarray, objective: Objective) -> dict[str, Weighted]:
    """Return the rates of yes and no decisions [n_rows], each as a function of the rows' weights."""
    cells = Groups(2 * y.astype(int) + decided, 4)  # the truth first: no no, no yes, yes no, yes yes

    def of(part: list[float], whole: list[float]) -> Weighted:
        sides = np.array([part, whole], dtype=np.float64)
        return lambda weights: ratio(*((cells.sums(weights) * side).sum(axis=-1) for side in sides))

    functions = {
        "precision": of([0, 0, 0, 1], [0, 1, 0, 1]),
        "recall": of([0, 0, 0, 1], [0, 0, 1, 1]),
        "F1": of([0, 0, 0, 2], [0, 1, 1, 2]),
        "accuracy": of([1, 0, 0, 1], [1, 1, 1, 1]),
        "selection rate": of([0, 1, 0, 1], [1, 1, 1, 1]),
    }
    if isinstance(objective, LeastCost):
        cost = objective.cost
        functions["cost per row"] = of([0, cost.false_positive, cost.false_negative, 0], [1, 1, 1, 1])
    return functions


def _classes(y: np.ndarray, decided: np.ndarray, task: Task) -> Decisions:
    counts = np.bincount(y, minlength=len(task.classes))
    shown = sorted(np.argsort(-counts, kind="stable")[:MOST_CLASSES].tolist())
    place = np.full(len(task.classes), len(shown))
    place[shown] = np.arange(len(shown))
    more = ("others",) if len(shown) < len(task.classes) else ()
    names = (*(task.classes[code] for code in shown), *more)
    return Decisions(classes=names, confusion=_confusion(place[y], place[decided], len(names)))


def _confusion(y: np.ndarray, decided: np.ndarray, classes: int) -> tuple[tuple[int, ...], ...]:
    counts = np.bincount(y.astype(int) * classes + decided, minlength=classes * classes).reshape(classes, classes)
    return tuple(map(tuple, counts.tolist()))
