"""Observed: what is told of the rows of a request, part by part, to whoever counts or logs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.predict.features import Matrices
from service.predict.rows import Scored
from service.records.reader import Record


@dataclass(frozen=True)
class Part:
    """Some of the rows of a request, scored: their places, scores and features, and the records, if they were read."""

    places: range
    scores: NDArray[np.float64]
    matrices: Sequence[Matrices]
    records: Sequence[Record] | None = None


Observe = Callable[[Part, Scored], None]  # is told of each part, with all that is known so far
