"""Aggregates of windows that no running total gives: minimum, maximum, median, number of different values."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.base.sql import connection, quoted

if TYPE_CHECKING:
    from ml.windows.window import Window

FRAMED = {"min": "min({})", "max": "max({})", "median": "median({})", "num_unique": "count(distinct {})"}


def framed(
    happened: Mapping[str, npt.NDArray[Any]],
    events: pa.Table,
    rows: Mapping[str, npt.NDArray[Any]],
    wanted: "Sequence[Window]",
    scales: Mapping[str, int],
    end: int,
    threads: int | None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the values of each window, NaN where there is none, in the order of the rows.

    `happened` has the events' k (-1: no key) and t, `rows` has k and cut; times are in microseconds. A window ends
    `end` microseconds before the cutoff. What does not fit $SEXTANT_MEMORY_LIMIT goes to disk.
    """
    numbers = {name: f"v{number}" for number, name in enumerate(dict.fromkeys(str(window.column) for window in wanted))}
    values: dict[str, npt.NDArray[np.float64]] = {}
    with connection(threads) as con:
        con.register("event", pa.table({**happened, **{number: events[name] for name, number in numbers.items()}}))
        con.register("asked", pa.table({"row": np.arange(len(rows["k"])), **rows}))
        for seconds in dict.fromkeys(window.seconds for window in wanted):
            together = [window for window in wanted if window.seconds == seconds]
            table = con.sql(_query(together, numbers, scales, end)).to_arrow_table()
            values |= {name: table[name].to_numpy() for name in table.column_names}
    return values


def _query(wanted: "Sequence[Window]", numbers: Mapping[str, str], scales: Mapping[str, int], end: int) -> str:
    """Return the query that puts events and rows in one order, each row with the frame of events before it."""
    aggregates = {(window.aggregation, numbers[str(window.column)]) for window in wanted}
    over = "".join(f", {FRAMED[name].format(v)} over w as {name}_{v}" for name, v in sorted(aggregates))
    columns = "".join(f", {v}" for v in numbers.values())
    both = (
        f"select null as row, k, t, 1 as one{columns} from event where k >= 0 "
        f"union all select row, k, cut, null{', null' * len(numbers)} from asked"
    )
    frame = f"partition by k order by t range between {reach(wanted[0].seconds)} preceding and {end} preceding"
    framed = f"select row, count(one) over w as n{over} from ({both}) window w as ({frame})"
    values = ", ".join(_value(window, numbers[str(window.column)], scales) for window in wanted)
    return f"select {values} from ({framed}) where row is not null order by row"


def _value(window: "Window", v: str, scales: Mapping[str, int]) -> str:
    value = f"cast({window.aggregation}_{v} as double) / {10 ** scales[str(window.column)]}"
    if window.aggregation == "num_unique":
        value = f"case when n > 0 then cast(num_unique_{v} as double) end"
    return f"{value} as {quoted(window.name)}"


def reach(seconds: int | None) -> int:
    """Return how far a window reaches back, in microseconds; all of the past is thirty thousand years."""
    return 10**18 if seconds is None else seconds * 10**6
