"""Pictures of predicted numbers: against the true ones, and how far off they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml.intervals.conformal import Coverage
from ml.report.plots.curves import COLOURS, Answers
from ml.report.plots.style import BASELINE, CANDIDATE, Draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 4000


def predicted_and_actual(y: np.ndarray, p: np.ndarray, coverage: Coverage | None) -> Draw:
    """Draw each row's predicted and true number, with the interval around the predicted one."""

    def draw(axes: Axes) -> None:
        shown = _sample(len(y))
        ends = np.array([min(y.min(), p.min()), max(y.max(), p.max())])
        if coverage is not None:
            width, label = coverage.half_width, f"interval that holds {coverage.covered.value:.1%} of the rows"
            axes.fill_between(ends, ends - width, ends + width, color=BASELINE, alpha=0.2, linewidth=0, label=label)
        axes.plot(ends, ends, "--", color=BASELINE, linewidth=1.2, label="a perfect answer")
        axes.scatter(p[shown], y[shown], s=12, alpha=0.55, color=CANDIDATE, linewidth=0, label=_rows(shown, y))
        axes.set(xlabel="predicted", ylabel="actual")
        axes.legend(loc="upper left")

    return draw


def residuals(y: np.ndarray, p: np.ndarray, coverage: Coverage | None) -> Draw:
    """Draw how far each row's true number is from the predicted one."""

    def draw(axes: Axes) -> None:
        shown = _sample(len(y))
        axes.axhline(0, ls="--", color=BASELINE, linewidth=1.2)
        if coverage is not None:
            width = coverage.half_width
            axes.axhspan(-width, width, color=BASELINE, alpha=0.2, linewidth=0, label=f"interval, ± {width:.4g}")
        axes.scatter(p[shown], (y - p)[shown], s=12, alpha=0.55, color=CANDIDATE, linewidth=0, label=_rows(shown, y))
        axes.set(xlabel="predicted", ylabel="actual less predicted")
        axes.legend(loc="best")

    return draw


def residual_distribution(y: np.ndarray, answers: Answers) -> Draw:
    """Draw how the residuals of all models are spread."""

    def draw(axes: Axes) -> None:
        low, high = np.quantile(np.concatenate([y - p for p in answers.values()]), [0.002, 0.998]).tolist()
        bins = np.linspace(low, high, int(np.clip(2 * len(y) ** 0.5, 8, 40)) + 1).tolist()
        for name, p in answers.items():
            residual = y - p
            label = f"{name}: mean {residual.mean():+.4g}, standard deviation {residual.std():.4g}"
            axes.hist(np.clip(residual, low, high), bins, color=COLOURS[name], alpha=0.55, label=label)
        axes.axvline(0, ls="--", color=BASELINE, linewidth=1.2)
        axes.set(xlabel="actual less predicted", ylabel="test rows")
        axes.legend(loc="upper left")
        axes.set_ylim(top=axes.get_ylim()[1] * 1.2)

    return draw


def _sample(rows: int) -> np.ndarray:
    """Draw a sample of as many rows as can be told apart, and return their positions, ascending."""
    return np.sort(np.random.default_rng(0).permutation(rows)[:MOST_POINTS])


def _rows(shown: np.ndarray, y: np.ndarray) -> str:
    return f"{len(shown):,} test rows" if len(shown) == len(y) else f"{len(shown):,} of {len(y):,} test rows"
