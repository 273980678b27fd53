"""Times as whole numbers, of which every one of Arrow's microseconds has its own."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def microseconds(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the microseconds since 1970, in UTC; 0 where a time is missing."""
    times = pc.cast(column, pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
    values: npt.NDArray[np.int64] = pc.fill_null(pc.cast(times, pa.int64()), 0).to_numpy()
    return values


def time_text(time: pa.Scalar) -> str:
    """Return a time as a text, without zeros at its end; Python itself has none after the year 9999."""
    whole, _, part = str(time.cast(pa.string())).partition(".")
    return f"{whole}.{part.rstrip('0')}".rstrip(".")


def within_python(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times with the first or the last that Python has in place of those that lie before or after."""
    return pc.min_element_wise(
        pc.max_element_wise(column, pa.scalar(datetime.min, column.type), skip_nulls=False),
        pa.scalar(datetime.max, column.type),
        skip_nulls=False,
    )
