"""Answers: the model's scores of records, in the words of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.plan.document import Task

Score = float | list[float]  # of a record: one number, or a probability for each class


def one(task: Task, score: Score, threshold: float | None = None) -> dict[str, Any]:
    """Answer one record: `score`, beside a threshold `decision` too, or `class` and `probabilities`."""
    if isinstance(score, list):
        return {"class": likeliest(task, score), "probabilities": _by_class(task, score)}
    if threshold is None:
        return {"score": score}
    return {"score": score, "decision": score >= threshold, "threshold": threshold}


def many(task: Task, scores: Sequence[Score], threshold: float | None = None) -> dict[str, Any]:
    """Answer several records, with an entry for each: `scores` and `decisions`, or `classes` and `probabilities`."""
    rows = [score for score in scores if isinstance(score, list)]
    if task.kind == "multiclass":
        return {
            "classes": [likeliest(task, probabilities) for probabilities in rows],
            "probabilities": [_by_class(task, probabilities) for probabilities in rows],
        }
    if threshold is None:
        return {"scores": scores}
    decisions = [score >= threshold for score in scores if isinstance(score, float)]
    return {"scores": scores, "decisions": decisions, "threshold": threshold}


def explanation(task: Task, threshold: float | None = None) -> str:
    """Describe the answer to a record, as a sentence."""
    if task.kind == "multiclass":
        return (
            "Answered with `class`, the likeliest of the classes, and `probabilities`, that of each: "
            f"{', '.join(task.classes)}."
        )
    number = "the predicted number" if task.kind == "regression" else "the probability of the positive class"
    if threshold is None:
        return f"Answered with `score`, {number}."
    return f"Answered with `score`, {number}, and `decision`, which is true from the `threshold` {threshold} on."


def likeliest(task: Task, probabilities: list[float]) -> str:
    """Return the class with the highest probability, the first one of equal ones."""
    return task.classes[probabilities.index(max(probabilities))]


def _by_class(task: Task, probabilities: list[float]) -> dict[str, float]:
    return dict(zip(task.classes, probabilities, strict=True))
