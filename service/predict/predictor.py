"""The predictor: a bundle, loaded, that answers records with scores and has proved that it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from service.plan.document import BundleError, Plan
from service.plan.reading import read_plan
from service.predict.answers import Score
from service.predict.features import FeatureBuilder, Matrices
from service.predict.model import Model, load_model
from service.records.reader import RecordReader

T = TypeVar("T")


class Golden(msgspec.Struct, frozen=True):
    """Requests whose answers are known; `tolerance` is the largest difference of a score that counts as equal."""

    records: list[dict[str, Any]]
    scores: list[float | list[float]]
    tolerance: float = 1e-4


@dataclass(frozen=True)
class Prediction:
    """The score of each record, or where there are many classes or targets that of each, and its warnings."""

    scores: list[Score]
    warnings: list[list[str]]


class Predictor:
    """Answers records; everything that a request needs is in memory."""

    def __init__(self, plan: Plan, model: Model, folder: Path, coordinates: Mapping[str, Any], golden: Golden) -> None:
        self.plan = plan
        self.model = model
        self.golden = golden
        self.coordinates = {**coordinates, "providers": model.providers}
        self.id = str(coordinates["id"])
        self.name = f"{plan.use_case}:{coordinates['model_version']}"
        self._reader = RecordReader(plan)
        self._features = FeatureBuilder(plan, model.inputs, folder)
        self.histories = self._features.histories

    @property
    def thresholds(self) -> list[float]:
        """The probabilities from which on the answer is a yes, that of each target; none where there is none."""
        return self.model.thresholds

    @property
    def example(self) -> dict[str, Any] | None:
        """A record to show; None: the bundle holds none."""
        return self.golden.records[0] if self.golden.records else None

    def predict(self, records: Sequence[Any]) -> Prediction:
        """Score `records`; raises InvalidRecords with the problems of all of them."""
        matrices = self.features(records)
        return Prediction(self.model.score(matrices).tolist(), matrices.warnings)

    def features(self, records: Sequence[Any]) -> Matrices:
        """Return the features of `records`; raises InvalidRecords with the problems of all of them."""
        return self._features.build(self._reader.read(records))

    def difference(self) -> float:
        """Return the largest difference between a golden score and the score now; 0.0 without golden records."""
        if not self.golden.records:
            return 0.0
        scores, expected = np.array(self.predict(self.golden.records).scores), np.array(self.golden.scores)
        if scores.shape != expected.shape:
            shapes = f"scores of shape {expected.shape}, and the model answers with {scores.shape}"
            raise BundleError(self.plan.golden, [f"its records have {shapes}"])
        return float(np.max(np.abs(scores - expected)))


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
