"""An exported model, read once: what it carries, and what it answers."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.base.hashing import hash_bytes
from ml.declaration.reads import Reads, view
from ml.declaration.tables import SILENCE
from ml.declaration.use_case import UseCaseSpec
from ml.exported.identity import answers_of
from ml.exported.onnx import PARITY, predict, session, task_in
from ml.exported.reference import KEY as REFERENCE
from ml.exported.reference import Reference
from ml.features.definitions import FeatureDefinitions
from ml.features.matrix import feature_matrix
from ml.tasks.encoding import Encoder
from ml.tasks.task import Task

if TYPE_CHECKING:
    import onnxruntime as ort

# What an exported model carries of its use case's declaration: all that features, and the rows that have any, follow
# from, and nothing of where tables come from and what they must be like.
COPIED = Reads(
    ("task", "seed", "tables", "relationships", "examples", "features"),
    without=("tables.*.source", "tables.*.audit", "features.selection", *(f"tables.*.{name}" for name in SILENCE)),
)
# Of that, what a record and a row of a batch are read by, beside the definitions of its features.
SERVED = Reads(
    (
        *("examples.table", "examples.query", "examples.cutoff"),
        *("tables.*.key", "tables.*.time", "tables.*.known_at", "tables.*.computed"),
    )
)


class ExportedModel:
    """An exported model: its bytes, and what is in them, each read once and only when asked for.

    Raises whatever ONNX raises, at the first question, if the bytes are no model.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of its bytes."""
        return hash_bytes(self.content)

    @cached_property
    def session(self) -> "ort.InferenceSession":
        """ONNX Runtime's session, on one thread of the CPU: the one parse of the bytes for all that is asked."""
        return session(self.content)

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """The texts that were exported with it."""
        return dict(self.session.get_modelmeta().custom_metadata_map)

    @cached_property
    def answers(self) -> str:
        """The hash of all that decides its answers, whichever run made it."""
        return answers_of(self.content)

    @cached_property
    def task(self) -> Task:
        """The kind of its answers."""
        return task_in(self.metadata)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of its inputs."""
        return Encoder.from_dict(json.loads(self.metadata["sextant.encoder"]))

    @cached_property
    def reference(self) -> Reference:
        """Its threshold, interval and baseline, from training and validation."""
        return Reference.model_validate_json(self.metadata[REFERENCE])

    @cached_property
    def spec(self) -> UseCaseSpec:
        """The parts of the declaration that its features were made by; no others are there."""
        declared: UseCaseSpec = UseCaseSpec.of_parts(COPIED.decide(json.loads(self.metadata["sextant.spec"])))
        copied: UseCaseSpec = view(declared, COPIED)
        return copied

    @cached_property
    def served(self) -> UseCaseSpec:
        """The parts of the declaration that records and rows of a batch are read by; no others are there."""
        served: UseCaseSpec = view(self.spec, SERVED)
        return served

    @cached_property
    def definitions(self) -> FeatureDefinitions:
        """The definitions of its features."""
        return FeatureDefinitions.model_validate_json(self.metadata["sextant.definitions"])

    @cached_property
    def coordinates(self) -> dict[str, Any]:
        """The summary of its coordinates."""
        return dict(json.loads(self.metadata["sextant.coordinates"]))

    @property
    def family(self) -> str:
        """The name of its family."""
        return self.metadata["sextant.family"]

    @property
    def parity(self) -> float:
        """The largest difference from the native model, as measured at the export; NaN if it was not."""
        return float(self.metadata.get(PARITY, "nan"))

    def answers_as(self, other: "ExportedModel") -> bool:
        """Return whether two models answer every record alike: how they read it, what they compute and decide."""
        alike = self.answers == other.answers and self._reading == other._reading
        return alike and self.decided == other.decided

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The probabilities from which on the answer is yes, of each target; none where it answers something else."""
        reference = json.loads(self.metadata.get(REFERENCE, "{}"))
        references = [reference["targets"][name] for name in self.task.targets] if self.task.targets else [reference]
        return tuple(of_target["threshold"]["value"] for of_target in references if of_target.get("threshold"))

    @property
    def half_width(self) -> float | None:
        """Half of the width of the interval around its numbers; None where there is none."""
        reference = json.loads(self.metadata.get(REFERENCE, "{}"))
        width: float | None = (reference.get("interval") or {}).get("half_width")
        return width

    @property
    def decided(self) -> tuple[tuple[float, ...], float | None]:
        """The thresholds of decisions, and half of the width of an interval, that its answers come with."""
        return self.thresholds, self.half_width

    @property
    def _reading(self) -> dict[str, Any]:
        """The declaration of the tables that its features need, and of the rows that it is asked about."""
        reading = SERVED.decide(json.loads(self.metadata["sextant.spec"]))
        needed = self.definitions.tables | {reading["examples"]["table"]}
        return reading | {"tables": {name: table for name, table in reading["tables"].items() if name in needed}}

    def scores(self, matrix: pd.DataFrame) -> np.ndarray:
        """Return its answers to a feature matrix, float64 [n_rows], or [n_rows, n_classes] or [n_rows, n_targets]."""
        return predict(self.session, self.encoder, matrix)

    def features(self, tables: Mapping[str, pa.Table], rows: pd.DataFrame) -> pd.DataFrame:
        """Return the features of rows (key and cutoff) as it defines them, whatever is declared today."""
        return feature_matrix(self.served, self.definitions, tables, rows[[*self.served.keys, "cutoff"]])
