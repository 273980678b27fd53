"""Explaining: features of records, as the model takes them, to explanations of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.explain.document import KEY, Carried
from service.explain.explainer import Explainer, Explanation
from service.plan.document import Task
from service.predict.features import Inputs, Matrices
from service.predict.metadata import carried

MISSING = ""
Explained = Explanation | dict[str, Explanation]  # of an answer, or of that to each of several targets


class UnexplainedError(RuntimeError):
    """The answers of this model cannot be explained; the message says why, and what to do."""


class _Encoder(msgspec.Struct):
    categories: dict[str, list[str]] = {}


class Explaining:
    """Explains the answers of a session; raises UnexplainedError if its model was exported before there was a way."""

    def __init__(self, session: Any, inputs: Inputs, task: Task) -> None:
        known = carried(session, KEY, Carried | None, "null")
        if known is None:
            raise UnexplainedError(
                "this model carries no background to be explained against: it was exported before models did; "
                "retrain, and promote what comes of it"
            )
        levels = carried(session, "sextant.encoder", _Encoder).categories
        self._session, self._inputs, self._task = session, inputs, task
        self._names = [node.name for node in session.get_inputs()]
        self._levels = [np.array([*levels.get(name, []), MISSING], object) for name in inputs.categorical]
        self._codes = [dict(zip(labels[:-1], range(len(labels)), strict=False)) for labels in self._levels]
        widths = {vocabulary.column: len(vocabulary.features) for vocabulary in inputs.texts}
        columns = {**dict.fromkeys(inputs.numeric, 1), **widths, **dict.fromkeys(inputs.categorical, 1)}
        self._n_numeric = sum(columns.values()) - len(inputs.categorical)
        space = "number" if task.kind == "regression" else "probability"
        self._explainer = Explainer(known, columns, self._answers, space)

    def explain(
        self, matrices: Matrices, answers: NDArray[np.float64], deadline: float | None = None
    ) -> list[Explained]:
        """Explain the answers to each row: of many classes that to the likeliest one, of several targets each.

        Raises OutOfTimeError once the deadline is over.
        """
        X = np.concatenate([matrices.numeric, self._coded(matrices.categorical)], axis=1)
        values = [self._values(matrices, row) for row in range(len(X))]
        return [self._explained(*about, deadline) for about in zip(X, values, answers.reshape(len(X), -1), strict=True)]

    def _explained(
        self, x: NDArray[np.float32], values: Any, scores: NDArray[np.float64], deadline: float | None
    ) -> Explained:
        explain, task = self._explainer.explain, self._task
        if task.targets:
            return {name: explain(x, values, scores, place, deadline) for place, name in enumerate(task.targets)}
        place = int(scores.argmax())
        return explain(x, values, scores, place, deadline, task.classes[place] if task.classes else None)

    def _coded(self, labels: NDArray[np.object_]) -> NDArray[np.float32]:
        """Return the codes of categories; one that is missing, or was not there in training, has none."""
        coded = np.full(labels.shape, np.nan, np.float32)
        for place, codes in enumerate(self._codes):
            coded[:, place] = [codes.get(label, np.nan) for label in labels[:, place]]
        return coded

    def _answers(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Answer encoded rows, as those of a background."""
        codes = np.nan_to_num(X[:, self._n_numeric :], nan=-1).astype(np.int64)
        labels = [labels[codes[:, place]] for place, labels in enumerate(self._levels)]
        inputs = {"numeric": X[:, : self._n_numeric]} | ({"categorical": np.stack(labels, axis=1)} if labels else {})
        (scores,) = self._session.run(["score"], {name: inputs[name] for name in self._names})
        return np.asarray(scores, dtype=np.float64)

    def _values(self, matrices: Matrices, row: int) -> Sequence[float | str | None]:
        """Return the values of a row's features: numbers with the digits that float32 has, then texts, categories."""
        numbers = [float(str(number)) for number in matrices.numeric[row, : len(self._inputs.numeric)]]
        texts = matrices.texts[row].tolist() if self._inputs.texts else []
        categories = matrices.categorical[row].tolist()
        return [*(number if isfinite(number) else None for number in numbers), *(t or None for t in texts + categories)]
