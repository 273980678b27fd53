"""Answers: the model's scores of records, in the words of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from service.plan.document import Task

Score = float | list[float]  # of a record: one number, or a probability for each class, or for each target


class Interval(msgspec.Struct, frozen=True):
    """The interval around predicted numbers, `half_width` to both sides; `level` is the share that it is to hold."""

    level: float
    half_width: float

    def around(self, score: Any) -> dict[str, float]:
        """Return the interval around a predicted number."""
        return {"lower": score - self.half_width, "upper": score + self.half_width, "level": self.level}


def one(task: Task, score: Score, thresholds: Sequence[float] = (), interval: Interval | None = None) -> dict[str, Any]:
    """Answer one record: `score`, beside a threshold `decision` too, or `class` and `probabilities`.

    Of several targets these are `probabilities` and `decisions`, and each has a threshold of its own. A number has its
    `interval`, where there is one.
    """
    if isinstance(score, list):
        if task.targets:
            return {**_of_targets(task, score, thresholds), "thresholds": _by_name(task.targets, thresholds)}
        return {"class": likeliest(task, score), "probabilities": _by_name(task.classes, score)}
    if interval is not None:
        return {"score": score, "interval": interval.around(score)}
    if not thresholds:
        return {"score": score}
    return {"score": score, "decision": score >= thresholds[0], "threshold": thresholds[0]}


def many(
    task: Task, scores: Sequence[Score], thresholds: Sequence[float] = (), interval: Interval | None = None
) -> dict[str, Any]:
    """Answer several records, with an entry for each: `scores` and `decisions`, or `classes` and `probabilities`.

    Numbers have `intervals`.
    """
    rows = [score for score in scores if isinstance(score, list)]
    if task.targets:
        answers = [_of_targets(task, probabilities, thresholds) for probabilities in rows]
        entries = {name: [answer[name] for answer in answers] for name in ("probabilities", "decisions")}
        return {**entries, "thresholds": _by_name(task.targets, thresholds)}
    if task.kind == "multiclass":
        return {
            "classes": [likeliest(task, probabilities) for probabilities in rows],
            "probabilities": [_by_name(task.classes, probabilities) for probabilities in rows],
        }
    if interval is not None:
        return {"scores": scores, "intervals": list(map(interval.around, scores))}
    if not thresholds:
        return {"scores": scores}
    decisions = [score >= thresholds[0] for score in scores if isinstance(score, float)]
    return {"scores": scores, "decisions": decisions, "threshold": thresholds[0]}


def explanation(
    task: Task, thresholds: Sequence[float] = (), interval: Interval | None = None, no_interval: str = ""
) -> str:
    """Describe the answer to a record, as a sentence or two."""
    if task.targets:
        return (
            "Answered with `probabilities`, that of each target, and `decisions`, each of which is true from its "
            f"threshold on: {', '.join(f'{name} {cut}' for name, cut in zip(task.targets, thresholds, strict=True))}."
        )
    if task.kind == "multiclass":
        return (
            "Answered with `class`, the likeliest of the classes, and `probabilities`, that of each: "
            f"{', '.join(task.classes)}."
        )
    if task.kind == "regression" and interval is not None:
        return (
            "Answered with `score`, the predicted number, and `interval`, from `lower` to `upper`, which is to hold "
            f"{interval.level:g} of the true numbers."
        )
    if no_interval and task.kind == "regression":
        return f"Answered with `score`, the predicted number. There is no interval: {no_interval}."
    number = "the predicted number" if task.kind == "regression" else "the probability of the positive class"
    if not thresholds:
        return f"Answered with `score`, {number}."
    return f"Answered with `score`, {number}, and `decision`, which is true from the `threshold` {thresholds[0]} on."


def likeliest(task: Task, probabilities: list[float]) -> str:
    """Return the class with the highest probability, the first one of equal ones."""
    return task.classes[probabilities.index(max(probabilities))]


def decided(probabilities: Sequence[float], thresholds: Sequence[float]) -> list[bool]:
    """Return the decision about each of several targets."""
    return [probability >= cut for probability, cut in zip(probabilities, thresholds, strict=True)]


def _of_targets(task: Task, probabilities: list[float], thresholds: Sequence[float]) -> dict[str, dict[str, Any]]:
    return {
        "probabilities": _by_name(task.targets, probabilities),
        "decisions": _by_name(task.targets, decided(probabilities, thresholds)),
    }


def _by_name(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))
