"""Times: those of Arrow's types as microseconds since 1970, and which of them no calendar has."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.predict.rows import Mask
from service.records.reader import PARSERS, SECOND_US, to_us

DAY_US = 86_400 * SECOND_US
UNITS_US = {"s": SECOND_US, "ms": 1_000, "us": 1}
FIRST_US, LAST_US = to_us(dt.datetime.min), to_us(dt.datetime.max)

Times = NDArray[np.int64]


def is_time(kind: Any) -> bool:
    """Return whether an Arrow type is one of dates, or of times without an offset."""
    from pyarrow import types

    return bool(types.is_date(kind) or (types.is_timestamp(kind) and kind.tz is None))


def times_us(array: Any) -> tuple[Times, Mask | None]:
    """Return times, of nanoseconds the whole microseconds, and which no calendar has, None: it has all; those are 0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date32(array.type):
        values, unit_us = pc.cast(pc.cast(array, pa.int32()), pa.int64()), DAY_US
    else:
        unit = "ms" if pa.types.is_date64(array.type) else array.type.unit
        values, unit_us = pc.cast(array, pa.int64()), UNITS_US.get(unit, 1)
    counts = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    if unit_us == 1 and array.type.unit == "ns":
        counts = counts // 1_000  # down, before 1970 too, as ISO 8601 texts are cut; a cast goes towards it
    wrong = (counts < -(-FIRST_US // unit_us)) | (counts > LAST_US // unit_us)
    if not wrong.any():
        return counts * unit_us, None
    return np.where(wrong, 0, counts) * unit_us, wrong


def parsed_us(texts: NDArray[np.object_]) -> tuple[Times, Mask | None]:
    """Return the times of ISO 8601 texts, as a record's are read, and which are none, None: all are; those are 0."""
    known = dict[Any, int | None]({None: 0})
    for text in set(texts.tolist()) - {None}:
        try:
            time = PARSERS["time"](text)
        except ValueError:
            known[text] = None
        else:
            assert isinstance(time, dt.datetime)
            known[text] = to_us(time)
    listed = [known[text] for text in texts.tolist()]
    times = np.array([time or 0 for time in listed], np.int64)
    return times, np.array([time is None for time in listed]) if None in known.values() else None
