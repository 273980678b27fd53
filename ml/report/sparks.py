"""Small pictures within a row of a table: the geometry of a distribution, and of a value with its interval."""

from dataclasses import dataclass

from ml.base.text import percent
from ml.intervals.bootstrap import Estimate
from ml.profile.record import Bar, ColumnProfile, Profile

WIDTH, HEIGHT = 176, 46
ROOM = 6  # above and below the mean target
ENOUGH = 20  # training rows of a bar whose mean target is shown


@dataclass(frozen=True)
class Box:
    """A bar: where it stands, how high it is in training and in test, and its words; that of `missing` is cut."""

    x: float
    width: float
    train: float
    test: float
    text: str
    missing: bool = False


@dataclass(frozen=True)
class Spark:
    """A distribution: its bars, and the mean target as points; `level` is that of all training rows.

    A `line` leads through the points of numbers.
    """

    boxes: tuple[Box, ...]
    points: tuple[tuple[float, float], ...]
    line: tuple[tuple[float, float], ...]
    level: float | None


@dataclass(frozen=True)
class Whisker:
    """A value with its interval and that of chance, as shares of a width."""

    low: float
    value: float
    high: float
    chance: float


@dataclass(frozen=True)
class Scale:
    """The range of mean targets that all distributions of a page share."""

    least: float
    greatest: float
    level: float

    def height(self, target: float) -> float:
        """Return how far down a mean target lies; one out of the range lies at its end."""
        width = self.greatest - self.least
        share = min(max((target - self.least) / width, 0.0), 1.0) if width > 0 else 0.5
        return round(HEIGHT - ROOM - share * (HEIGHT - 2 * ROOM), 1)


def scale_of(profile: Profile) -> Scale | None:
    """Return the range of the mean targets of all bars with ENOUGH rows; None where there are none."""
    means = [
        bar.target
        for column in profile.columns
        for bar in column.bars
        if bar.target is not None and _is_enough(bar, profile.rows["train"])
    ]
    if not means:
        return None
    level = profile.target["train"]["share positive" if profile.task == "binary" else "mean"]
    return Scale(min(means), max(means), level)


def spark(column: ColumnProfile, rows: int, scale: Scale | None) -> Spark:
    """Draw the distribution of a column, of so many training rows."""
    bars = column.bars
    present = [bar for bar in bars if bar.holds != "missing"]
    most = max((max(bar.shares["train"], bar.shares["test"]) for bar in present), default=0.0) or 1.0
    step = WIDTH / max(len(bars), 1)
    width = min(step * 0.86, 26.0)
    boxes = tuple(
        Box(
            x=round((place + 0.5) * step - width / 2, 1),
            width=round(width, 1),
            train=round(min(bar.shares["train"] / most, 1.0) * (HEIGHT - 4), 1),
            test=round(min(bar.shares["test"] / most, 1.0) * (HEIGHT - 4), 1),
            text=_words(bar),
            missing=bar.holds == "missing",
        )
        for place, bar in enumerate(bars)
    )
    points = {
        place: (round((place + 0.5) * step, 1), scale.height(bar.target))
        for place, bar in enumerate(bars)
        if scale and bar.target is not None and _is_enough(bar, rows)
    }
    line = [] if column.kind == "text" else [point for place, point in points.items() if not boxes[place].missing]
    return Spark(boxes, tuple(points.values()), tuple(line), scale.height(scale.level) if scale else None)


def _is_enough(bar: Bar, rows: int) -> bool:
    return bar.shares["train"] * rows >= ENOUGH


def _words(bar: Bar) -> str:
    shares = ", ".join(f"{percent(round(share, 3))} of {split}" for split, share in bar.shares.items())
    return f"{bar.label}: {shares}" + ("" if bar.target is None else f"; mean target {bar.target:.4g}")


def whisker(estimate: Estimate, chance: float, greatest: float) -> Whisker:
    """Draw a value between somewhat less than chance and the greatest of all values."""
    least = chance - 0.15 * max(greatest - chance, 0.02)
    width = max(greatest - least, 0.02)

    def share(value: float) -> float:
        return round(min(max((value - least) / width, 0.0), 1.0), 4)

    return Whisker(share(estimate.low), share(estimate.value), share(estimate.high), share(chance))
