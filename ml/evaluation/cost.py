"""The cost of serving an exported model: its size, its latency, and its parity with the native one."""

import math
import time

import numpy as np
import pandas as pd

from ml.evaluation.record import Serving
from ml.exported.model import ExportedModel
from ml.exported.onnx import Parity

ROWS, ROUNDS = 20, 10
WARM_UP = 20  # answers that are not timed: ONNX Runtime allocates in the first ones


def serving_of(model: ExportedModel, frame: pd.DataFrame, measured: Parity | None = None) -> Serving:
    """Measure the size of a model and its median time for one row on one thread; parity is that of the export, or NaN.

    The time is that of the model alone, over some rows of a feature frame, several times each; NaN without rows. Where
    parity was `measured` on other rows too, the larger difference counts, or that which is no number.
    """
    of_export = Parity(0, 0, {"at the export": model.parity}, ())
    worst = max((of_export, *([measured] if measured else [])), key=lambda parity: _order(parity.largest_difference))
    return Serving(
        latency_ms=_latency_ms(model, frame),
        size_mb=len(model.content) / 1e6,
        parity=worst.largest_difference,
        parity_case=worst.worst if worst is of_export else f"on the test rows: {worst.worst}",
    )


def _order(difference: float) -> tuple[bool, float]:
    return math.isnan(difference), difference


def _latency_ms(model: ExportedModel, frame: pd.DataFrame) -> float:
    if frame.empty:
        return float("nan")
    rows = [model.encoder.inputs(frame.iloc[[row % len(frame)]]) for row in range(ROWS)]
    for warm_up in range(WARM_UP):
        model.session.run(["score"], rows[warm_up % ROWS])
    durations = []
    for _ in range(ROUNDS):
        for inputs in rows:
            began = time.perf_counter()
            model.session.run(["score"], inputs)
            durations.append(time.perf_counter() - began)
    return float(np.median(durations)) * 1000
