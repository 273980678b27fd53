"""The predictor: a bundle, loaded, that answers records with scores and has proved that it can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from service.history.events import Events
from service.history.state import State
from service.plan.document import BundleError, Plan
from service.plan.parts import ColumnFeature
from service.plan.reading import read_plan
from service.predict.answers import Score
from service.predict.blame import blame
from service.predict.columnar import MOST_PROBLEMS, Columnar, Unanswerable
from service.predict.explaining import Explained
from service.predict.features import FeatureBuilder, Matrices
from service.predict.model import MOST_CATEGORIES, Model, load_model
from service.predict.observed import Observe, Part
from service.predict.rows import ROWS, Rows, Scored
from service.records.deadline import check_time
from service.records.reader import InvalidRecords, Problem, Record, RecordReader, excerpt
from service.records.usual import Usual

PART = 1_000  # records that are answered together, between two looks at the clock
MOST_BLAMED = 10  # records whose numbers are searched for those without an answer

T = TypeVar("T")
Key = dict[str, Any]  # the values of columns that name a row, as they were sent


class Golden(msgspec.Struct, frozen=True):
    """Requests whose answers are known; `tolerance` is the largest difference of a score that counts as equal."""

    records: list[dict[str, Any]]
    scores: list[float | list[float]]
    tolerance: float = 1e-4


class Prediction(msgspec.Struct, frozen=True):
    """The score of each record, or where there are many classes or targets that of each, and its warnings.

    `keys` are the values that records have for the columns of the plan's key, None of one without any; no keys at all
    where no record has any. `explanations` are there where they were asked for, `ids` where the answer leaves.
    `records` are as they were read, and `parts` their features.
    """

    scores: list[Score]
    warnings: list[list[str]]
    keys: list[Key | None] = []
    explanations: list[Explained] = []
    ids: list[str] = []
    records: list[Record] = []
    parts: list[Matrices] = []


class Predictor:
    """Answers records; everything that a request needs is in memory."""

    def __init__(self, plan: Plan, model: Model, folder: Path, coordinates: Mapping[str, Any], golden: Golden) -> None:
        self.plan = plan
        self.model = model
        self.golden = golden
        self.coordinates = {**coordinates, "providers": model.providers}
        self.id = str(coordinates["id"])
        self.name = f"{plan.use_case}:{coordinates['model_version']}"
        self.columns = {**plan.record, **plan.key}  # that a record may have
        categories = _all_categories(plan, model)
        self._reader = RecordReader(plan, Usual(plan.record, model.usual, categories).warnings)
        self._features = FeatureBuilder(plan, model.inputs, folder)
        self.histories = self._features.histories
        of_columns = self._features.of_columns
        self._columnar = Columnar(plan, model, self._reader, of_columns, categories, PART) if of_columns else None
        self.events: Events | None = None  # what adds to them, once it is there

    @property
    def thresholds(self) -> list[float]:
        """The probabilities from which on the answer is a yes, that of each target; none where there is none."""
        return self.model.thresholds

    @property
    def is_quick(self) -> bool:
        """Return whether a record takes a bounded time: no query makes its features, and no text of any length."""
        return self.plan.synthesis is None and not self.model.inputs.texts

    @property
    def example(self) -> dict[str, Any] | None:
        """A record to show; None: the bundle holds none."""
        return self.golden.records[0] if self.golden.records else None

    def predict(
        self,
        records: Sequence[Any],
        deadline: float | None = None,
        *,
        explain: bool = False,
        state: State | None = None,
    ) -> Prediction:
        """Score `records`, all as of one state of the histories, by default the present one; `explain` the scores.

        Raises InvalidRecords with the problems of all of them, OutOfTimeError once the deadline is over, and
        UnexplainedError for a model that cannot be explained.
        """
        read, state = self._reader.read(records), state or self.histories.state
        scores, warnings, parts = list[Score](), list[list[str]](), list[Matrices]()
        explanations = list[Explained]()
        explaining = self.model.explaining if explain else None
        for start in range(0, len(read), PART):
            check_time(deadline)
            part = read[start : start + PART]
            matrices = self._features.build(part, state)
            answers = self.model.score(matrices)
            listed = answers.tolist()
            # of one number NumPy would take longer to say so
            if not (all(map(isfinite, listed)) if answers.ndim == 1 else np.isfinite(answers).all()):
                raise self._unanswerable(part, start, state, np.isfinite(answers))
            scores += listed
            warnings += matrices.warnings
            parts.append(matrices)
            if explaining is not None:
                explanations += explaining.explain(matrices, answers, deadline)
        keys = _keys(self.plan.key, records) if self.plan.key else []
        return Prediction(scores, warnings, keys, explanations, records=read, parts=parts)

    def predict_rows(
        self,
        rows: Rows,
        deadline: float | None = None,
        most_bytes: int | None = None,
        observe: Observe | None = None,
    ) -> Scored:
        """Score rows that are columns, as `predict` scores the same rows; raises as that does.

        Raises WordyError, too, where their warnings take more than `most_bytes`. `observe` is told of each part.
        """
        if self._columnar is None:
            return self._predict_as_records(rows, deadline, most_bytes, observe)
        try:
            return self._columnar.predict(rows, deadline, most_bytes, observe)
        except Unanswerable as error:
            try:
                self.predict(rows.records(error.places))
            except InvalidRecords as invalid:
                raise invalid.at(error.places) from None
            raise

    def _predict_as_records(
        self, rows: Rows, deadline: float | None, most_bytes: int | None, observe: Observe | None
    ) -> Scored:
        state, scores, problems = self.histories.state, list[Score](), list[Problem]()
        scored = Scored(np.empty(len(rows)), most_bytes=most_bytes)
        for start in range(0, len(rows), ROWS):
            check_time(deadline)
            places = range(start, min(start + ROWS, len(rows)))
            records = rows.records(places)
            try:
                if problems:  # what the others lack is named, too, and not scored
                    self.check(records)
                    continue
                prediction = self.predict(records, deadline, state=state)
            except InvalidRecords as error:
                problems += error.at(places).problems
                if len(problems) >= MOST_PROBLEMS:
                    break
                continue
            scores += prediction.scores
            for place, warnings in zip(places, prediction.warnings, strict=True):
                scored.warn(place, warnings)
            if observe is not None:
                of_part = np.array(prediction.scores, np.float64)
                observe(Part(places, of_part, prediction.parts, prediction.records), scored)
        if problems:
            raise InvalidRecords(problems)
        scored.scores = np.array(scores, np.float64).reshape(len(rows), *self.model.shape)
        return scored

    def read_rows(self, rows: Rows, places: range) -> tuple[list[Record], list[Key | None]]:
        """Return some rows, which are sound, as records, and the key of each; no keys where no row has any."""
        records = rows.records(places)
        return self._reader.read(records), _keys(self.plan.key, records) if self.plan.key else []

    def check(self, records: Sequence[Any]) -> None:
        """Raise InvalidRecords with the problems of all records that cannot be read."""
        self._reader.read(records)

    def features(self, records: Sequence[Any]) -> Matrices:
        """Return the features of `records`; raises InvalidRecords with the problems of all of them."""
        return self._features.build(self._reader.read(records))

    def _unanswerable(self, part: Sequence[Record], start: int, state: State, finite: Any) -> Exception:
        """Return the error that names the records without a finite answer, and the numbers that it is owed to."""

        def answers(record: Record) -> bool:
            return bool(np.isfinite(self.model.score(self._features.build([record], state))).all())

        problems = []
        failing = np.flatnonzero(~finite.reshape(len(part), -1).all(axis=1)).tolist()
        for index in failing[:MOST_BLAMED]:
            columns = blame(part[index], answers)
            if not columns:
                return ArithmeticError(
                    f"the model has no finite answer to record {start + index}, with no numbers either"
                )
            problems += [_unanswered(start + index, name, part[index].values[name]) for name in columns]
        problems += [_unanswered(start + index) for index in failing[MOST_BLAMED:]]
        return InvalidRecords(problems)

    def difference(self) -> float:
        """Return the largest difference between a golden score and the score now; 0.0 without golden records."""
        if not self.golden.records:
            return 0.0
        scores, expected = np.array(self.predict(self.golden.records).scores), np.array(self.golden.scores)
        if scores.shape != expected.shape:
            shapes = f"scores of shape {expected.shape}, and the model answers with {scores.shape}"
            raise BundleError(self.plan.golden, [f"its records have {shapes}"])
        return float(np.max(np.abs(scores - expected)))


def _all_categories(plan: Plan, model: Model) -> dict[str, list[str]]:
    """Return the categories of the columns of which the model knows all that training had."""
    columns = {feature.name: feature.column for feature in plan.features if isinstance(feature, ColumnFeature)}
    return {
        columns[name]: known
        for name, known in model.categories.items()
        if name in columns and 0 < len(known) < MOST_CATEGORIES and plan.record[columns[name]] == "text"
    }


def _keys(names: Iterable[str], records: Sequence[Any]) -> list[Key | None]:
    """Return the key that each of some sound records bears; none if no record bears one."""
    keys = [{name: record[name] for name in names if record.get(name) is not None} or None for record in records]
    return keys if any(keys) else []


def _unanswered(index: int, column: str | None = None, value: Any = None) -> Problem:
    allowed = "numbers for which the model computes a finite one, such as those of training"
    return Problem("the model has no finite answer to it", index, column, excerpt(value), allowed)


def load_predictor(folder: Path) -> Predictor:
    """Load the bundle in `folder`; raises BundleError, saying what to mend, if it cannot be served."""
    expected = ["coordinates.json", "model.onnx", "plan.json"]
    if absent := [name for name in expected if not (folder / name).is_file()]:
        raise BundleError(str(folder), [f"{name} is not there" for name in absent])
    plan = read_plan((folder / "plan.json").read_bytes())
    return Predictor(
        plan,
        load_model(folder / "model.onnx", plan.task),
        folder,
        _read_coordinates(folder),
        _read_golden(folder / plan.golden),
    )


def _read_coordinates(folder: Path) -> dict[str, Any]:
    coordinates = _decode(folder / "coordinates.json", dict[str, Any])
    if absent := sorted({"id", "model_version"} - coordinates.keys()):
        raise BundleError("coordinates.json", [f"it has no {name!r}" for name in absent])
    return coordinates


def _read_golden(path: Path) -> Golden:
    golden = _decode(path, Golden)
    if len(golden.records) != len(golden.scores):
        raise BundleError(path.name, [f"{len(golden.records)} records have {len(golden.scores)} scores"])
    return golden


def _decode(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise BundleError(path.name, [str(error)]) from None
