"""Draws the pictures of docs/features.md: python docs/timelines.py."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
INK, SEEN, HIDDEN, WINDOW = "#1d2733", "#0a7a3d", "#b3261e", "#cfe3f7"
CUTOFF = 12.0


def cutoff() -> None:
    """Draw three flights around a cutoff: what of them is known then."""
    _, axes = _axes("Asked at 12:00: what is known of three earlier flights?", 3.4)
    flights = [
        ("left 9:10, arrived 11:20", 9.17, 11.33),
        ("left 11:05, arrives 13:30", 11.08, 13.5),
        ("due at 11:30, has not left", None, None),
    ]
    for row, (name, left, arrived) in enumerate(flights):
        axes.text(6.9, -row, name, ha="right", va="center", color=INK)
        axes.plot([7.2, 14.6], [-row, -row], color="#dde3ea", zorder=0)
        if left is None:
            axes.text(9.6, -row + 0.14, "nothing is known", ha="center", color=HIDDEN, fontsize=9)
            continue
        for at, what in ((left, "departure delay"), (arrived, "arrival delay")):
            color = SEEN if at < CUTOFF else HIDDEN
            axes.scatter([at], [-row], s=70, color=color, zorder=3)
            axes.text(at, -row + 0.14, what, ha="center", color=color, fontsize=9)
    _save("cutoff", axes, 2)


def windows() -> None:
    """Draw two windows that end at a cutoff, and the events in them."""
    _, axes = _axes("The same cutoff, two windows: mean departure delay from one airport", 2.9)
    events = {7.4: 5, 8.9: 20, 10.2: 35, 10.9: 60, 11.6: 45, 12.4: 90}
    for row, (hours, label) in enumerate({2: "last 2 hours", 4: "last 4 hours"}.items()):
        start = CUTOFF - hours
        axes.axvspan(start, CUTOFF, ymin=0.52 - row * 0.44, ymax=0.88 - row * 0.44, color=WINDOW, zorder=0)
        inside = [delay for at, delay in events.items() if start <= at < CUTOFF]
        axes.text(6.9, -row, f"{label}: {sum(inside) / len(inside):.0f} min", ha="right", va="center", color=INK)
        for at, delay in events.items():
            color = SEEN if start <= at < CUTOFF else HIDDEN if at >= CUTOFF else "#9aa7b4"
            axes.scatter([at], [-row], s=55, color=color, zorder=3)
            axes.text(at, -row + 0.16, f"{delay}", ha="center", color=color, fontsize=9)
    _save("windows", axes, 1)


def _axes(title: str, height: float) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(9, height), layout="constrained")
    axes.set_title(title, loc="left", color=INK, fontsize=12)
    axes.axvline(CUTOFF, color=INK, linewidth=1.5)
    return figure, axes


def _save(name: str, axes: Any, rows: int) -> None:
    axes.set(xlim=(4.2, 14.8), ylim=(-rows - 0.6, 0.6), yticks=[], xticks=range(7, 15))
    axes.set_xticklabels([f"{hour}:00" for hour in range(7, 15)])
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.text(CUTOFF + 0.08, -rows - 0.52, "cutoff", color=INK)
    axes.figure.savefig(HERE / f"{name}.png", dpi=120, metadata={"Software": None})
    plt.close(axes.figure)


if __name__ == "__main__":
    cutoff()
    windows()
