"""Pictures of a profile: the examples in time, what columns tell of the target, and what they tell of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml.profile.record import Coverage, Profile
from ml.report.plots.style import BASELINE, CANDIDATE, Draw, picture, rows_high, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 25  # columns of the picture of what they tell
COLOURS = {"train": "#b7c9de", "validation": "#8fa9c6", "test": "#d8b48c"}
NAMES = {"roc_auc": "ROC AUC", "r2": "R²"}


def pictures(profile: Profile, coordinates: str) -> dict[str, bytes]:
    """Draw the pictures of a profile as PNG, by title; each carries the coordinates' id."""
    drawn = {}
    if profile.coverage is not None:
        drawn["examples in time"] = picture(
            "examples in time", in_time(profile, profile.coverage), coordinates, 9.0, 3.4
        )
    if judged := sum(column.alone is not None for column in profile.columns):
        title = "what each column alone tells of the target"
        drawn[title] = picture(title, telling(profile), coordinates, 9.0, rows_high(min(judged, MOST)) + 0.3)
    if len(profile.heatmap) > 1:
        side = 3.2 + 0.27 * len(profile.heatmap)
        title = "what columns tell of each other"
        drawn[title] = picture(title, heatmap(profile), coordinates, min(side + 1.2, 9.0), side)
    return drawn


def in_time(profile: Profile, coverage: Coverage) -> Draw:
    """Draw the rows of each split in each span of time, and the mean target of those that may be learned from."""
    at, counts = np.arange(len(coverage.starts)), {name: np.array(rows) for name, rows in coverage.rows.items()}

    def draw(axes: Axes) -> None:
        below = np.zeros(len(at))
        for name, rows in counts.items():
            label = f"{name}: {profile.rows[name]:,} rows, {' to '.join(dict.fromkeys(coverage.bounds[name]))}"
            axes.bar(at, rows, bottom=below, color=COLOURS[name], width=0.9, label=label)
            below = below + rows
        step = max(1, round(len(at) / 8))
        axes.set_xticks(at[::step], [coverage.starts[place] for place in at[::step]])
        axes.set(ylabel=f"rows per {coverage.unit}", ylim=(0, float(below.max()) * 1.05))
        axes.grid(visible=False, axis="x")
        points = [(place, mean) for place, mean in zip(at, coverage.target, strict=True) if mean is not None]
        if points:
            right = axes.twinx()
            right.plot(*zip(*points, strict=True), "o-", color=CANDIDATE, markersize=3.5, linewidth=1.4,
                       label="mean target (train and validation)")  # fmt: skip
            right.spines["right"].set_visible(True)
            right.grid(False)
            right.set_ylabel("mean target", color=CANDIDATE)
            right.tick_params(axis="y", colors=CANDIDATE)
            if profile.task == "binary":
                right.set_ylim(0, 1.25 * max(mean for _, mean in points) or 1)
        axes.figure.legend(loc="outside lower center", ncols=2)

    return draw


def telling(profile: Profile) -> Draw:
    """Draw what each column alone tells of the target, with its interval."""
    shown = [column for column in profile.columns if column.alone is not None][:MOST]

    def draw(axes: Axes) -> None:
        axes.axvline(profile.chance, color=BASELINE, linewidth=1.2, ls="--", label=f"chance, {profile.chance:g}")
        values, low, high = (
            np.array([getattr(column.alone, end) for column in shown]) for end in ("value", "low", "high")
        )
        axes.errorbar(values, range(len(shown)), xerr=[values - low, high - values], fmt="o", color=CANDIDATE,
                      markersize=4.5, linewidth=1.3)  # fmt: skip
        axes.set_yticks(range(len(shown)), [shortened(column.name, 40) for column in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=f"{NAMES[profile.measure]} on {profile.sampled['train']:,} training rows, held out")

    return draw


def heatmap(profile: Profile) -> Draw:
    """Draw the associations of the columns that tell most of the target, neighbours being alike."""
    matrix = np.array(profile.associations)
    np.fill_diagonal(matrix, np.nan)
    names = [shortened(name, 24) for name in profile.heatmap]

    def draw(axes: Axes) -> None:
        axes.grid(False)
        colours = axes.imshow(np.ma.masked_invalid(matrix), cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_facecolor("#eef1f5")
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(labelsize=8, length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        for one, other in np.argwhere(np.abs(np.nan_to_num(matrix)) >= 0.5).tolist():
            value = matrix[one, other]
            colour = "white" if abs(value) > 0.7 else "#1d2733"
            axes.text(
                other, one, f"{value:.2f}".replace("0.", "."), ha="center", va="center", fontsize=6.5, color=colour
            )
        axes.figure.colorbar(colours, ax=axes, shrink=0.6, aspect=25)

    return draw
