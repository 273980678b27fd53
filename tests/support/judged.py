"""An evaluation of 240 rows, of each kind of task, as other tests look at it."""

from typing import Any

import numpy as np
import pandas as pd

from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.evaluate import EvaluationInputs, evaluate, explained
from ml.evaluation.explanations import Explained
from ml.evaluation.record import Evaluation
from ml.exported.reference import make_reference
from ml.tasks.encoding import Encoder
from ml.tasks.metrics import Kind, Task

TASKS: dict[Kind, Task] = {
    "binary": Task(),
    "multiclass": Task("multiclass", ("ant", "bee", "cow")),
    "regression": Task("regression"),
}


def spec_of(kind: Kind, **changes: Any) -> UseCaseSpec:
    return UseCaseSpec.model_validate(
        {
            "description": "Which <one>?",
            "task": kind,
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {"table": "rows", "target": "y", "split": {"validation_share": 0.2, "test_share": 0.2}},
            "models": {"lightgbm": {}},
            "evaluation": {"resamples": 60, "slices": ["site"], "sensitive": ["site"], "shap_rows": 10,
                           "slice_rows": 10},
            **changes,
        }
    )  # fmt: skip


def answers(kind: Kind, X: np.ndarray) -> np.ndarray:
    """What the model of these tests answers: it goes by the first feature."""
    if kind == "regression":
        return 3 * X[:, 0]
    if kind == "binary":
        yes: np.ndarray = 1 / (1 + np.exp(-2 * X[:, 0]))
        return yes
    powers = np.exp(np.column_stack([X[:, 0], -X[:, 0], np.zeros(len(X))]))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def truth(kind: Kind, x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if kind == "regression":
        return 3 * x + random.normal(size=len(x))
    if kind == "binary":
        return (x + random.normal(size=len(x)) > 0).astype("int8")
    return np.digitize(x + random.normal(size=len(x)), [-0.5, 0.5]).astype("int16")


def made(
    kind: Kind, *, champion: bool = True, seeds: int = 3, seen: int = 0, metric: str | None = None, **changes: Any
) -> tuple[Evaluation, EvaluationInputs, Explained]:
    """An evaluation, of which the champion has learned from the first `seen` rows; `changes` are of its inputs."""
    random, task, spec = np.random.default_rng(0), TASKS[kind], spec_of(kind, **({"metric": metric} if metric else {}))
    rows = pd.DataFrame({"id": range(240), "cutoff": pd.NaT, "x": random.normal(size=240), "z": random.random(240)})
    y, x_valid = truth(kind, rows["x"].to_numpy(), random), random.normal(size=200)
    y_valid = truth(kind, x_valid, random)
    encoder = Encoder.fit(rows, ["x", "z"], [])
    candidate = answers(kind, encoder.encode(rows).astype(float))
    p_valid = answers(kind, x_valid[:, None])
    given: dict[str, Any] = {
        "spec": spec,
        "task": task,
        "rows": rows,
        "grouping": {"site": pd.Series(np.where(rows["id"] % 3 == 0, "north", "south"))},
        "y": y,
        "candidate": candidate,
        "champion": answers(kind, encoder.encode(rows).astype(float) * 0.5) if champion else None,
        "fair": np.arange(240) >= seen,
        "reference": make_reference(
            task, spec.evaluation, spec.metric, y_valid, y_valid, p_valid, [0.7, 0.71, 0.69][:seeds]
        ),
        "encoder": encoder,
        "predict": lambda X: answers(kind, X),
    }
    judging = EvaluationInputs(**given | changes)
    begun = Evaluation(
        model_hash="a" * 64,
        family="lightgbm",
        rows=240,
        target={"share positive": 0.5},
        metrics={},
        champion_version="4" if champion else None,
        seen_by_champion=seen,
    )
    explanations = explained(judging)
    return evaluate(begun, judging, explanations), judging, explanations
