"""The layout of the prediction log: its columns, typed by the plan of a model, and how values become them."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from sys import getsizeof
from typing import TYPE_CHECKING, Any

import numpy as np

from service.plan.parts import CalendarFeature, ColumnFeature
from service.predict.answers import decided, likeliest
from service.predict.predictor import Predictor
from service.predictions.settings import PredictionSettings
from service.records.reader import Record, Value

if TYPE_CHECKING:
    import pyarrow as pa

ROW_BYTES = 700  # of a row that waits, beside its record and features: ids, score, warnings
VALUE_BYTES = 32  # of a value that is no text
LATE = ("silent", "too_early", "too_old")  # notices that quote the cutoff


# An answered record as it waits to be written: when, in microseconds since 1970 in UTC, the id of the request, its own
# id and key, the record, its score and warnings, and the rows of its numeric and categorical features.
Row = tuple[int, bytes, str, Any, Record, Any, Sequence[str], Any, Any]


class Layout:
    """The columns of one model's predictions.

    | column | type |
    |---|---|
    | `id`, `request` | text: the ids of the prediction, and of the request by which it was answered |
    | `time` | a time in UTC: when it was answered |
    | `cutoff` | a time on the clock of the training data, null where the model has no cutoff |
    | `model`, `coordinates` | text |
    | `key` | a struct of texts: the columns that name the row, null where the record does not bear them |
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
        self._key = [name for name in plan.key if name not in settings.left_out]
        self._has_cutoff = plan.cutoff is not None and plan.cutoff.column not in self.hidden
        self._late_are_hidden = plan.cutoff is not None and plan.cutoff.column in self.hidden
        quoted = {f.name: f.column for f in plan.features if isinstance(f, ColumnFeature | CalendarFeature)}
        shown = [name for name in [*inputs.numeric, *inputs.categorical] if settings.features]
        self._features = [name for name in shown if not {name, quoted.get(name, name)} & self.hidden]
        self._numeric, self._categorical = list(inputs.numeric), list(inputs.categorical)
        self._texts = [name for name, kind in plan.record.items() if kind == "text"]
        features = 250 + 4 * len(self._numeric) + VALUE_BYTES * len(self._categorical) if self._features else 0
        self._row_bytes = ROW_BYTES + getsizeof(dict(plan.record)) + VALUE_BYTES * len(plan.record) + features
        self.columns = {*plan.record, *plan.key, *inputs.numeric, *inputs.categorical}

    @property
    def has_features(self) -> bool:
        """Return whether rows have features."""
        return bool(self._features)

    def least_size(self, count: int) -> int:
        """Return about how many bytes so many rows take at least while they wait."""
        return self._row_bytes * count

    def size(self, records: Sequence[Record]) -> int:
        """Return about how many bytes rows of these records take while they wait."""
        size = self.least_size(len(records))
        for record in records if self._texts else ():
            size += sum(map(getsizeof, map(record.values.get, self._texts)))
        return size

    def batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """Return rows as columns."""
        import pyarrow as pa

        times, requests, ids, keys, records, scores, warnings, numbers, categories = zip(*rows, strict=True)
        # as numbers: one may be before the first year that Python knows
        cutoffs = [record.cutoff_us if self._has_cutoff else None for record in records]
        columns: dict[str, pa.Array] = {
            "id": pa.array(ids, pa.string()),
            "time": pa.array(times, pa.int64()).cast(pa.timestamp("us", "UTC")),
            "request": pa.array([name.decode() for name in requests], pa.string()),
            "cutoff": pa.array(cutoffs, pa.int64()).cast(pa.timestamp("us")),
            "model": pa.array([self.model] * len(rows), pa.string()),
            "coordinates": pa.array([self.coordinates] * len(rows), pa.string()),
        }
        if self._key:
            columns["key"] = _struct({name: self._key_part(name, keys) for name in self._key})
        if self._record:
            columns["record"] = _struct(self._values_of([record.values for record in records]))
        if self._features:
            columns["features"] = _struct(self._features_of(numbers, categories))
        columns |= self._answers(scores)
        kinds = pa.struct([(name, pa.string()) for name in ("kind", "about", "text")])
        columns["warnings"] = pa.array([[self._notice(text) for text in texts] for texts in warnings], pa.list_(kinds))
        return pa.RecordBatch.from_pydict(columns)

    def _values_of(self, records: Sequence[Mapping[str, Value]]) -> dict[str, pa.Array]:
        """Return the columns of records, those of numbers by way of one array, which takes a fraction of the time."""
        import pyarrow as pa

        plain = [name for name, kind in self._record.items() if kind == "number" and name not in self._hashed]
        # floats: an integer may be beyond what a double holds exactly, which pyarrow would refuse
        of: Any = itemgetter(*plain) if len(plain) > 1 else lambda values: [values[name] for name in plain]
        numbers = np.array(list(map(of, records)), dtype=np.float64)
        columns = {name: pa.array(column, from_pandas=True) for name, column in zip(plain, numbers.T, strict=True)}
        for name in self._record.keys() - columns.keys():
            columns[name] = self._column(name, [values[name] for values in records])
        return {name: columns[name] for name in self._record}

    def _column(self, name: str, values: Sequence[Value]) -> pa.Array:
        import pyarrow as pa

        if name in self._hashed:
            return pa.array([None if value is None else self._hash(value) for value in values], pa.string())
        if self._record[name] == "flag":
            return pa.array([None if value is None else bool(value) for value in values], pa.bool_())
        return pa.array(values, pa.string() if self._record[name] == "text" else pa.timestamp("us"))

    def _key_part(self, name: str, keys: Sequence[Mapping[str, Any] | None]) -> pa.Array:
        import pyarrow as pa

        parts = [None if key is None else key.get(name) for key in keys]
        of = self._hash if name in self._hashed else _text
        return pa.array([None if part is None else of(part) for part in parts], pa.string())

    def _hash(self, value: Any) -> str:
        """Return the HMAC-SHA256 of a value's text: equal values have equal ones, in all columns."""
        return hmac.digest(self._salt, _text(value).encode("utf-8", "replace"), "sha256").hex()

    def _features_of(self, numbers: Sequence[Any], categories: Sequence[Any]) -> dict[str, pa.Array]:
        """Return the columns of features, those of rows without any null."""
        import pyarrow as pa

        width, none = len(self._numeric), [""] * len(self._categorical)
        unknown = np.full(width, np.nan, np.float32)
        matrix = np.array([unknown if row is None else row[:width] for row in numbers])
        columns = {name: pa.array(matrix[:, at], from_pandas=True) for at, name in enumerate(self._numeric)}
        for at, name in enumerate(self._categorical):
            texts = [(none if row is None else row)[at] or None for row in categories]
            columns[name] = pa.array(texts, pa.string())
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


def _text(value: Any) -> str:
    """Return the one text of a value: 5.0 and 5 are alike, and so are flags and the numbers that they become."""
    if isinstance(value, datetime):
        return value.isoformat()
    whole = isinstance(value, bool | float) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _struct(columns: dict[str, pa.Array]) -> pa.StructArray:
    import pyarrow as pa

    return pa.StructArray.from_arrays(list(columns.values()), list(columns))


def _by_name(names: Sequence[str], rows: Sequence[Sequence[Any]], kind: pa.DataType) -> pa.StructArray:
    import pyarrow as pa

    return _struct({name: pa.array([row[at] for row in rows], kind) for at, name in enumerate(names)})
