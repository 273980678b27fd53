"""Pictures of probabilities: the curves, the confusion matrix, and the calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ml.intervals.calibration import Calibration
from ml.intervals.thresholds import MOST_CLASSES, Decisions, Threshold
from ml.report.plots.style import BAD, BASELINE, CANDIDATE, CHAMPION, Draw, shortened
from ml.tasks.metrics import score
from ml.tasks.task import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"candidate": CANDIDATE, "champion": CHAMPION}
Answers = Mapping[str, np.ndarray]  # of "candidate", and of "champion" if there is one


def roc(y: np.ndarray, answers: Answers, threshold: Threshold | None) -> Draw:
    """Draw the ROC curves of all models, and where the threshold is on the candidate's."""
    from sklearn.metrics import roc_curve

    def draw(axes: Axes) -> None:
        for name, p in answers.items():
            passed, reached, _ = roc_curve(y, p)
            label = f"{name}, area {score('roc_auc', y, p):.3f}"
            axes.plot(passed, reached, color=COLOURS[name], label=label, zorder=3 if name == "candidate" else 2)
        axes.plot([0, 1], [0, 1], "--", color=BASELINE, label="baseline, area 0.5", linewidth=1.2)
        if threshold is not None:
            decided = answers["candidate"] >= threshold.value
            _mark(axes, decided[y == 0].mean(), decided[y == 1].mean(), threshold)
        axes.set(xlabel="share of the negative that is called positive", ylabel="share of the positive that is found")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axes.legend(loc="lower right")

    return draw


def precision_recall(y: np.ndarray, answers: Answers, threshold: Threshold | None) -> Draw:
    """Draw the precision-recall curves of all models, and where the threshold is on the candidate's."""
    from sklearn.metrics import precision_recall_curve

    def draw(axes: Axes) -> None:
        for name, p in answers.items():
            precision, recall, _ = precision_recall_curve(y, p)
            label = f"{name}, average precision {score('average_precision', y, p):.3f}"
            axes.step(recall[:-1], precision[:-1], where="post", color=COLOURS[name], label=label)
        axes.axhline(y.mean(), ls="--", color=BASELINE, label=f"baseline, {y.mean():.3f}", linewidth=1.2)
        if threshold is not None and (decided := answers["candidate"] >= threshold.value).any():
            _mark(axes, decided[y == 1].mean(), y[decided].mean(), threshold)
        axes.set(xlabel="recall: share of the positive that is found", ylabel="precision: share of yes that is right")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axes.legend(loc="best")

    return draw


def _mark(axes: Axes, x: float, y: float, threshold: Threshold) -> None:
    label = f"threshold {threshold.value:.3f}"
    axes.plot([x], [y], "o", color=CANDIDATE, markeredgecolor="white", markersize=9, label=label, zorder=4)


def probabilities(y: np.ndarray, p: np.ndarray, threshold: Threshold | None) -> Draw:
    """Draw how the probabilities of both classes are spread, each class by itself, and where the threshold cuts."""

    def draw(axes: Axes) -> None:
        bins = np.linspace(0, 1, 41).tolist()
        for code, name, colour in ((0, "truth: no", BASELINE), (1, "truth: yes", CANDIDATE)):
            of_class = p[y == code]
            weights, label = np.full(len(of_class), 1 / max(len(of_class), 1)), f"{name} ({len(of_class):,} rows)"
            axes.hist(of_class, bins, weights=weights, color=colour, alpha=0.55, label=label)
        if threshold is not None:
            axes.axvline(threshold.value, color=BAD, linewidth=1.2, label=f"threshold {threshold.value:.3f}")
        axes.set(xlabel="probability that the candidate answers", ylabel="share of the rows of the class", xlim=(0, 1))
        axes.legend()

    return draw


def confusion(decisions: Decisions) -> Draw:
    """Draw the answers to the rows of each class: counts, and the shares of the class as colour."""
    from sklearn.metrics import ConfusionMatrixDisplay

    counts = np.array(decisions.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few, names = len(counts) <= MOST_CLASSES // 2, [shortened(name, 14) for name in decisions.classes]

    def draw(axes: Axes) -> None:
        axes.grid(False)
        shown = ConfusionMatrixDisplay(shares, display_labels=names)
        turned = "horizontal" if few or max(map(len, names)) < 4 else "vertical"
        shown.plot(ax=axes, cmap="Blues", colorbar=False, include_values=False, xticks_rotation=turned,
                   im_kw={"vmin": 0, "vmax": 1})  # fmt: skip
        for truth, answer in np.ndindex(*counts.shape):
            share, count = shares[truth, answer], counts[truth, answer]
            text = f"{count:,}\n{share:.1%}" if few else f"{count:,}" if count else ""
            colour = "white" if share > 0.5 else "#1d2733"
            axes.text(answer, truth, text, ha="center", va="center", color=colour, fontsize=11 if few else 8)
        axes.set(xlabel="answer", ylabel="truth")

    return draw


def reliability(candidate: Calibration, champion: Calibration | None, likeliest: bool) -> Draw:
    """Draw observed shares against predicted ones, with the band in which true probabilities would lie."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color=BASELINE, linewidth=1.2, label="probabilities that are true")
        if len(candidate.predicted) > 1:
            axes.fill_between(
                candidate.predicted, candidate.low, candidate.high, color=BASELINE, alpha=0.25, linewidth=0,
                label="where true ones lie 95 of 100 times",
            )  # fmt: skip
        models = {"candidate": candidate} | ({"champion": champion} if champion else {})
        for name, calibration in models.items():
            label = f"{name}, expected error {calibration.error:.4f}"
            axes.plot(calibration.predicted, calibration.observed, "o-", color=COLOURS[name], label=label, markersize=5)
        whose = "of the likeliest class" if likeliest else "of yes"
        axes.set(xlabel=f"mean probability {whose} in the bin", ylabel="share of the bin's rows in which it happened")
        lowest = min([*candidate.predicted, *candidate.observed, *candidate.low])
        highest = max([*candidate.predicted, *candidate.observed, *candidate.high])
        room = 0.05 * (highest - lowest) + 0.01
        axes.set(xlim=(lowest - room, highest + room), ylim=(lowest - room, highest + room))
        axes.legend(loc="upper left")

    return draw


def one_against_rest(y: np.ndarray, p: np.ndarray, task: Task) -> Draw:
    """Draw the ROC curves of the most frequent classes, each against the rest; the legend names the worst first."""
    from sklearn.metrics import roc_curve

    areas = {code: score("roc_auc", (y == code).astype(int), p[:, code]) for code in most_frequent(y, task)}
    order = sorted(areas, key=lambda code: (areas[code], code))

    def draw(axes: Axes) -> None:
        import matplotlib

        colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(order)))
        for code, colour in zip(order, colours, strict=True):
            passed, reached, _ = roc_curve(y == code, p[:, code])
            label = f"{shortened(task.classes[code], 18)}: {areas[code]:.4f}"
            axes.plot(passed, reached, color=colour, linewidth=1.3, label=label)
        axes.plot([0, 1], [0, 1], "--", color=BASELINE, linewidth=1.2)
        axes.set(xlabel="share of the rest that is above", ylabel="share of the class that is above")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axes.legend(loc="lower right", title="class: area, the worst first", fontsize=8, title_fontsize=8)

    return draw


def precision_recall_of_classes(y: np.ndarray, p: np.ndarray, task: Task) -> Draw:
    """Draw the precision-recall curves of the most frequent classes; the legend names the worst first."""
    from sklearn.metrics import precision_recall_curve

    precisions = {
        code: score("average_precision", (y == code).astype(int), p[:, code]) for code in most_frequent(y, task)
    }
    order = sorted(precisions, key=lambda code: (precisions[code], code))

    def draw(axes: Axes) -> None:
        import matplotlib

        colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(order)))
        for code, colour in zip(order, colours, strict=True):
            precision, recall, _ = precision_recall_curve(y == code, p[:, code])
            label = f"{shortened(task.classes[code], 18)}: {precisions[code]:.4f}"
            axes.step(recall[:-1], precision[:-1], where="post", color=colour, linewidth=1.3, label=label)
        axes.set(xlabel="recall: share of the class that is found", ylabel="precision: share of it that is right")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axes.legend(loc="lower left", title="class: average precision, the worst first", fontsize=8, title_fontsize=8)

    return draw


def most_frequent(y: np.ndarray, task: Task) -> list[int]:
    """Return the codes of the classes with the most rows, which are neither none nor all, the first ones first."""
    counts = np.bincount(y, minlength=len(task.classes))
    order = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    return [int(code) for code in order if 0 < counts[code] < len(y)]
