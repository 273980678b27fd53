"""The larger pictures of the profile's page, which the page draws itself: examples in time, and associations."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml.profile.record import Coverage, Profile
from ml.report.look import figure

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 900, 230, 52, 56, 24, 10
LABELS = 7  # dates below the picture
UP, DOWN = (179, 74, 38), (31, 95, 168)  # red and blue of what rises and falls with another


@dataclass(frozen=True)
class Span:
    """The rows of one split in a span of time, as a part of its bar."""

    split: str
    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class InTime:
    """Bars of the examples in time, and the mean target as points; `ticks` are labels at their heights."""

    spans: tuple[Span, ...]
    points: tuple[tuple[float, float], ...]
    dates: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, str, str], ...]


def in_time(coverage: Coverage) -> InTime:
    """Draw the examples in time: the height of a bar is its rows, that of a point the mean target."""
    count, high = len(coverage.starts), HEIGHT - TOP - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / count
    most = max(sum(rows) for rows in zip(*coverage.rows.values(), strict=True)) or 1
    spans, below = list[Span](), [0] * count
    for split, rows in coverage.rows.items():
        for place, number in enumerate(rows):
            if number:
                height = number / most * high
                top = HEIGHT - BOTTOM - below[place] / most * high - height
                text = f"{coverage.starts[place]}: {number:,} rows of {split}"
                spans.append(Span(split, *_rounded(LEFT + (place + 0.06) * step, top, 0.88 * step, height), text))
                below[place] += number
    means = [mean for mean in coverage.target if mean is not None]
    least, greatest = _ends(means)
    points = [
        (round(LEFT + (place + 0.5) * step, 1), _height(mean, least, greatest))
        for place, mean in enumerate(coverage.target)
        if mean is not None
    ]
    every = max(1, -(-count // LABELS))
    dates = [(round(LEFT + (place + 0.5) * step, 1), coverage.starts[place]) for place in range(0, count, every)]
    ticks = [
        (
            round(HEIGHT - BOTTOM - share * high, 1),
            f"{round(share * most):,}",
            figure(least + share * (greatest - least)) if means else "",
        )
        for share in (0.0, 0.5, 1.0)
    ]
    return InTime(tuple(spans), tuple(points), tuple(dates), tuple(ticks))


def _rounded(*values: float) -> tuple[float, float, float, float]:
    x, y, width, height = (round(value, 1) for value in values)
    return x, y, width, height


def _ends(means: Sequence[float]) -> tuple[float, float]:
    """Return the range of a picture of some means: from 0 where they are positive and not all far from it."""
    if not means:
        return 0.0, 1.0
    least, greatest = min(means), max(means)
    if 0 <= least <= 0.7 * greatest:
        least = 0.0
    room = 0.1 * (greatest - least) or abs(greatest) or 1.0
    return (0.0 if least == 0 else least - room), greatest + room


def _height(mean: float, least: float, greatest: float) -> float:
    share = (mean - least) / (greatest - least)
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


@dataclass(frozen=True)
class Cell:
    """The association of two columns: the colour and the words of its square."""

    colour: str
    dark: bool
    value: str
    text: str


def cells(profile: Profile) -> list[list[Cell]]:
    """Return the squares of the associations, in the order of the profile's heatmap."""
    return [
        [_cell(one, other, value) for other, value in zip(profile.heatmap, row, strict=True)]
        for one, row in zip(profile.heatmap, profile.associations, strict=True)
    ]


def _cell(one: str, other: str, value: float) -> Cell:
    if one == other or value != value:
        return Cell("#f0f3f6", False, "", "" if one == other else f"{one}, {other}: none")
    share = abs(value)
    parts = [round(255 - share * (255 - part)) for part in (UP if value >= 0 else DOWN)]
    shown = f"{share:.2f}".removeprefix("0") if share >= 0.5 else ""
    return Cell(f"#{bytes(parts).hex()}", share > 0.6, f"-{shown}" if shown and value < 0 else shown,
                f"{one}, {other}: {value:.3f}")  # fmt: skip
