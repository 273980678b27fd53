"""Columns: the features that are values of the record itself, of many rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.plan.parts import CalendarFeature, ColumnFeature, Feature
from service.plan.texts import Numbers
from service.predict.calendar import calendar_part
from service.predict.rows import Column

Arrays = tuple[NDArray[np.float32], NDArray[np.object_], list[list[str]], NDArray[np.object_]]


class ColumnFeatures:
    """Turns columns into features: numbers, categories, and texts, of which the last numbers are made."""

    def __init__(self, numeric: Sequence[Feature], texts: Sequence[Feature], vocabularies: Sequence[Numbers]) -> None:
        self._numeric, self._texts, self._vocabularies = numeric, texts, vocabularies
        self._width = len(numeric) + sum(vocabulary.width for vocabulary in vocabularies)

    def arrays(self, columns: Mapping[str, Column], count: int) -> Arrays:
        """Return what `Matrices` holds, of so many rows; by way of float64, as of records."""
        numeric = np.empty((count, self._width), np.float32)
        texts = np.empty((count, len(self._texts)), object)
        for position, feature in enumerate(self._numeric):
            numeric[:, position] = _values(feature, columns)
        for position, feature in enumerate(self._texts):
            texts[:, position] = _values(feature, columns, text=True)
        categories = len(self._texts) - len(self._vocabularies)
        first = len(self._numeric)
        for vocabulary, column in zip(self._vocabularies, texts.T[categories:], strict=True):
            vocabulary.write(numeric[:, first : first + vocabulary.width], column)
            first += vocabulary.width
        return numeric, texts[:, :categories], [list[str]()] * count, texts[:, categories:]


def column_features(
    numeric: Sequence[Feature], texts: Sequence[Feature], vocabularies: Sequence[Numbers]
) -> ColumnFeatures | None:
    """Return what makes these features of columns; None: some are no values of the record itself."""
    if all(isinstance(feature, ColumnFeature | CalendarFeature) for feature in [*numeric, *texts]):
        return ColumnFeatures(numeric, texts, vocabularies)
    return None


def _values(feature: Feature, columns: Mapping[str, Column], *, text: bool = False) -> Any:
    """Return a feature of all rows; a missing number is NaN, a missing text empty."""
    assert isinstance(feature, ColumnFeature | CalendarFeature)
    column = columns.get(feature.column)
    if column is None:
        return "" if text else np.nan
    if isinstance(feature, CalendarFeature):
        return calendar_part(feature.primitive, column)
    return column.values if column.missing is None else np.where(column.missing, "", column.values)
