"""The distribution of a column: quantiles, and bars of its values in each split with the mean target."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.base.text import shortened
from ml.profile.columns import Column
from ml.profile.record import Bar, Holds

FEW = 24  # numbers that differ, up to which each has a bar of its own
BINS = 24  # at most, of other numbers
ROWS = 25  # training rows for each of them, but for the fewest that show a shape
LEAST = 8
WHOLE = 1e6  # a range of whole numbers from which on it does not show how many of them a bar holds
TAIL = 0.005  # of the rows, at each end: the outermost bars hold them, or one value would flatten all others
MOST_TEXTS = 8
SHARES = (0.0, 0.05, 0.5, 0.95, 1.0)
SHOWN = 32  # characters of a text
MISSING = "(missing)"


def quantiles(column: Column) -> tuple[float, ...]:
    """Return the quantiles of the finite numbers, each of which is one of them; none of texts."""
    if column.is_text:
        return ()
    ordered = _finite(column)
    if len(ordered) == 0:
        return ()
    places = np.maximum(np.ceil(np.array(SHARES) * len(ordered)).astype(int) - 1, 0)
    return tuple(ordered[places].tolist())


def bars(column: Column, splits: Mapping[str, np.ndarray], target: np.ndarray | None) -> tuple[Bar, ...]:
    """Return the bars of a column; `splits` has the positions of each split's rows, `target` a number for each row.

    Numbers are in their order, beyond FEW of them in at most BINS ranges of equal width, which of whole numbers hold as
    many each; of texts the most frequent ones of the training rows come first. Missing values are the last bar.
    """
    train = splits["train"]
    bins = min(BINS, max(LEAST, len(train) // ROWS))
    codes, labels = _texts(column, train) if column.is_text else _numbers(column, bins)
    holds: list[Holds] = ["values"] * len(labels)
    if column.is_text and (others := column.distinct - len(labels)):
        labels, holds = [*labels, f"({others:,} others)"], [*holds, "others"]
    if (codes < 0).any():
        codes = np.where(codes < 0, len(labels), codes)
        labels, holds = [*labels, MISSING], [*holds, "missing"]
    counts = {name: np.bincount(codes[rows], minlength=len(labels)) for name, rows in splits.items()}
    means = np.full(len(labels), np.nan)
    if target is not None:
        sums = np.bincount(codes[train], weights=target[train], minlength=len(labels))
        with np.errstate(invalid="ignore"):
            means = np.divide(sums, counts["train"], out=means, where=counts["train"] > 0)
    return tuple(
        Bar(
            label=label,
            holds=holds[place],
            shares={name: float(count[place] / max(len(splits[name]), 1)) for name, count in counts.items()},
            target=float(means[place]) if np.isfinite(means[place]) else None,
        )
        for place, label in enumerate(labels)
    )


def _numbers(column: Column, bins: int) -> tuple[np.ndarray, list[str]]:
    """Return the bar of each row, -1 where its number is missing, and the bars' labels."""
    values, there, distinct = column.values, ~column.missing, column.distinct_values
    codes = np.full(len(values), -1)
    if len(distinct) <= FEW:
        codes[there] = np.searchsorted(distinct, values[there])
        return codes, [number(value, column.kind) for value in distinct]
    ordered = _finite(column)
    last = len(ordered) - 1
    least, greatest = ordered[int(TAIL * last)], ordered[int(np.ceil((1 - TAIL) * last))]
    if least == greatest:
        least, greatest = ordered[0], ordered[-1]
    edges = _edges(least, greatest, bins, column.kind == "number" and bool((ordered == np.floor(ordered)).all()))
    codes[there] = np.clip(np.searchsorted(edges[:, 0], values[there], side="right") - 1, 0, len(edges) - 1)
    ends = [(number(start, column.kind), number(end, column.kind)) for start, end in edges]
    labels = [start if start == end else f"{start} to {end}" for start, end in ends]
    if column.ordered[0] < edges[0, 0]:
        labels[0] = f"up to {ends[0][1]}"
    if column.ordered[-1] > edges[-1, 1]:
        labels[-1] = f"from {ends[-1][0]} on"
    return codes, labels


def _edges(least: float, greatest: float, bins: int, is_whole: bool) -> np.ndarray:
    """Return the first and last number of at most so many ranges, [n, 2]; of whole numbers each holds as many."""
    if is_whole and greatest - least < WHOLE:
        width = np.ceil((greatest - least + 1) / bins)
        starts = np.arange(least, greatest + 1, width)
        return np.stack([starts, starts + width - 1], axis=1)
    shares = np.linspace(0, 1, bins + 1)
    edges = least * (1 - shares) + greatest * shares  # the difference of both ends may be more than a double holds
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _finite(column: Column) -> np.ndarray:
    """Return the finite numbers in their order."""
    ordered = column.ordered
    finite: np.ndarray = ordered[np.searchsorted(ordered, -np.inf, "right") : np.searchsorted(ordered, np.inf, "left")]
    return finite


def _texts(column: Column, train: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the bar of each row, one more than there are for other texts, -1 for missing ones, and the labels."""
    shown = most_frequent(column, train, MOST_TEXTS)
    places = np.full(len(column.labels) + 1, len(shown))
    places[shown], places[-1] = np.arange(len(shown)), -1
    labels = [shortened(text, SHOWN) for text in column.labels.take(pa.array(shown)).to_pylist()]
    return places[column.values], labels


def most_frequent(column: Column, rows: np.ndarray, most: int) -> np.ndarray:
    """Return the codes of a column of texts, those of the most of these rows first; of equally many by the text."""
    codes = column.values[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(column.labels))
    if len(counts) == 0:
        return np.arange(0)  # of no rows Arrow selects none, and fails
    table = pa.table({"rows": counts, "text": column.labels})
    order = pc.select_k_unstable(table, k=most, sort_keys=[("rows", "descending"), ("text", "ascending")])
    chosen: np.ndarray = order.to_numpy()
    return chosen


def number(value: float, kind: str = "number") -> str:
    """Write a number in four digits, or a time."""
    if kind == "time":
        time = np.datetime64(int(value), "s")
        return str(time.astype("datetime64[D]" if value % 86_400 == 0 else "datetime64[m]")).replace("T", " ")
    if kind == "flag":
        return "true" if value else "false"
    whole = np.isfinite(value) and value == int(value) and abs(value) < 1e6
    return f"{int(value):,}" if abs(value) >= 1e4 and whole else f"{value:.4g}"
