"""Pictures that list: slices, importances, SHAP values, and the scores of seeds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml.evaluation.explanations import Explained, Importance, import_shap
from ml.evaluation.slices import Slice
from ml.intervals.bootstrap import Estimate
from ml.report.plots.style import BAD, BASELINE, CANDIDATE, CHAMPION, Draw, shortened
from ml.tasks.encoding import Encoder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_FEATURES = 15
MOST_SLICES = 30
NEW = "#7fa8d6"  # the candidate on the rows alone that a champion has not learned from


def shown_slices(slices: Sequence[Slice]) -> list[Slice]:
    """Return the slices that a picture has room for, of those whose score is known."""
    return [part for part in slices if not np.isnan(part.score.value)][:MOST_SLICES]


def slice_scores(slices: Sequence[Slice], metric: str, overall: Estimate, *, restricted: bool) -> Draw:
    """Draw the metric on each slice with its interval, beside that on all rows; what was found stands out.

    Where the champion has learned from some rows, `restricted`, both models are shown on the others too.
    """
    shown = shown_slices(slices)

    def draw(axes: Axes) -> None:
        axes.axvline(overall.value, color=BASELINE, linewidth=1.2, ls="--", label=f"all rows, {overall.value:.4g}")
        for stands_out, colour, label in ((False, CANDIDATE, "candidate"), (True, BAD, "candidate, slice found")):
            scores = {place: part.score for place, part in enumerate(shown) if part.found == stands_out}
            _intervals(axes, scores, 0, colour, label)
        _comparisons(axes, shown, restricted)
        names = [f"{shortened(part.name)} ({part.rows:,})" for part in shown]
        axes.set_yticks(range(len(shown)), names)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=f"{metric} with its interval; rows in brackets")
        axes.figure.legend(loc="outside lower center", ncols=4)

    return draw


def _comparisons(axes: Axes, shown: Sequence[Slice], restricted: bool) -> None:
    comparisons = {
        place: compared
        for place, part in enumerate(shown)
        if (compared := part.against_champion) and not np.isnan(compared.difference.value)
    }
    champions = {place: compared.champion for place, compared in comparisons.items()}
    if not restricted:
        return _intervals(axes, champions, 0.22, CHAMPION, "champion")
    candidates = {place: compared.candidate for place, compared in comparisons.items()}
    _intervals(axes, candidates, 0.18, NEW, "candidate, rows new to the champion")
    return _intervals(axes, champions, 0.36, CHAMPION, "champion, the same rows")


def _intervals(axes: Axes, scores: Mapping[int, Estimate], below: float, colour: str, label: str) -> None:
    """Draw the scores of the slices at some places, a little below these."""
    if not scores:
        return
    values = np.array([score.value for score in scores.values()])
    ends = np.array([[score.low for score in scores.values()], [score.high for score in scores.values()]])
    at = np.array(list(scores)) + below
    axes.errorbar(
        values, at, xerr=np.abs(ends - values), fmt="o", color=colour, markersize=4.5, linewidth=1.3, label=label
    )


def permutation(importances: Sequence[Importance], metric: str) -> Draw:
    """Draw the features without whose values the metric gets worst."""
    shown = importances[:MOST_FEATURES]

    def draw(axes: Axes) -> None:
        drops, deviations = [bar.drop for bar in shown], [bar.deviation for bar in shown]
        axes.barh(range(len(shown)), drops, xerr=deviations, color=CANDIDATE, height=0.65, ecolor="#5b6774")
        axes.set_yticks(range(len(shown)), [shortened(bar.feature) for bar in shown])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=f"how much worse {metric} gets when the feature is shuffled")

    return draw


def shap_of_one(explained: Explained, encoder: Encoder, unit: str) -> Draw:
    """Draw how far the features move each row's answer, with the values of those that are numbers as colour."""
    shap = import_shap()
    X = explained.X.copy()
    X[:, encoder.n_numeric :] = np.nan  # the code of a category is neither high nor low
    names = [shortened(name) for name in explained.features]
    explanation = shap.Explanation(values=explained.values, data=X, feature_names=names)

    def draw(axes: Axes) -> None:
        state = np.random.get_state()
        np.random.seed(0)
        try:
            with warnings.catch_warnings():
                # shap looks for the colours' ends in every column, also where none has a colour.
                warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)
                shap.plots.beeswarm(
                    explanation,
                    max_display=MOST_FEATURES,
                    ax=axes,
                    show=False,
                    plot_size=None,
                    s=9,
                    group_remaining_features=False,
                )
        finally:
            np.random.set_state(state)
        axes.tick_params(labelsize=9)
        axes.set_xlabel(f"how far the answer is moved ({unit}); grey: categories and missing values", fontsize=9)

    return draw


def shap_of_classes(
    explained: Explained, classes: Sequence[str], shown_classes: Sequence[int], noun: str = "class"
) -> Draw:
    """Draw the mean size of SHAP values of all classes together, split into the most frequent ones and the rest."""
    sizes = np.abs(explained.values).mean(axis=0)
    order = np.argsort(-sizes.sum(axis=1), kind="stable")[:MOST_FEATURES]
    rest = [code for code in range(len(classes)) if code not in shown_classes]

    def draw(axes: Axes) -> None:
        import matplotlib

        left = np.zeros(len(order))
        parts = [(classes[code], sizes[order, code]) for code in shown_classes]
        parts += [("others", sizes[order][:, rest].sum(axis=1))] if rest else []
        for (name, widths), colour in zip(parts, matplotlib.colormaps["tab20"](range(len(parts))), strict=True):
            axes.barh(range(len(order)), widths, left=left, color=colour, height=0.65, label=shortened(name, 14))
            left = left + widths
        axes.set_yticks(range(len(order)), [shortened(explained.features[at]) for at in order])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(xlabel=f"mean size of the SHAP value, added up over {'classes' if noun == 'class' else 'targets'}")
        axes.legend(loc="lower right", ncols=2, fontsize=8, title=noun, title_fontsize=8)

    return draw


def seeds(scores: Sequence[float], metric: str) -> Draw:
    """Draw the validation score of each refit; the first is the model's own."""

    def draw(axes: Axes) -> None:
        axes.plot(range(len(scores)), scores, "o", color=BASELINE, label="refitted with another seed")
        axes.plot([0], scores[:1], "o", color=CANDIDATE, label="the candidate", markersize=8)
        axes.axhline(float(np.mean(scores)), ls="--", color=BASELINE, linewidth=1.2, label="mean")
        axes.set_xticks(range(len(scores)))
        axes.set(xlabel="refit", ylabel=f"validation {metric}")
        axes.legend(loc="best")

    return draw
