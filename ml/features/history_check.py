"""The past that lies behind the cutoffs: windows that reach back before the first event, or find none at all."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.sql import DataError
from ml.declaration.part import duration
from ml.declaration.use_case import UseCaseSpec


def coverage(
    use_case: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table], cutoff: pd.Series
) -> list[dict[str, Any]]:
    """Count, for each time and window of a history, the rows that have less history than the window is long.

    Raises DataError where a history has no event before any cutoff, or none that its longest window reaches.
    """
    short = []
    for history in spec.features.histories:
        declared, table = spec.tables[history.table], tables[history.table]
        for time in declared.known_from or [str(declared.moment)]:
            first, last = (pd.Timestamp(end.as_py()) for end in pc.min_max(table[time]).values())
            _check_reach(f"use case {use_case!r}: features.history of {history.table!r}", time, first, last, cutoff,
                         history.longest)  # fmt: skip
            for window in history.windows:
                rows = int((cutoff - duration(window) < first).sum())
                short.append({"events": f"{history.table}, {time}", "window": window, "first": first, "rows": rows})
    return short


def _check_reach(
    where: str, time: str, first: pd.Timestamp, last: pd.Timestamp, cutoff: pd.Series, longest: Any
) -> None:
    outside = (cutoff <= first) | (cutoff - longest > last)
    if outside.all():
        raise DataError(
            f"{where} finds no event for any of {len(cutoff)} rows: events are known ({time}) from {first} to {last}, "
            f"cutoffs lie from {cutoff.min()} to {cutoff.max()}, and the longest window is {longest}; correct the "
            "cutoff, the windows or the data"
        )
