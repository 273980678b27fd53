"""Answers as columns: what the service says of each record, a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.frames.arrays import TableRows
from service.frames.columns import match, records_of
from service.plan.document import Task
from service.predict.answers import Interval
from service.predict.features import Matrices
from service.predict.predictor import Prediction, Predictor
from service.predict.rows import Scored
from service.records.reader import InvalidRecords

ROWS = 10_000  # that are answered together: as many as one request may hold


class RowsError(ValueError):
    """Rows that the service would refuse, each with its number and the reason.

    `problems` have the places of the rows among those that were asked about, `source` is the service's own error.
    """

    def __init__(self, source: InvalidRecords, start: int, shown: int = 10, where: str = "") -> None:
        self.source, self.problems = source, source.problems
        lines = [
            f"{where}{', ' if where else ''}row {start + problem.record}"
            f"{f', column {problem.field!r}' if problem.field else ''}: {problem.error}; given: {problem.given!r}; "
            f"allowed: {problem.allowed}"
            for problem in self.problems[:shown]
        ]
        more = len(self.problems) - shown
        super().__init__("\n".join([*lines, *([f"and {more} more"] if more > 0 else [])]))


def answer(predictor: Predictor, records: Sequence[Any], start: int = 0) -> Any:
    """Return the answers to records as an Arrow table; `start` is the number of the first one, for errors.

    Raises RowsError with the problems of all of them.
    """
    try:
        return columns_of(predictor, predictor.predict(records) if records else Prediction([], []))
    except InvalidRecords as error:
        raise RowsError(error, start) from None


def answer_table(predictor: Predictor, table: Any) -> Any:
    """Return the answers to the rows of an Arrow table, in their order, as an Arrow table.

    Raises ColumnsError where its columns are not those of a record, and RowsError for rows that cannot be answered.
    """
    used = match(table.schema.names, predictor.plan).used
    try:
        return scored_table(predictor, predictor.predict_rows(TableRows(table.select(used), predictor.plan)))
    except InvalidRecords as error:
        raise RowsError(error, 0) from None


def features(predictor: Predictor, table: Any) -> Matrices:
    """Return the features of an Arrow table's rows; raises as `answer_table` does."""
    match(table.schema.names, predictor.plan)
    try:
        return predictor.features(records_of(table, predictor.plan))
    except InvalidRecords as error:
        raise RowsError(error, 0) from None


def columns_of(predictor: Predictor, prediction: Prediction) -> Any:
    """Return a prediction as an Arrow table with the columns of `answer_schema`."""
    return scored_table(predictor, scored_of(predictor, prediction))


def scored_of(predictor: Predictor, prediction: Prediction) -> Scored:
    """Return the answers to records as those to rows."""
    scores = np.array(prediction.scores, np.float64).reshape(len(prediction.scores), *predictor.model.shape)
    warned = {row: warnings for row, warnings in enumerate(prediction.warnings) if warnings}
    return Scored(scores, warned, prediction.ids)


def scored_table(predictor: Predictor, scored: Scored) -> Any:
    """Return scored rows as an Arrow table with the columns of `answer_schema`, and the `id` of each, if it has one."""
    import pyarrow as pa

    model = predictor.model
    schema = answer_schema(predictor.plan.task, model.thresholds, model.interval)
    columns = answer_arrays(predictor.plan.task, scored.scores, model.thresholds, model.interval)
    arrays = [pa.array(columns[name], schema.field(name).type) for name in columns]
    table = pa.Table.from_arrays([*arrays, _listed(scored)], schema=schema)
    return table.append_column("id", pa.array(scored.ids, pa.string())) if scored.ids else table


def _listed(scored: Scored) -> Any:
    """Return the warnings of each row, as a column of lists."""
    import pyarrow as pa

    lengths, places = np.zeros(len(scored.scores) + 1, np.int32), sorted(scored.warned)
    for place in places:
        lengths[place + 1] = len(scored.warned[place])
    texts = pa.array(chain.from_iterable(scored.warned[place] for place in places), pa.string())
    return pa.ListArray.from_arrays(pa.array(lengths.cumsum(dtype=np.int32)), texts)


def answer_schema(task: Task, thresholds: Sequence[float] = (), interval: Interval | None = None) -> Any:
    """Return the columns of answers, as those of batch predictions, and `warnings`.

    They are `score`, `lower` and `upper` where there is an interval, and `decision` where a threshold says from which
    score on it is a yes; of many classes `class`,
    `score`, which is the probability of that class, and the probability of each; of several targets the probability
    of each, and each decision.
    """
    import pyarrow as pa

    number = pa.float64()
    fields = [("class", pa.string())] if task.kind == "multiclass" else []
    fields += [] if task.targets else [("score", number)]
    fields += [] if interval is None else [("lower", number), ("upper", number)]
    fields += [(f"probability_{name}", number) for name in task.targets or task.classes]
    fields += [(name, pa.bool_()) for name in _decisions(task, thresholds)]
    return pa.schema([*fields, ("warnings", pa.list_(pa.string()))])


def _decisions(task: Task, thresholds: Sequence[float]) -> list[str]:
    """Return the columns of decisions: that of each target, or one where there is a threshold."""
    return [f"decision_{name}" for name in task.targets] or ["decision" for _ in thresholds]


def answer_arrays(
    task: Task, scores: NDArray[np.float64], thresholds: Sequence[float] = (), interval: Interval | None = None
) -> dict[str, NDArray[Any]]:
    """Return the answers by the columns of `answer_schema`, in its order, but for the warnings."""
    shares = {f"probability_{name}": scores[:, at] for at, name in enumerate(task.targets or task.classes)}
    if task.targets:
        decided = {f"decision_{name}": scores[:, at] >= thresholds[at] for at, name in enumerate(task.targets)}
        return {**shares, **decided}
    if task.kind == "multiclass":
        likeliest = np.array(task.classes, object)[scores.argmax(axis=1)]  # the first one of equal ones
        return {"class": likeliest, "score": scores.max(axis=1), **shares}
    around: dict[str, Any] = {} if interval is None else dict(interval.around(scores))
    ends: dict[str, Any] = {name: around[name] for name in ("lower", "upper") if name in around}
    return {"score": scores, **ends, **({"decision": scores >= thresholds[0]} if thresholds else {})}


def answer_rows(predictor: Predictor, scored: Scored) -> list[dict[str, Any]]:
    """Return scored rows as objects of JSON, with the columns of `answer_schema`."""
    model = predictor.model
    arrays = answer_arrays(predictor.plan.task, scored.scores, model.thresholds, model.interval)
    names = [*arrays, "warnings"]
    columns = [*(array.tolist() for array in arrays.values()), scored.warnings()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
