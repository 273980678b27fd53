"""The test rows that are most wrong, to be looked at one by one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from ml.base.text import shortened
from ml.tasks.task import Task
from ml.tasks.weighted import log_losses, squared_errors

MOST = 10
SHOWN = 200  # characters of a text


class WrongRow(BaseModel):
    """One row: its key and cutoff, what was true, what was answered, the loss, and some of its features."""

    model_config = ConfigDict(frozen=True)

    key: str
    cutoff: str | None
    truth: str
    answer: str
    loss: float
    features: dict[str, str] = {}


def losses(y: np.ndarray, p: np.ndarray, task: Task) -> np.ndarray:
    """Return the loss of each row by itself, [n_rows]: the log loss of classes, the squared error of numbers."""
    return squared_errors(y, p) if task.kind == "regression" else log_losses(y, p)


def most_wrong(
    rows: pd.DataFrame, keys: Sequence[str], y: np.ndarray, p: np.ndarray, task: Task, features: Sequence[str]
) -> list[WrongRow]:
    """List the rows of the greatest loss, the worst first, with values of some features; of equal ones the first."""
    loss = losses(y, p, task)
    worst = np.argsort(-loss, kind="stable")[:MOST]
    return [
        WrongRow(
            key=", ".join(str(rows[key].iloc[at]) for key in keys),
            cutoff=None if pd.isna(rows["cutoff"].iloc[at]) else str(rows["cutoff"].iloc[at]),
            truth=_truth(y[at], task),
            answer=_answer(p[at], task),
            loss=float(np.sqrt(loss[at]) if task.kind == "regression" else loss[at]),
            features={name: _text(rows[name].iloc[at]) for name in features},
        )
        for at in worst
    ]


def _truth(label: float, task: Task) -> str:
    if task.kind == "multiclass":
        return task.classes[int(label)]
    return ("no", "yes")[int(label)] if task.kind == "binary" else f"{label:.5g}"


def _answer(p: np.ndarray, task: Task) -> str:
    if task.kind == "multiclass":
        return f"{task.classes[int(p.argmax())]} ({p.max():.4f})"
    return f"{float(p):.4f}" if task.kind == "binary" else f"{float(p):.5g}"


def _text(value: object) -> str:
    if pd.isna(value):  # type: ignore[call-overload]
        return "missing"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else shortened(str(value), SHOWN)
