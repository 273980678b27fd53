"""The cost of serving an exported model: its size, its latency, and its parity with the native one."""

import time

import numpy as np
import pandas as pd

from ml.evaluation.record import Serving
from ml.exported.onnx import PARITY, described, session
from ml.tasks.encoding import Encoder

ROWS, ROUNDS = 20, 10
WARM_UP = 20  # answers that are not timed: ONNX Runtime allocates in the first ones


def serving_of(content: bytes, encoder: Encoder, frame: pd.DataFrame) -> Serving:
    """Measure the size of a model and its median time for one row on one thread; parity is that of the export, or NaN.

    The time is that of the model alone, over some rows of a feature frame, several times each; NaN without rows.
    """
    parity = float(described(content).get(PARITY, "nan"))
    return Serving(latency_ms=_latency_ms(content, encoder, frame), size_mb=len(content) / 1e6, parity=parity)


def _latency_ms(content: bytes, encoder: Encoder, frame: pd.DataFrame) -> float:
    if frame.empty:
        return float("nan")
    onnx_session = session(content, threads=1)
    rows = [encoder.inputs(frame.iloc[[row % len(frame)]]) for row in range(ROWS)]
    for warm_up in range(WARM_UP):
        onnx_session.run(["score"], rows[warm_up % ROWS])
    durations = []
    for _ in range(ROUNDS):
        for inputs in rows:
            began = time.perf_counter()
            onnx_session.run(["score"], inputs)
            durations.append(time.perf_counter() - began)
    return float(np.median(durations)) * 1000
