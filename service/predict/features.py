"""Features: checked records as the two arrays that the model takes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.history.heard import warn_of_silence
from service.history.state import Histories, State
from service.plan.document import BundleError, Plan
from service.plan.parts import (
    CALENDAR,
    CalendarFeature,
    ColumnFeature,
    Feature,
    LookupFeature,
    RowLookup,
    SynthesisFeature,
    WindowFeature,
)
from service.plan.texts import Numbers, Vocabulary
from service.predict.columns import column_features
from service.records.reader import Record, Value
from service.synthesis.synthesizer import Synthesizer
from service.tables.lookups import Finder, load_lookup
from service.tables.table import MISSING_ROW, SentRow
from service.windows.features import Windows

Values = Mapping[str, Value]


@dataclass(frozen=True)
class Inputs:
    """The names of the model's features, in the order of its inputs; `texts` become the last of its numbers."""

    numeric: Sequence[str]
    categorical: Sequence[str]
    texts: Sequence[Vocabulary] = ()

    @property
    def columns(self) -> list[str]:
        """The names of the features that are categories, and then of those that are texts."""
        return [*self.categorical, *(vocabulary.column for vocabulary in self.texts)]


class Matrices(msgspec.Struct, frozen=True):
    """`numeric` float32 [N, n_numeric], missing NaN; `categorical` object [N, n_categorical], missing "".

    Of `texts` [N, n_texts] the last numbers are made.
    """

    numeric: NDArray[np.float32]
    categorical: NDArray[np.object_]
    warnings: list[list[str]]
    texts: NDArray[np.object_] = msgspec.field(default_factory=lambda: np.empty((0, 0), dtype=object))


@dataclass(frozen=True)
class _Columns:
    """The features that are values of the record itself: where they stand among the inputs, and what yields them."""

    at: Any
    of: Callable[[Values], tuple[Value, ...]]


@dataclass(frozen=True)
class _Block:
    """One lookup, by its name, and where its columns stand among the inputs."""

    lookup: str
    numeric: list[int]
    categorical: list[int]


class FeatureBuilder:
    """Turns records into features as the plan says; built once, then used for every request.

    `histories` are what it knows of the past; events may be added to them at any time. `of_columns` makes the
    features of many rows at once; None: some are no values of the record itself.
    """

    def __init__(self, plan: Plan, inputs: Inputs, folder: Path) -> None:
        self.plan = plan
        features = _features_of(plan, inputs)
        numeric = [features[name] for name in inputs.numeric]
        categorical = [features[name] for name in inputs.columns]
        self._vocabularies = [Numbers(vocabulary) for vocabulary in inputs.texts]
        self._width = len(numeric), len(inputs.categorical)
        self._text_width = sum(vocabulary.width for vocabulary in self._vocabularies)
        self._numbers = _columns(numeric)
        self._texts = _columns(categorical)
        self._calendar = [(i, _calendar(f)) for i, f in enumerate(numeric) if isinstance(f, CalendarFeature)]
        used = sorted({f.lookup for f in [*numeric, *categorical] if isinstance(f, LookupFeature)})
        self._blocks = [_Block(name, list(_of(name, numeric)), list(_of(name, categorical))) for name in used]
        lookups = {name: _load(name, plan, folder, numeric=numeric, categorical=categorical) for name in used}
        self.histories = Histories(plan, [*numeric, *categorical], folder, lookups)
        self._windows = Windows(plan, {i: f for i, f in enumerate(numeric) if isinstance(f, WindowFeature)})
        self._synthesized = _synthesized_names(numeric), _synthesized_names(categorical)
        self._synthesizer = _synthesizer(plan, *self._synthesized)
        self.of_columns = column_features(numeric, categorical, self._vocabularies)

    def build(self, records: Sequence[Record], state: State | None = None) -> Matrices:
        """Return the features of `records`, one row each, and their warnings, as of a state of the histories.

        None: their present one.
        """
        state = state or self.histories.state
        n_numeric, n_categorical = self._width
        numeric = np.empty((len(records), n_numeric + self._text_width), dtype=np.float32)
        categorical = np.empty((len(records), n_categorical + len(self._vocabularies)), dtype=object)
        warnings = [list(record.warnings) for record in records]
        self._fill_in(records, numeric, categorical)
        if state.heard:
            warn_of_silence(state.heard.values(), records, warnings)
        for block in self._blocks:
            _fill(block, state.lookups[block.lookup], records, numeric, categorical, warnings)
        if self._windows.positions:
            numeric[:, self._windows.positions] = self._windows.values(records, state.windows, warnings)
        if self._synthesizer is not None:
            synthesized = self._synthesizer.values(records, state.tables, warnings)
            numeric[:, list(self._synthesized[0])], categorical[:, list(self._synthesized[1])] = synthesized
        if not self._vocabularies:
            return Matrices(numeric, categorical, warnings)
        first = n_numeric
        for vocabulary, column in zip(self._vocabularies, categorical.T[n_categorical:], strict=True):
            vocabulary.write(numeric[:, first : first + vocabulary.width], column)
            first += vocabulary.width
        return Matrices(numeric, categorical[:, :n_categorical], warnings, categorical[:, n_categorical:])

    def _fill_in(
        self, records: Sequence[Record], numeric: NDArray[np.float32], categorical: NDArray[np.object_]
    ) -> None:
        """Set what the records themselves yield; None, a missing number, becomes NaN."""
        if (numbers := self._numbers) is not None:
            numeric[:, numbers.at] = np.array([numbers.of(r.values) for r in records], dtype=np.float64)
        if (texts := self._texts) is not None:
            named = [[text or "" for text in texts.of(r.values)] for r in records]
            categorical[:, texts.at] = np.array(named, dtype=object)
        for position, calendar in self._calendar:
            numeric[:, position] = np.array([calendar(r.values) for r in records], dtype=np.float64)


def _fill(
    block: _Block,
    finder: Finder,
    records: Sequence[Record],
    numeric: NDArray[np.float32],
    categorical: NDArray[np.object_],
    warnings: list[list[str]],
) -> None:
    places, sent = list[int](), dict[int, SentRow]()
    for index, record in enumerate(records):
        row, warning = finder.find(record)
        if isinstance(row, SentRow):
            sent[index], row = row, MISSING_ROW
        places.append(row)
        if warning is not None:
            warnings[index].append(warning)
    if block.numeric:
        numeric[:, block.numeric] = finder.table.numeric[places]
    if block.categorical:
        categorical[:, block.categorical] = finder.table.categorical[places]
    for index, values in sent.items():
        numeric[index, block.numeric], categorical[index, block.categorical] = values


def _features_of(plan: Plan, inputs: Inputs) -> dict[str, Feature]:
    features = {feature.name: feature for feature in plan.features}
    problems = []
    for name, wants_text in [*((n, False) for n in inputs.numeric), *((n, True) for n in inputs.columns)]:
        feature = features.get(name)
        if feature is None:
            problems.append(f"the plan has no feature {name!r}")
        if feature is None or isinstance(feature, LookupFeature):
            continue  # a lookup's types are known, and checked, once its file is read
        if isinstance(feature, SynthesisFeature):
            is_text = feature.type == "categorical"
        else:
            is_text = isinstance(feature, ColumnFeature) and plan.record[feature.column] == "text"
        if is_text != wants_text:
            kind, fed = ("a text", "numeric") if is_text else ("a number", "categorical")
            problems.append(f"feature {name!r} is {kind}, and feeds a {fed} input")
    if problems:
        raise BundleError("model.onnx", sorted(problems))
    return features


def _columns(features: Sequence[Feature]) -> _Columns | None:
    """Return the columns of the record among the features; None: there are none."""
    columns = {position: f.column for position, f in enumerate(features) if isinstance(f, ColumnFeature)}
    if not columns:
        return None
    first, *others = columns.values()
    # itemgetter yields no tuple for one column
    of = itemgetter(first, *others) if others else lambda values: (values[first],)
    positions = list(columns)
    together = positions == list(range(positions[0], positions[-1] + 1))
    return _Columns(slice(positions[0], positions[-1] + 1) if together else np.array(positions), of)


def _calendar(feature: CalendarFeature) -> Callable[[Values], float | None]:
    column, part = feature.column, CALENDAR[feature.primitive]

    def calendar(values: Values) -> float | None:
        time = values[column]
        return part(time) if isinstance(time, dt.datetime) else None

    return calendar


def _synthesized_names(features: Sequence[Feature]) -> dict[int, str]:
    return {position: f.name for position, f in enumerate(features) if isinstance(f, SynthesisFeature)}


def _synthesizer(plan: Plan, numeric: Mapping[int, str], categorical: Mapping[int, str]) -> Synthesizer | None:
    if plan.synthesis is None or not (numeric or categorical):
        return None
    return Synthesizer(plan.synthesis, list(numeric.values()), list(categorical.values()))


def _of(lookup: str, features: Sequence[Feature]) -> dict[int, str]:
    """Return the columns of a lookup among features, by their positions."""
    return {i: f.column for i, f in enumerate(features) if isinstance(f, LookupFeature) and f.lookup == lookup}


def _load(name: str, plan: Plan, folder: Path, *, numeric: Sequence[Feature], categorical: Sequence[Feature]) -> Finder:
    lookup = plan.lookups[name]
    assert isinstance(lookup, RowLookup)  # the plan's own check
    names = [table.keys for table in plan.events.values() for view in table.views if view.file == lookup.file]
    return load_lookup(
        name,
        lookup,
        folder,
        numeric=list(_of(name, numeric).values()),
        categorical=list(_of(name, categorical).values()),
        record=plan.record,
        names=names[0] if names else (),
    )
