"""The examples in time: how many are asked when, and what their target is."""

from collections.abc import Mapping

import numpy as np

from ml.profile.record import Coverage

MOST = 60  # spans
UNITS = {"h": "hour", "D": "day", "W": "week", "M": "month", "Y": "year", "10Y": "ten years", "100Y": "hundred years"}


def coverage(cutoff: np.ndarray, splits: Mapping[str, np.ndarray], target: np.ndarray | None) -> Coverage | None:
    """Count the rows of each split in spans of time, by their cutoffs; None where they have none."""
    if np.isnat(cutoff).all():
        return None
    moments = cutoff.astype("datetime64[s]")
    for unit in UNITS:
        spans = moments.astype(f"datetime64[{unit}]").astype("int64")
        first, count = int(spans.min()), int(spans.max() - spans.min()) + 1
        if count <= MOST:
            break
    places = spans - first
    rows = {name: np.bincount(places[chosen], minlength=count) for name, chosen in splits.items()}
    starts = (np.arange(count) + first).astype(f"datetime64[{unit}]")
    bounds = {name: (_day(moments[chosen].min()), _day(moments[chosen].max())) for name, chosen in splits.items()}
    return Coverage(
        unit=UNITS[unit],
        starts=tuple(str(start.astype("datetime64[m]" if unit == "h" else "datetime64[D]")) for start in starts),
        rows={name: tuple(of_split.tolist()) for name, of_split in rows.items()},
        target=_means(places, splits, target, count),
        bounds=bounds,
    )


def _means(
    places: np.ndarray, splits: Mapping[str, np.ndarray], target: np.ndarray | None, count: int
) -> tuple[float | None, ...]:
    if target is None:
        return (None,) * count
    learned = np.concatenate([splits["train"], splits["validation"]])
    sums = np.bincount(places[learned], weights=target[learned], minlength=count)
    rows = np.bincount(places[learned], minlength=count)
    return tuple(float(total / some) if some else None for total, some in zip(sums, rows, strict=True))


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[D]"))
