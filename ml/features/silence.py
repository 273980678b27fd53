"""Silence: for how long nothing may have been heard of a table before a cutoff, as a service knows it.

A window over a table that nobody has told the service of counts nothing, which looks like a calm hour. What is usual is
learned: of the cutoffs of rows, how long before them the last row of the table lies, whether its rows come every minute
or once a month.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ml.base.times import microseconds
from ml.declaration.part import duration
from ml.declaration.tables import Table
from service.plan import parts

QUANTILE = (
    0.99  # of the rows, the share before which the silence was usual; days of an outage are no more than the rest
)
MARGIN = 2.0  # times what was usual; rows may be late on their way
LEAST_S = 600.0
SECOND_US = 1_000_000

File = tuple[str, str, str]  # a table, a time by which its rows are seen, and the file of a bundle that has them


def sources(
    files: Iterable[File],
    tables: Mapping[str, pa.Table],
    declared: Mapping[str, Table],
    cutoffs: pd.Series,
    usual: pd.Series,
) -> list[parts.Source]:
    """Describe each time of a table by which features see rows, with the silences that are allowed before a cutoff.

    `cutoffs` are those that the bundle is for, and `usual` those of the rows that tell what is usual. What a table
    declares goes before what is learned of it.
    """
    described = dict[tuple[str, str], parts.Source]()
    first = _microseconds(cutoffs).min()
    for name, time, file in files:
        table, times = declared[name], np.unique(microseconds(tables[name][time].drop_null()))
        limits = _seconds(table.heard_within), _seconds(table.not_ready_after)
        learned = usual_silence(times, usual)
        before = times[times <= first][-1:]
        source = parts.Source(
            table=name,
            time=time,
            file=file,
            before=pd.Timestamp(before[0], unit="us").to_pydatetime() if len(before) else None,
            # what ends the readiness is no usual silence, whatever was
            within_s=limits[0] or min((limit for limit in (learned, limits[1]) if limit is not None), default=None),
            not_ready_after_s=limits[1],
            timezone=table.timezone or "UTC",
        )
        described.setdefault((name, time), source)
    return list(described.values())


def usual_silence(times: npt.NDArray[np.int64], cutoffs: pd.Series) -> float | None:
    """Return up to how many seconds of silence before a cutoff are usual; None: one time tells nothing.

    `times` are those of a table, sorted, each once. Of cutoffs after the last one nobody knows what was still to come.
    """
    if len(times) < 2:
        return None
    asked = _microseconds(cutoffs)
    asked = asked[(asked >= times[0]) & (asked <= times[-1])]
    before = asked - times[np.searchsorted(times, asked, side="right") - 1]
    # of times that all are cutoffs too, as midnights are, those between them tell
    silences = [np.median(np.diff(times)), *([np.quantile(before, QUANTILE, method="higher")] if len(before) else [])]
    return max(LEAST_S, float(max(silences)) * MARGIN / SECOND_US)


def _microseconds(cutoffs: pd.Series) -> npt.NDArray[np.int64]:
    return microseconds(pa.chunked_array([pa.array(cutoffs.dropna()).cast(pa.timestamp("us"), safe=False)]))


def _seconds(text: str | None) -> float | None:
    return None if text is None else duration(text).total_seconds()
