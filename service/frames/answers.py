"""Answers as columns: what the service says of each record, a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.frames.columns import chunks, match, records_of
from service.plan.document import Task
from service.predict.answers import Interval, decided, likeliest
from service.predict.features import Matrices
from service.predict.predictor import Prediction, Predictor
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
    import pyarrow as pa

    match(table.schema.names, predictor.plan)
    parts = [answer(predictor, records_of(part, predictor.plan), start) for start, part in chunks(table, ROWS)]
    return pa.concat_tables(parts or [columns_of(predictor, Prediction([], []))])


def features(predictor: Predictor, table: Any) -> Matrices:
    """Return the features of an Arrow table's rows; raises as `answer_table` does."""
    match(table.schema.names, predictor.plan)
    try:
        return predictor.features(records_of(table, predictor.plan))
    except InvalidRecords as error:
        raise RowsError(error, 0) from None


def columns_of(predictor: Predictor, prediction: Prediction) -> Any:
    """Return a prediction as an Arrow table with the columns of `answer_schema`."""
    import pyarrow as pa

    schema = answer_schema(predictor.plan.task, predictor.thresholds, predictor.model.interval)
    columns = _columns(predictor.plan.task, prediction, predictor.thresholds, predictor.model.interval)
    return pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema)


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


def _columns(
    task: Task, prediction: Prediction, thresholds: Sequence[float], interval: Interval | None
) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"score": prediction.scores, "warnings": prediction.warnings}
    rows = [score for score in prediction.scores if isinstance(score, list)]
    if task.targets:
        columns |= {f"probability_{name}": [row[at] for row in rows] for at, name in enumerate(task.targets)}
        decisions = [decided(row, thresholds) for row in rows]
        return columns | {f"decision_{name}": [row[at] for row in decisions] for at, name in enumerate(task.targets)}
    if task.kind == "multiclass":
        columns["class"] = [likeliest(task, row) for row in rows]
        columns["score"] = [max(row) for row in rows]
        columns |= {f"probability_{name}": [row[code] for row in rows] for code, name in enumerate(task.classes)}
    if interval is not None:
        around = list(map(interval.around, prediction.scores))
        columns |= {name: [ends[name] for ends in around] for name in ("lower", "upper")}
    if thresholds:
        columns["decision"] = [isinstance(score, float) and score >= thresholds[0] for score in prediction.scores]
    return columns
