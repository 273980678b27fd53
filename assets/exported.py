"""What an exported model carries, and what it answers to rows."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.declaration.use_case import UseCaseSpec
from ml.exported.onnx import described, predict, session
from ml.exported.reference import KEY as REFERENCE
from ml.exported.reference import Reference
from ml.features.definitions import FeatureDefinitions
from ml.features.matrix import feature_matrix
from ml.tasks.encoding import Encoder


def encoder_of(content: bytes) -> Encoder:
    """The encoder that an exported model carries."""
    return Encoder.from_dict(json.loads(described(content)["sextant.encoder"]))


def scores_of(content: bytes, matrix: pd.DataFrame) -> np.ndarray:
    """What an exported model answers to a feature matrix: [n_rows], or [n_rows, n_classes]."""
    return predict(session(content), encoder_of(content), matrix)


def reference_of(content: bytes) -> Reference:
    """What an exported model brings from training and validation."""
    return Reference.model_validate_json(described(content)[REFERENCE])


def declared_in(content: bytes) -> tuple[UseCaseSpec, FeatureDefinitions]:
    """The declaration and the feature definitions that an exported model was made by."""
    about = described(content)
    spec = UseCaseSpec.model_validate_json(about["sextant.spec"])
    return spec, FeatureDefinitions.model_validate_json(about["sextant.definitions"])


def features_of(content: bytes, tables: dict[str, pa.Table], rows: pd.DataFrame) -> pd.DataFrame:
    """The features of rows (key and cutoff) as an exported model defines them, whatever the config says today."""
    spec, definitions = declared_in(content)
    key = spec.tables[spec.examples.table].keys[0]
    return feature_matrix(spec, definitions, tables, rows[[key, "cutoff"]])


def coordinates_of(content: bytes) -> dict[str, Any]:
    """The summary of the coordinates that an exported model carries."""
    return dict(json.loads(described(content)["sextant.coordinates"]))
