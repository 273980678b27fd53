"""The evaluation as one self-contained HTML page, and in short."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from statistics import mean, stdev
from typing import Any

from ml.base.text import percent
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.record import Evaluation
from ml.intervals.bootstrap import Estimate
from ml.provenance.stamp import stamp_html
from ml.report.card import model_card
from ml.report.look import figure, template
from ml.tasks.metrics import Metric
from ml.tasks.objectives import Objective
from ml.tasks.targets import of_target
from ml.verdict import Verdict

MOST_FEATURES = 25  # of the table of importances
SECTIONS = {  # the pictures of each section, in its order
    "decisions": ("confusion matrix", "probabilities"),
    "curves": ("ROC curve", "precision and recall", "predicted and actual", "residuals", "residual distribution"),
    "calibration": ("calibration",),
    "slices": ("slices",),
    "importances": ("permutation importance", "SHAP values"),
    "stability": ("refit seeds",),
}


def html(
    name: str,
    spec: UseCaseSpec,
    evaluation: Evaluation,
    verdicts: Sequence[Verdict],
    figures: dict[str, bytes],
    coordinates: dict[str, Any],
) -> str:
    """Render the whole report as one page without outside references."""
    images = {title: base64.b64encode(content).decode() for title, content in figures.items()}
    targets = ["", *evaluation.targets]
    scores = evaluation.reference.refit_scores if evaluation.reference else ()
    page = template("page").render(
        name=name,
        spec=spec,
        e=evaluation,
        trivial=Objective.named(spec.objective).trivial_answer,
        metrics={name: Metric.named(name) for name in evaluation.metrics},
        verdicts=verdicts,
        refused=[verdict.gate for verdict in verdicts if not verdict.passed],
        pictures={target: _by_section(images, target) for target in targets},
        most_features=MOST_FEATURES,
        seeds={"mean": mean(scores), "deviation": stdev(scores)} if len(scores) > 1 else None,
        card=model_card(name, spec, evaluation, coordinates),
        coordinates=coordinates,
    )
    return stamp_html(page, str(coordinates["id"]))


def _by_section(images: dict[str, str], target: str) -> dict[str, dict[str, str]]:
    """Return the pictures of one of several targets, or those of all, by section and title."""
    titles = {part: [of_target(title, target) for title in titles] for part, titles in SECTIONS.items()}
    return {part: {title: images[title] for title in of_part if title in images} for part, of_part in titles.items()}


def in_short(evaluation: Evaluation, metric: str) -> str:
    """Return the metrics of candidate, champion and baseline with intervals, as a Markdown table; `metric` is first."""
    sides = {"candidate": evaluation.intervals}
    if evaluation.champion_intervals:
        sides[f"champion (version {evaluation.champion_version})"] = evaluation.champion_intervals
    sides["baseline"] = evaluation.baseline_intervals
    names = sorted(evaluation.intervals, key=lambda name: name != metric)
    lines = [f"| metric | {' | '.join(sides)} |", "|---" * (1 + len(sides)) + "|"]
    lines += [
        f"| {evaluation.label(name)} | {' | '.join(estimate(intervals[name]) for intervals in sides.values())} |"
        for name in names
    ]
    resampling = f"{percent(evaluation.confidence)} intervals of {evaluation.resamples:,} resamples"
    about = f"{evaluation.rows:,} test rows, {resampling}"
    parts = [*lines, "", about, *_decided(evaluation)]
    for target, alone in evaluation.targets.items():
        parts += ["", f"**{target}**", "", in_short(alone, metric)]
    return "\n".join(parts)


def _decided(evaluation: Evaluation) -> list[str]:
    """Return what comes of the decisions at the threshold, as a paragraph; nothing where there is none."""
    threshold = evaluation.reference.threshold if evaluation.reference else None
    if threshold is None or evaluation.decisions is None:
        return []
    rates = [f"{rate} {estimate(value)}" for rate, value in evaluation.decisions.rates.items()]
    return ["", f"at the threshold {figure(threshold.value)}, from which on the answer is yes: {', '.join(rates)}"]


def estimate(value: Estimate | None) -> str:
    """Write a value and its interval: `0.7138 [0.7031, 0.7246]`."""
    if value is None or isnan(value.value):
        return "-"
    low, high = figure(value.low), figure(value.high)
    return figure(value.value) + ("" if low == high else f" [{low}, {high}]")


def as_json(evaluation: Evaluation, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the content of `report.json`: the evaluation, and the gates with their figures, as the page shows them."""
    gates = [{**asdict(verdict), "figures": dict(verdict.figures)} for verdict in verdicts]
    content: dict[str, Any] = without_nan({**evaluation.model_dump(mode="json"), "gates": gates})
    return content


def without_nan(value: Any) -> Any:
    """Replace what is not a number, which JSON does not know, by null in a JSON value."""
    if isinstance(value, dict):
        return {name: without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and isnan(value) else value
