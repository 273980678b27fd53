"""The style of the report's pictures: their colours, their size, and their bytes, which carry the coordinates."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ml.base import text
from ml.provenance.stamp import KEY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CANDIDATE, CHAMPION, BASELINE, BAD = "#1f5fa8", "#d9791e", "#8a94a0", "#b3261e"  # apart for the colour-blind too
WIDTH, WIDE, HEIGHT = 5.6, 9.0, 4.5  # inches
STYLE: Any = {
    "font.size": 9.5,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e8ee",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
}
Draw = Callable[["Axes"], None]


@contextmanager
def styled() -> Iterator[None]:
    """Draw without a display, in one style."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context(STYLE):
        yield


def picture(title: str, draw: Draw, coordinates: str, width: float = WIDTH, height: float = HEIGHT) -> bytes:
    """Return a picture as PNG, drawn by a function of its axes."""
    import matplotlib.pyplot as plt

    with styled():
        figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
        draw(axes)
        axes.set_title(title)
        content = _png(figure, coordinates)
        plt.close(figure)
    return content


def _png(figure: Figure, coordinates: str) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=144, metadata={"Software": None, KEY: coordinates})
    return content.getvalue()


def rows_high(rows: int) -> float:
    """Return the height of a picture with so many rows of bars, in inches."""
    return max(2.4, 1.1 + 0.3 * rows)


def shortened(name: str, most: int = 60) -> str:
    """Return a name that fits beside a picture: its middle is left out if it is long."""
    return text.shortened(name, most, omit="middle")
