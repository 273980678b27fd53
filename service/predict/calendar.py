"""Calendar: the parts of many times at once, the same as those of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.predict.rows import Column

Parts = NDArray[np.int64]

DAY_US, HOUR_US, MINUTE_US = 86_400_000_000, 3_600_000_000, 60_000_000
THURSDAY = 3  # the day of the week, from Monday 0 on, by whose year a week is counted


def calendar_part(primitive: str, column: Column) -> NDArray[np.float64]:
    """Return a part of each of some times, by the name that a plan knows it by; NaN where the time is missing."""
    part = PARTS[primitive](column.values).astype(np.float64)
    if column.missing is not None:
        part[column.missing] = np.nan
    return part


def _days(us: Parts) -> Parts:
    return us // DAY_US


def _weekday(us: Parts) -> Parts:
    return (_days(us) + THURSDAY) % 7  # 1970 began on one


def _since(us: Parts, unit: str) -> Parts:
    """Return the days since the begin of the year, or month, from 0 on."""
    return _days(us) - _count(_units(us, unit).astype("datetime64[D]"))


def _units(us: Parts, unit: str) -> Any:
    """Return the years, or months, that times lie in, as NumPy has them."""
    return _days(us).astype("datetime64[D]").astype(f"datetime64[{unit}]")


def _count(units: Any) -> Parts:
    return np.asarray(units.astype(np.int64))


def _month(us: Parts) -> Parts:
    return _count(_units(us, "M")) % 12 + 1


def _year(us: Parts) -> Parts:
    return _count(_units(us, "Y")) + 1970


def _week(us: Parts) -> Parts:
    thursday = us + (THURSDAY - _weekday(us)) * DAY_US
    return _since(thursday, "Y") // 7 + 1


PARTS: dict[str, Callable[[Parts], Parts]] = {
    "minute": lambda us: us % HOUR_US // MINUTE_US,
    "hour": lambda us: us % DAY_US // HOUR_US,
    "weekday": _weekday,
    "is_weekend": lambda us: (_weekday(us) >= 5).astype(np.int64),
    "day": lambda us: _since(us, "M") + 1,
    "day_of_year": lambda us: _since(us, "Y") + 1,
    "week": _week,
    "month": _month,
    "quarter": lambda us: (_month(us) + 2) // 3,
    "year": _year,
}
