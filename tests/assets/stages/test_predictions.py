"""Batch predictions name rows by their key, whatever that is called."""

import numpy as np
import pandas as pd
import pytest

from assets.stages.predictions import answer_columns, answered
from ml.tasks.task import Task

ABOUT = {"model_version": "3"}


@pytest.mark.parametrize(
    ("key", "task", "scores"),
    [
        ("score", Task(), np.array([0.2, 0.9])),
        ("decision", Task(), np.array([0.2, 0.9])),
        ("model_version", Task(), np.array([0.2, 0.9])),
        ("probability_a", Task("binary", targets=("a", "b")), np.array([[0.2, 0.9], [0.7, 0.1]])),
        ("class", Task("multiclass", ("a", "b")), np.array([[0.2, 0.8], [0.7, 0.3]])),
    ],
)
def test_a_key_with_the_name_of_an_answer_is_not_lost(key: str, task: Task, scores: np.ndarray) -> None:
    rows = pd.DataFrame({key: [17, 23], "cutoff": pd.NaT})
    answers = answer_columns(task, scores, [0.5] * task.outputs)

    table = answered(rows, [key], answers, ABOUT)

    assert table[f"key_{key}"].tolist() == [17, 23]
    assert {name: table[name].tolist() for name in answers} == {name: list(values) for name, values in answers.items()}
    assert list(table) == [f"key_{key}", "cutoff", *answers, *ABOUT]


def test_any_other_key_has_its_own_name() -> None:
    rows = pd.DataFrame({"id": [1], "cutoff": pd.NaT})

    table = answered(rows, ["id"], answer_columns(Task(), np.array([0.2])), ABOUT)

    assert list(table) == ["id", "cutoff", "score", "model_version"]
