"""Answers: what the model's scores say of each record, in the words of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.plan.document import Task

Score = float | list[float]  # of a record: one number, or a probability for each class


def one(task: Task, score: Score) -> dict[str, Any]:
    """The answer to one record: `score`, or `class` and `probabilities`."""
    if isinstance(score, float):
        return {"score": score}
    return {"class": _likeliest(task, score), "probabilities": _by_class(task, score)}


def many(task: Task, scores: Sequence[Score]) -> dict[str, Any]:
    """The answer to several records, an entry for each: `scores`, or `classes` and `probabilities`."""
    if task.kind != "multiclass":
        return {"scores": scores}
    lists = [score for score in scores if isinstance(score, list)]
    return {
        "classes": [_likeliest(task, each) for each in lists],
        "probabilities": [_by_class(task, each) for each in lists],
    }


def explained(task: Task) -> str:
    """What a record is answered with, as a sentence."""
    if task.kind == "multiclass":
        return (
            "Answered with `class`, the likeliest of the classes, and `probabilities`, that of each: "
            f"{', '.join(task.classes)}."
        )
    number = "the predicted number" if task.kind == "regression" else "the probability of the positive class"
    return f"Answered with `score`, {number}."


def _likeliest(task: Task, probabilities: list[float]) -> str:
    return task.classes[probabilities.index(max(probabilities))]


def _by_class(task: Task, probabilities: list[float]) -> dict[str, float]:
    return dict(zip(task.classes, probabilities, strict=True))
