"""Columnar: scores rows by columns, where all features are values of the record itself; no row is looked at alone.

But for those that may have a problem or a warning: these are read as records, which says what it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from service.plan.document import Plan
from service.predict.columns import ColumnFeatures
from service.predict.features import Matrices
from service.predict.model import Model
from service.predict.observed import Observe, Part
from service.predict.rows import ROWS, Column, Mask, Rows, Scored
from service.records.deadline import check_time
from service.records.reader import FLOAT32_MAX, InvalidRecords, Problem, RecordReader
from service.records.usual import RARE, UsualColumn

MOST_PROBLEMS = 10_000  # from which on no further rows are looked at: a caller sees the first hundred
EXACT = 2.0**53  # from which on a float64 may stand for several integers


class Columnar:
    """Scores the rows of a plan whose features are all values of the record; `part` rows are answered together."""

    def __init__(
        self,
        plan: Plan,
        model: Model,
        reader: RecordReader,
        features: ColumnFeatures,
        categories: Mapping[str, Collection[str]],
        part: int,
    ) -> None:
        self._plan, self._model, self._reader, self._part = plan, model, reader, part
        self._features = features
        self._columns = plan.columns
        self._earliest_us = reader.earliest_us
        self._usual = {name: column for name, column in model.usual.items() if name in plan.record}
        self._categories = {name: frozenset(known) for name, known in categories.items()}

    def predict(self, rows: Rows, deadline: float | None, most_bytes: int | None, observe: Observe | None) -> Scored:
        """Score rows as the record path scores the same ones; raises as that does, and WordyError."""
        count, problems = len(rows), list[Problem]()
        scored = Scored(np.empty((count, *self._model.shape)), most_bytes=most_bytes)
        for start in range(0, count, ROWS):
            check_time(deadline)
            stop = min(start + ROWS, count)
            columns = rows.columns(start, stop)
            problems += self._look(rows, columns, start, stop, scored)
            if not problems:
                self._score(columns, range(start, stop), scored, deadline, observe)
            elif len(problems) >= MOST_PROBLEMS:
                break
        if problems:
            raise InvalidRecords(problems)
        return scored

    def _look(
        self, rows: Rows, columns: Mapping[str, Column], start: int, stop: int, scored: Scored
    ) -> Sequence[Problem]:
        """Read the rows that may have something to tell of; keep their warnings, return their problems."""
        odd = self._odd(columns, stop - start)
        if odd is None or not (places := (np.flatnonzero(odd) + start).tolist()):
            return []
        try:
            for place, record in zip(places, self._reader.read(rows.records(places)), strict=True):
                scored.warn(place, record.warnings)
        except InvalidRecords as error:
            return error.at(places).problems
        return []

    def _odd(self, columns: Mapping[str, Column], count: int) -> Mask | None:
        """Return which rows may have a value that is refused or unusual; None: none has."""
        odd: Mask | None = None
        for name in self._columns:
            for mask in self._oddities(name, columns.get(name), count):
                odd = mask if odd is None else odd | mask
        return odd

    def _oddities(self, name: str, column: Column | None, count: int) -> list[Mask]:
        usual = self._usual.get(name)
        wanted = name in self._plan.required or (usual is not None and usual.missing < RARE)
        if column is None:
            return [np.ones(count, np.bool_)] if wanted else []
        masks = [] if column.doubtful is None else [column.doubtful]
        if self._columns[name] == "number":
            masks += _odd_numbers(column.values, usual)
        if (known := self._categories.get(name)) is not None:
            masks.append(_new_texts(column, known))
        if wanted and (missing := missing_in(column)) is not None:
            masks.append(missing)
        if self._plan.cutoff is not None and name == self._plan.cutoff.column:
            masks.append(column.values < self._earliest_us)
        return masks

    def _score(
        self,
        columns: Mapping[str, Column],
        places: range,
        scored: Scored,
        deadline: float | None,
        observe: Observe | None,
    ) -> None:
        matrices = Matrices(*self._features.arrays(columns, len(places)))
        for first in range(0, len(places), self._part):
            check_time(deadline)
            part = slice(first, first + self._part)
            answers = self._model.score(_part_of(matrices, part))
            if not np.isfinite(answers).all():
                raise Unanswerable(places[part])
            scored.scores[places[part].start : places[part].stop] = answers
        if observe is not None:
            observe(Part(places, scored.scores[places.start : places.stop], [matrices]), scored)


class Unanswerable(ArithmeticError):
    """Rows of which some have no finite answer; as records they are named."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(f"the model has no finite answer to some of the rows {places[0]} to {places[-1]}")
        self.places = places


def missing_in(column: Column) -> Mask | None:
    """Return which values of a column are missing; None: none is."""
    if column.values.dtype != np.float64:
        return column.missing
    missing = np.isnan(column.values)
    return missing if missing.any() else None


def _odd_numbers(values: NDArray[np.float64], usual: UsualColumn | None) -> list[Mask]:
    """Return which numbers are too great for the model, or far from training, or may be so beyond 53 bits."""
    near = usual and usual.near
    low, high = near or (-FLOAT32_MAX, FLOAT32_MAX)
    low, high = max(low, -FLOAT32_MAX), min(high, FLOAT32_MAX)
    least, most = np.fmin.reduce(values), np.fmax.reduce(values)
    if near and max(-low, high) >= EXACT and max(-least, most) >= EXACT:
        return [(values < low) | (values > high) | (np.abs(values) >= EXACT)]
    return [(values < low) | (values > high)] if least < low or most > high else []


def _new_texts(column: Column, known: Collection[str]) -> Mask:
    """Return which texts of a column are new; one that is missing or empty is none."""
    new = np.array([text is not None and text != "" and text not in known for text in column.values.tolist()], bool)
    return new if column.missing is None else new & ~column.missing


def _part_of(matrices: Matrices, part: slice) -> Matrices:
    return Matrices(matrices.numeric[part], matrices.categorical[part], matrices.warnings[part], matrices.texts[part])
