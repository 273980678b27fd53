"""The layout of the prediction log: its columns, typed by the plan of a model, and how values become them."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from sys import getsizeof
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.plan.parts import CalendarFeature, ColumnFeature, ColumnType
from service.predict.answers import decided, likeliest
from service.predict.predictor import Predictor
from service.predictions.settings import PredictionSettings
from service.records.reader import EPOCH, MICROSECOND, Record, Value

if TYPE_CHECKING:
    import pyarrow as pa

ROW_BYTES = 700  # of a row that waits, beside its record and features: ids, score, warnings
VALUE_BYTES = 32  # of a value that is no text
LATE = ("too_early", "too_old")  # notices that quote the cutoff


class Row(NamedTuple):
    """An answered record as it waits to be written; `at_us` is in microseconds since 1970, in UTC."""

    layout: Layout
    at_us: int
    request: str
    id: str
    record: Record
    score: Any
    warnings: Sequence[str]
    numbers: NDArray[np.float32] | None
    categories: NDArray[np.object_] | None


class Layout:
    """The columns of one model's predictions.

    | column | type |
    |---|---|
    | `id`, `request` | text: the ids of the prediction, and of the request by which it was answered |
    | `time` | a time in UTC: when it was answered |
    | `cutoff` | a time on the clock of the training data, null where the model has no cutoff |
    | `model`, `coordinates` | text |
    | `record` | a struct of the record's columns: time, text, double or flag, as its plan says; hashes are texts |
    | `features` | a struct of the model's features, float or text; only where they are wanted |
    | `score` | double, and where there is a threshold `decision`, a flag |
    | `class`, `probabilities` | text and a struct of doubles, in the place of `score` where there are many classes |
    | `probabilities`, `decisions` | structs of doubles and flags, in its place where there are several targets |
    | `warnings` | a list of structs of texts: `kind`, `about`, and `text`, null where it would quote a hidden column |
    """

    def __init__(self, predictor: Predictor, settings: PredictionSettings) -> None:
        plan, inputs = predictor.plan, predictor.model.inputs
        self.use_case, self.task, self.thresholds = plan.use_case, plan.task, predictor.thresholds
        self.model, self.coordinates = predictor.name, predictor.id
        self.hidden = settings.hidden
        self._salt = settings.salt.encode()
        self._hashed = frozenset(settings.hashed)
        self._record = {name: kind for name, kind in plan.record.items() if name not in settings.left_out}
        self._has_cutoff = plan.cutoff is not None and plan.cutoff.column not in self.hidden
        self._late_are_hidden = plan.cutoff is not None and plan.cutoff.column in self.hidden
        quoted = {f.name: f.column for f in plan.features if isinstance(f, ColumnFeature | CalendarFeature)}
        shown = [name for name in [*inputs.numeric, *inputs.categorical] if settings.features]
        self._features = [name for name in shown if not {name, quoted.get(name, name)} & self.hidden]
        self._numeric, self._categorical = list(inputs.numeric), list(inputs.categorical)
        self._texts = [name for name, kind in plan.record.items() if kind == "text"]
        self._row_bytes = ROW_BYTES + getsizeof(dict(plan.record)) + VALUE_BYTES * len(plan.record)
        if self.has_features:
            self._row_bytes += 250 + 4 * len(self._numeric) + 60 * len(self._categorical)
        self.columns = {*plan.record, *inputs.numeric, *inputs.categorical}

    @property
    def has_features(self) -> bool:
        """Return whether rows have features."""
        return bool(self._features)

    def size(self, records: Iterable[Record]) -> int:
        """Return about how many bytes rows of these records take while they wait."""
        return sum(self._row_bytes + sum(map(getsizeof, map(record.values.get, self._texts))) for record in records)

    def batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """Return rows as columns."""
        import pyarrow as pa

        records = [row.record for row in rows]
        cutoffs = [EPOCH + r.cutoff_us * MICROSECOND if self._has_cutoff else None for r in records]
        columns: dict[str, pa.Array] = {
            "id": pa.array([row.id for row in rows], pa.string()),
            "time": pa.array([row.at_us for row in rows], pa.int64()).cast(pa.timestamp("us", "UTC")),
            "request": pa.array([row.request for row in rows], pa.string()),
            "cutoff": pa.array(cutoffs, pa.timestamp("us")),
            "model": pa.array([self.model] * len(rows), pa.string()),
            "coordinates": pa.array([self.coordinates] * len(rows), pa.string()),
        }
        if self._record:
            values = {name: self._values(name, kind, records) for name, kind in self._record.items()}
            columns["record"] = _struct(values)
        if self._features:
            columns["features"] = _struct(self._features_of(rows))
        columns |= self._answers([row.score for row in rows])
        kinds = pa.struct([(name, pa.string()) for name in ("kind", "about", "text")])
        columns["warnings"] = pa.array([[self._notice(n) for n in row.warnings] for row in rows], pa.list_(kinds))
        return pa.RecordBatch.from_pydict(columns)

    def _values(self, name: str, kind: ColumnType, records: Sequence[Record]) -> pa.Array:
        import pyarrow as pa

        values = [record.values[name] for record in records]
        if name in self._hashed:
            return pa.array([None if value is None else self._hash(value) for value in values], pa.string())
        if kind == "number":  # an integer may be beyond what a double holds exactly, which pyarrow would refuse
            return pa.array(np.array(values, dtype=np.float64), from_pandas=True)
        if kind == "flag":
            return pa.array([None if value is None else bool(value) for value in values], pa.bool_())
        return pa.array(values, pa.string() if kind == "text" else pa.timestamp("us"))

    def _hash(self, value: Value) -> str:
        """Return the HMAC-SHA256 of a value as JSON would have it: equal values have equal ones, in all columns."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = value.isoformat() if isinstance(value, datetime) else str(value)
        return hmac.digest(self._salt, text.encode("utf-8", "replace"), "sha256").hex()

    def _features_of(self, rows: Sequence[Row]) -> dict[str, pa.Array]:
        import pyarrow as pa

        numbers = np.stack([row.numbers for row in rows if row.numbers is not None])
        categories = np.stack([row.categories for row in rows if row.categories is not None])
        columns = {name: pa.array(numbers[:, at], from_pandas=True) for at, name in enumerate(self._numeric)}
        for at, name in enumerate(self._categorical):
            columns[name] = pa.array([text or None for text in categories[:, at]], pa.string())
        return {name: columns[name] for name in self._features}

    def _answers(self, scores: Sequence[Any]) -> dict[str, pa.Array]:
        import pyarrow as pa

        if self.task.targets:
            decisions = [decided(row, self.thresholds) for row in scores]
            return {
                "probabilities": _by_name(self.task.targets, scores, pa.float64()),
                "decisions": _by_name(self.task.targets, decisions, pa.bool_()),
            }
        if self.task.kind == "multiclass":
            classes = [likeliest(self.task, row) for row in scores]
            probabilities = _by_name(self.task.classes, scores, pa.float64())
            return {"class": pa.array(classes, pa.string()), "probabilities": probabilities}
        columns = {"score": pa.array(scores, pa.float64())}
        if self.thresholds:
            columns["decision"] = pa.array([score >= self.thresholds[0] for score in scores], pa.bool_())
        return columns

    def _notice(self, text: str) -> dict[str, Any]:
        kind, quoted = getattr(text, "kind", "other"), getattr(text, "columns", None)
        hides = bool(self.hidden) and (quoted is None or not self.hidden.isdisjoint(quoted))
        hides = hides or (self._late_are_hidden and kind in LATE)
        return {"kind": kind, "about": getattr(text, "about", ""), "text": None if hides else str(text)}


def _struct(columns: dict[str, pa.Array]) -> pa.StructArray:
    import pyarrow as pa

    return pa.StructArray.from_arrays(list(columns.values()), list(columns))


def _by_name(names: Sequence[str], rows: Sequence[Sequence[Any]], kind: pa.DataType) -> pa.StructArray:
    import pyarrow as pa

    return _struct({name: pa.array([row[at] for row in rows], kind) for at, name in enumerate(names)})
