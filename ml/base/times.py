"""Times as whole numbers, of which every one of Arrow's microseconds has its own."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def microseconds(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the microseconds since 1970, in UTC; 0 where a time is missing."""
    times = pc.cast(column, pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
    values: npt.NDArray[np.int64] = pc.fill_null(pc.cast(times, pa.int64()), 0).to_numpy()
    return values
