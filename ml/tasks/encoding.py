"""The one way from a feature frame to the numbers that models see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from service.plan.texts import Numbers, Vocabulary

MAX_LEVELS = 255  # LightGBM bins a feature into 255 values by default, so rarer levels would share one anyway
MISSING = ""  # ONNX string tensors know no null


@dataclass(frozen=True)
class Encoder:
    """Turns named columns into one float32 matrix, and into the inputs of the ONNX model.

    `categories` maps each categorical column to its vocabulary; the code of a level is its position there. Each of
    `texts` is the vocabulary of a column that becomes several numbers.
    """

    numeric: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    texts: tuple[Vocabulary, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("An encoder needs at least one numeric or categorical column, or one of texts. Got none.")
        for names in (self.columns, self.features):
            if repeated := sorted(name for name, count in Counter(names).items() if count > 1):
                raise ValueError(f"Columns listed more than once: {repeated}. List each as numeric or as categorical.")

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        numeric: Sequence[str],
        categorical: Sequence[str],
        texts: Iterable[Vocabulary] = (),
    ) -> Encoder:
        """Fit an encoder whose vocabularies are the levels of `frame`, which should hold training rows only.

        A vocabulary lists the most frequent level first, then by name, and ends after `MAX_LEVELS` levels. Those of
        `texts` say what is to be learned of a column of texts; what they have learned of other rows is forgotten.
        """
        texts = tuple(texts)
        _require(frame, [*numeric, *categorical, *(vocabulary.column for vocabulary in texts)])
        learned = tuple(vocabulary.learned(_texts(frame[vocabulary.column])) for vocabulary in texts)
        return cls(tuple(numeric), {name: _vocabulary(frame[name]) for name in categorical}, learned)

    def fitted_again(self, frame: pd.DataFrame) -> Encoder:
        """Return an encoder of the same columns whose vocabularies are those of `frame`."""
        return Encoder.fit(frame, self.numeric, list(self.categories), self.texts)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the frame's columns that it encodes."""
        return (*self.numeric, *(vocabulary.column for vocabulary in self.texts), *self.categories)

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The names of the encoded matrix's columns: numeric ones first, then the numbers that texts become."""
        return (*self.numeric, *(name for vocabulary in self.texts for name in vocabulary.features), *self.categories)

    @cached_property
    def places(self) -> dict[str, slice]:
        """The places of the encoded matrix's columns that each of the frame's becomes, by its name."""
        widths = {vocabulary.column: len(vocabulary.features) for vocabulary in self.texts}
        ends = list(accumulate(widths.get(name, 1) for name in self.columns))
        return {name: slice(first, end) for name, first, end in zip(self.columns, [0, *ends], ends, strict=False)}

    def only(self, names: Collection[str]) -> Encoder:
        """Return the encoder of some of the columns, with their vocabularies."""
        return Encoder(
            tuple(name for name in self.numeric if name in names),
            {name: levels for name, levels in self.categories.items() if name in names},
            tuple(vocabulary for vocabulary in self.texts if vocabulary.column in names),
        )

    @property
    def n_numeric(self) -> int:
        """The number of encoded columns that are numeric, those of texts among them."""
        return len(self.features) - len(self.categories)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The size of each categorical column's vocabulary."""
        return tuple(len(levels) for levels in self.categories.values())

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the feature matrix, float32 [n_rows, n_features]; missing, infinite and unseen values are NaN."""
        _require(frame, self.columns)
        X = np.empty((len(frame), len(self.features)), dtype=np.float32)
        self._fill(X, frame)
        for place, (name, levels) in enumerate(self.categories.items(), start=self.n_numeric):
            positions, labels = _labels(frame[name])
            code = {level: float(position) for position, level in enumerate(levels)}
            X[:, place] = np.array([*(code.get(label, np.nan) for label in labels), np.nan], np.float32)[positions]
        return X

    def _fill(self, X: np.ndarray, frame: pd.DataFrame) -> None:
        """Write the numbers of a frame, and those that its texts become, into the first columns of X."""
        for place, name in enumerate(self.numeric):
            X[:, place] = _numbers(frame[name])
        first = len(self.numeric)
        for vocabulary in self.texts:
            numbers = Numbers(vocabulary)
            numbers.write(X[:, first : first + numbers.width], _texts(frame[vocabulary.column]))
            first += numbers.width

    def inputs(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """Return the ONNX model's inputs: `numeric` [n_rows, n_numeric] and `categorical` [n_rows, n_categorical].

        The first is float32, and has the numbers that texts become; the second is str. A missing category is the empty
        string. An input without columns is left out.
        """
        _require(frame, self.columns)
        inputs: dict[str, np.ndarray] = {}
        if self.n_numeric:
            inputs["numeric"] = np.empty((len(frame), self.n_numeric), dtype=np.float32)
            self._fill(inputs["numeric"], frame)
        if self.categories:
            columns = [np.array([*labels, MISSING], object)[positions] for positions, labels in self._factorized(frame)]
            inputs["categorical"] = np.stack(columns, axis=1)
        return inputs

    def to_dict(self) -> dict[str, Any]:
        """Return the encoder as plain JSON values."""
        values = {"numeric": list(self.numeric), "categories": {name: [*v] for name, v in self.categories.items()}}
        return values | ({"texts": [msgspec.to_builtins(one) for one in self.texts]} if self.texts else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Encoder:
        """Return the encoder that `to_dict` described."""
        categories = {name: tuple(levels) for name, levels in values["categories"].items()}
        return cls(
            tuple(values["numeric"]), categories, msgspec.convert(values.get("texts", ()), tuple[Vocabulary, ...])
        )

    def _factorized(self, frame: pd.DataFrame) -> Iterable[tuple[np.ndarray, list[str]]]:
        """Return positions and labels of each categorical column, as `_labels` does."""
        return (_labels(frame[name]) for name in self.categories)


def _texts(column: pd.Series) -> list[str | None]:
    """Return texts, None where one is missing."""
    return [None if missing else str(text) for text, missing in zip(column, column.isna(), strict=True)]


def _require(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Raise ValueError, which names them, for columns that a frame lacks."""
    if missing := sorted(set(names) - set(frame.columns)):
        raise ValueError(
            f"The frame lacks the columns {missing}, which were there when the encoder was fitted."
            " Compute them, or fit it again without them."
        )


def _numbers(column: pd.Series) -> np.ndarray:
    """Return float32 [n_rows]; what float32 cannot hold becomes NaN, so that no model has to cope with infinity."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or isinstance(column.dtype, pd.CategoricalDtype):
        raise ValueError(
            f"The numeric column {column.name!r} has dtype {column.dtype}."
            " Turn times into differences, list labels as categorical."
        )
    try:
        with np.errstate(over="ignore"):
            numbers = column.to_numpy(dtype=np.float32, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The numeric column {column.name!r} ({column.dtype}) holds a value that is no number: {error}."
            " Convert it, or list the column as categorical."
        ) from error
    return np.where(np.isfinite(numbers), numbers, np.float32(np.nan))


def _labels(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return, per row, a position into the distinct labels, -1 where the value is missing, and these labels."""
    positions, values = pd.factorize(column)
    labels = [_label(value) for value in values]
    if MISSING in labels:
        positions = np.where(positions == labels.index(MISSING), -1, positions)
    return positions, labels


def _label(value: object) -> str:
    """Return a level as text."""
    # A column of integers turns into floats as soon as one value is missing: 3 and 3.0 are one level.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def levels_of(column: pd.Series) -> tuple[str, ...]:
    """Return all levels of a column, sorted by name."""
    return tuple(sorted({label for label in _labels(column)[1] if label != MISSING}))


def _vocabulary(column: pd.Series) -> tuple[str, ...]:
    """Return the levels of a column, the most frequent first, then by name; at most `MAX_LEVELS`."""
    positions, labels = _labels(column)
    counts: Counter[str] = Counter()
    for label, count in zip(labels, np.bincount(positions[positions >= 0], minlength=len(labels)), strict=True):
        counts[label] += int(count)
    ranked = sorted((label for label in counts if counts[label]), key=lambda label: (-counts[label], label))
    return tuple(ranked[:MAX_LEVELS])
