"""The pictures of an evaluation, by name: the same ones on the page, in Dagster and in MLflow."""

from __future__ import annotations

from collections.abc import Iterator

from ml.evaluation.evaluate import EvaluationInputs
from ml.evaluation.explanations import Explained
from ml.evaluation.record import Evaluation
from ml.report.plots import bars as bars
from ml.report.plots import curves as curves
from ml.report.plots import numbers as numbers
from ml.report.plots.style import WIDE, Draw, picture, rows_high

Narrow = Iterator[tuple[str, Draw]]


def pictures(found: Evaluation, given: EvaluationInputs, explained: Explained, coordinates: str) -> dict[str, bytes]:
    """Pictures as PNG, by title, in the order of the page; each carries the coordinates' id."""
    kinds = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
    narrow, wide = kinds[given.task.kind](found, given), _wide(found, given, explained)
    return {
        **{title: picture(title, draw, coordinates) for title, draw in narrow},
        **{title: picture(title, draw, coordinates, WIDE, height) for title, draw, height in wide},
    }


def _answers(given: EvaluationInputs) -> curves.Answers:
    return {"candidate": given.candidate} | ({} if given.champion is None else {"champion": given.champion})


def _binary(found: Evaluation, given: EvaluationInputs) -> Narrow:
    y, answers, threshold = given.y, _answers(given), given.reference.threshold
    yield "probabilities", curves.probabilities(y, given.candidate, threshold)
    if found.decisions:
        yield "confusion matrix", curves.confusion(found.decisions)
    yield "ROC curve", curves.roc(y, answers, threshold)
    yield "precision and recall", curves.precision_recall(y, answers, threshold)
    yield from _calibration(found, likeliest=False)


def _multiclass(found: Evaluation, given: EvaluationInputs) -> Narrow:
    if found.decisions:
        yield "confusion matrix", curves.confusion(found.decisions)
    yield "ROC curve", curves.one_against_rest(given.y, given.candidate, given.task)
    yield "precision and recall", curves.precision_recall_of_classes(given.y, given.candidate, given.task)
    yield from _calibration(found, likeliest=True)


def _regression(found: Evaluation, given: EvaluationInputs) -> Narrow:
    yield "predicted and actual", numbers.predicted_and_actual(given.y, given.candidate, found.coverage)
    yield "residuals", numbers.residuals(given.y, given.candidate, found.coverage)
    yield "residual distribution", numbers.residual_distribution(given.y, _answers(given))


def _calibration(found: Evaluation, *, likeliest: bool) -> Narrow:
    if found.calibration:
        yield "calibration", curves.reliability(found.calibration, found.champion_calibration, likeliest)


def _wide(found: Evaluation, given: EvaluationInputs, explained: Explained) -> Iterator[tuple[str, Draw, float]]:
    """The pictures that every task has, of long names, with their heights."""
    metric = given.spec.metric
    if shown := bars.shown_slices(found.slices):
        overall, restricted = found.intervals[metric], found.seen_by_champion > 0
        draw = bars.slice_scores(found.slices, metric, overall, restricted=restricted)
        yield "slices", draw, rows_high(len(shown)) + 0.4
    height = rows_high(min(len(found.importances), bars.MOST_FEATURES))
    yield "permutation importance", bars.permutation(found.importances, metric), height
    if given.task.kind == "multiclass":
        most = curves.most_frequent(given.y, given.task)
        yield "SHAP values", bars.shap_of_classes(explained, given.task.classes, sorted(most)), height
    else:
        unit = "in probability" if given.task.kind == "binary" else "in the target's unit"
        yield "SHAP values", bars.shap_of_one(explained, given.encoder, unit), height
    if len(given.reference.refit_scores) > 1:
        yield "refit seeds", bars.seeds(given.reference.refit_scores, metric), 3.2
