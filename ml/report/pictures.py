"""The pictures of an evaluation, by name: the same ones on the page, in Dagster and in MLflow."""

from __future__ import annotations

from collections.abc import Iterator

from ml.evaluation.evaluate import EvaluationInputs
from ml.evaluation.explanations import Explained
from ml.evaluation.record import Evaluation
from ml.report.plots import bars, curves, numbers
from ml.report.plots.style import WIDE, Draw, picture, rows_high
from ml.tasks.targets import of_target

MOST_TARGETS = 12  # that are told apart in one picture
Narrow = Iterator[tuple[str, Draw]]


def pictures(
    evaluation: Evaluation, inputs: EvaluationInputs, explained: Explained, coordinates: str
) -> dict[str, bytes]:
    """Draw pictures as PNG, by title, in the order of the page; each carries the coordinates' id.

    None can be drawn of answers that are no finite numbers.
    """
    if evaluation.not_finite:
        return {}
    drawn = _drawn(evaluation, inputs, explained, coordinates)
    for name, alone in zip(inputs.task.targets, explained.of_targets, strict=True):
        of_one = _drawn(evaluation.targets[name], inputs.of(name), alone, coordinates, name)
        drawn |= {of_target(title, name): png for title, png in of_one.items()}
    return drawn


def _drawn(
    evaluation: Evaluation, inputs: EvaluationInputs, explained: Explained, coordinates: str, target: str = ""
) -> dict[str, bytes]:
    kinds = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
    narrow = iter(()) if inputs.task.targets else kinds[inputs.task.kind](evaluation, inputs)
    wide = _wide(evaluation, inputs, explained)
    return {
        **{title: picture(of_target(title, target), draw, coordinates) for title, draw in narrow},
        **{title: picture(of_target(title, target), draw, coordinates, WIDE, height) for title, draw, height in wide},
    }


def _answers(inputs: EvaluationInputs) -> curves.Answers:
    return {"candidate": inputs.candidate} | ({} if inputs.champion is None else {"champion": inputs.champion})


def _binary(evaluation: Evaluation, inputs: EvaluationInputs) -> Narrow:
    y, answers, threshold = inputs.y, _answers(inputs), inputs.reference.threshold
    yield "probabilities", curves.probabilities(y, inputs.candidate, threshold)
    if evaluation.decisions:
        yield "confusion matrix", curves.confusion(evaluation.decisions)
    yield "ROC curve", curves.roc(y, answers, threshold)
    yield "precision and recall", curves.precision_recall(y, answers, threshold)
    yield from _calibration(evaluation, likeliest=False)


def _multiclass(evaluation: Evaluation, inputs: EvaluationInputs) -> Narrow:
    if evaluation.decisions:
        yield "confusion matrix", curves.confusion(evaluation.decisions)
    yield "ROC curve", curves.one_against_rest(inputs.y, inputs.candidate, inputs.task)
    yield "precision and recall", curves.precision_recall_of_classes(inputs.y, inputs.candidate, inputs.task)
    yield from _calibration(evaluation, likeliest=True)


def _regression(evaluation: Evaluation, inputs: EvaluationInputs) -> Narrow:
    yield "predicted and actual", numbers.predicted_and_actual(inputs.y, inputs.candidate, evaluation.coverage)
    yield "residuals", numbers.residuals(inputs.y, inputs.candidate, evaluation.coverage)
    yield "residual distribution", numbers.residual_distribution(inputs.y, _answers(inputs))


def _calibration(evaluation: Evaluation, *, likeliest: bool) -> Narrow:
    if evaluation.calibration:
        yield "calibration", curves.reliability(evaluation.calibration, evaluation.champion_calibration, likeliest)


def _wide(evaluation: Evaluation, inputs: EvaluationInputs, explained: Explained) -> Iterator[tuple[str, Draw, float]]:
    """Yield the pictures that every task has, of long names, with their heights."""
    metric = evaluation.label(inputs.spec.metric)
    if shown := bars.shown_slices(evaluation.slices):
        overall, restricted = evaluation.intervals[inputs.spec.metric], evaluation.seen_by_champion > 0
        draw = bars.slice_scores(evaluation.slices, metric, overall, restricted=restricted)
        yield "slices", draw, rows_high(len(shown)) + 0.4
    height = rows_high(min(len(evaluation.importances), bars.MOST_FEATURES))
    yield "permutation importance", bars.permutation(evaluation.importances, metric), height
    if targets := inputs.task.targets:
        apart = range(min(len(targets), MOST_TARGETS))
        yield "SHAP values", bars.shap_of_classes(explained, targets, apart, "target"), height
    elif inputs.task.kind == "multiclass":
        most = curves.most_frequent(inputs.y, inputs.task)
        yield "SHAP values", bars.shap_of_classes(explained, inputs.task.classes, sorted(most)), height
    else:
        unit = "in probability" if inputs.task.kind == "binary" else "in the target's unit"
        yield "SHAP values", bars.shap_of_one(explained, inputs.encoder, unit), height
    if len(inputs.reference.refit_scores) > 1:
        yield "refit seeds", bars.seeds(inputs.reference.refit_scores, metric), 3.2
