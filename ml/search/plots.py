"""A study to look at: an interactive page, and a picture of its history."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ml.search.study import Trial
from ml.tasks.labels import label
from ml.tasks.metrics import Metric
from ml.tasks.task import Kind

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from optuna import Study


def page(study: Study, metric: str) -> str:
    """Return one HTML file, complete in itself: the history, what the parameters matter, and a slice along each."""
    figures = list(_figures(study, metric))
    # plotly.js, of 4.5 MB, comes with the first one only.
    parts = [figure.to_html(full_html=False, include_plotlyjs=number == 0) for number, figure in enumerate(figures)]
    title = f"Study {study.study_name}"
    return f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{"".join(parts)}'


def _figures(study: Study, metric: str) -> Iterator[go.Figure]:
    """Yield the figures of a page; where nothing varies, only the history."""
    from optuna import visualization
    from optuna.trial import TrialState

    whole = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    drawn = sorted({name for trial in whole for name in trial.params})
    yield visualization.plot_optimization_history(study, target_name=metric)
    if len({trial.value for trial in whole}) < 2 or not drawn:  # nothing varies, so nothing matters
        return
    if all(len({trial.params.get(name) for trial in whole}) > 1 for name in drawn):
        yield visualization.plot_param_importances(study)
    yield visualization.plot_slice(study, target_name=metric)


def history(trials: Sequence[Trial], metric: str, kind: Kind) -> bytes:
    """Draw the score of each trial and the best so far, as PNG."""
    from matplotlib.figure import Figure

    whole = [(trial.number, trial.score) for trial in trials if trial.score is not None]
    better: Callable[..., float] = max if Metric.named(metric).higher_is_better else min
    best = [better(score for _, score in whole[: end + 1]) for end in range(len(whole))]
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([number for number, _ in whole], [score for _, score in whole], "o", label="trial")
    axes.step([number for number, _ in whole], best, where="post", label="best so far")
    cut = [(trial.number, trial.folds) for trial in trials if trial.state == "PRUNED" and trial.folds]
    if cut:
        means = [sum(folds) / len(folds) for _, folds in cut]
        axes.plot([number for number, _ in cut], means, "x", color="grey", label="pruned")
    axes.set(xlabel="trial", ylabel=label(metric, kind))
    axes.legend()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return png.getvalue()
