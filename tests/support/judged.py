"""An evaluation of 240 rows, of each kind of task, as other tests look at it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.evaluate import EvaluationInputs, evaluate, explained
from ml.evaluation.explanations import Explained
from ml.evaluation.record import Evaluation
from ml.exported.reference import make_reference, of_all
from ml.tasks.encoding import Encoder
from ml.tasks.task import Kind, Task

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


def several(*, champion: bool = True, **changes: Any) -> tuple[Evaluation, EvaluationInputs, Explained]:
    """An evaluation of two targets, the first of which is that of the binary task, answered alike."""
    _, alone, _ = made("binary", champion=champion)
    random, task = np.random.default_rng(7), Task("binary", targets=("first", "second"))
    z = alone.rows["z"].to_numpy()
    y = np.stack([alone.y, (z + random.normal(0, 0.3, 240) > 0.7).astype("int8")], axis=1)

    def answer(X: np.ndarray) -> np.ndarray:
        return np.stack([answers("binary", X), 1 / (1 + np.exp(-6 * (X[:, 1] - 0.7)))], axis=1)

    candidate = answer(alone.encoder.encode(alone.rows).astype(float))
    declared = alone.spec.examples.model_copy(update={"target": ["first", "second"]})
    second = make_reference(Task(), alone.spec.evaluation, alone.spec.metric, y[:, 1], y[:, 1], candidate[:, 1], [])
    references = {"first": alone.reference.model_copy(update={"refit_scores": ()}), "second": second}
    given = {
        "spec": alone.spec.model_copy(update={"examples": declared}),
        "task": task,
        "rows": alone.rows.assign(**{"target first": y[:, 0], "target second": y[:, 1]}),
        "y": y,
        "candidate": candidate,
        "champion": None if alone.champion is None else np.stack([alone.champion, candidate[:, 1] * 0.9], axis=1),
        "reference": of_all(references, alone.spec.metric, [0.8, 0.79]),
        "predict": answer,
    }
    inputs = replace(alone, **{**given, **changes})
    begun = Evaluation(
        model_hash="a" * 64,
        family="lightgbm",
        rows=240,
        target=task.summary_of(inputs.rows),
        metrics={},
        champion_version="4" if champion else None,
    )
    explanations = explained(inputs)
    return evaluate(begun, inputs, explanations), inputs, explanations


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
