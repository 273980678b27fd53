"""What an exported model takes to serve."""

import time

import numpy as np
import pandas as pd

from ml.evaluation.record import Serving
from ml.exported.onnx import PARITY, described, session
from ml.tasks.encoding import Encoder

ROWS, ROUNDS = 20, 10
WARM_UP = 20  # answers that are not timed: ONNX Runtime allocates in the first ones


def serving_of(content: bytes, encoder: Encoder, frame: pd.DataFrame) -> Serving:
    """Size, parity as it was measured at export (NaN if it was not), and the median time for one row on one thread.

    The time is that of the model alone, over some rows of a feature frame, several times each; NaN without rows.
    """
    parity = float(described(content).get(PARITY, "nan"))
    return Serving(latency_ms=_latency_ms(content, encoder, frame), size_mb=len(content) / 1e6, parity=parity)


def _latency_ms(content: bytes, encoder: Encoder, frame: pd.DataFrame) -> float:
    if frame.empty:
        return float("nan")
    made = session(content, threads=1)
    rows = [encoder.inputs(frame.iloc[[row % len(frame)]]) for row in range(ROWS)]
    for warming in range(WARM_UP):
        made.run(["score"], rows[warming % ROWS])
    taken = []
    for _ in range(ROUNDS):
        for inputs in rows:
            began = time.perf_counter()
            made.run(["score"], inputs)
            taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1000
