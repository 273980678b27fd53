"""Golden inputs: rows as an exported model takes them, with its answers, to be kept beside a registered version."""

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ml.exported.onnx import session, task_of
from ml.tasks.encoding import Encoder

if TYPE_CHECKING:
    import onnxruntime as ort

ROWS = 10
TOLERANCE = 1e-4  # of a probability, or of the spread of numbers: processors round in different ways


class GoldenError(ValueError):
    """A model does not answer its golden rows as it did."""


def golden_inputs(onnx_session: "ort.InferenceSession", encoder: Encoder, frame: pd.DataFrame) -> bytes:
    """Return the first rows of a feature frame, encoded, and what the model answers to them, as JSON."""
    inputs = encoder.inputs(frame.head(ROWS))
    answers = onnx_session.run(["score"], inputs)[0]
    numbers = {name: _plain(values) for name, values in inputs.items()}
    return json.dumps({"inputs": numbers, "scores": np.asarray(answers, float).tolist()}, indent=1).encode()


def check_golden(content: bytes, golden: bytes) -> float:
    """Return the largest difference to the golden answers, as a share of their unit.

    Raises GoldenError if there are no golden rows, or one is answered otherwise; whatever ONNX Runtime raises if the
    model does not load.
    """
    try:
        rows = json.loads(golden)
        expected = np.array(rows["scores"], dtype=np.float64)
        inputs = {name: _array(name, values) for name, values in rows["inputs"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GoldenError(f"its golden rows are damaged: {error}") from error
    if not len(expected):
        raise GoldenError("0 golden rows verify nothing")
    answers = np.asarray(session(content).run(["score"], inputs)[0], dtype=np.float64)
    if answers.shape != expected.shape:
        raise GoldenError(f"{len(expected)} golden rows were answered with the shape {answers.shape}")
    difference = float(np.max(np.abs(answers - expected))) / task_of(content).unit(expected)
    if not difference <= TOLERANCE:
        raise GoldenError(f"golden rows are answered with a difference of {difference:.3g}; allowed: {TOLERANCE:g}")
    return difference


def _plain(values: np.ndarray) -> list[list[object]]:
    """Return rows as JSON values, a missing one as null."""
    return [[None if value != value else value for value in row] for row in values.tolist()]


def _array(name: str, rows: list[list[object]]) -> np.ndarray:
    return np.array(rows, dtype=object if name == "categorical" else np.float32)
