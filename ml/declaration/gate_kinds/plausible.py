"""The gate of scores that are too good to be true."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ml.base.text import percent
from ml.declaration.gate_kinds.kind import GateKind
from ml.tasks.metrics import Metric, MetricName, kind_of
from ml.tasks.task import Kind
from ml.verdict import MISSING, Verdict

if TYPE_CHECKING:
    from ml.evaluation.record import Evaluation

LIMITS: Mapping[Kind, Mapping[str, float]] = {
    "binary": {"roc_auc": 0.998},
    "multiclass": {"accuracy": 0.995},
    "regression": {"r2": 0.995},
}
SHOWN = 5  # features that are named


class PlausibleGate(GateKind):
    """No metric may be better than it can be if no feature tells the answer."""

    name = "plausible"
    description = "No score that is too good to be true; cannot be off, but allow more with a reason."
    can_be_off = False
    by_target = True

    limits: dict[MetricName, float] = Field(
        default_factory=dict,
        description="What a metric may reach, in place of the default: {r2: 1} allows any. If absent: "
        + ", ".join(f"{name} {limit:g} ({kind})" for kind, limits in LIMITS.items() for name, limit in limits.items()),
    )
    because: str | None = Field(None, min_length=10, description="Why such a score is possible; needed with `limits`.")
    rows: int = Field(200, ge=2, description="Of fewer test rows nothing follows: they may all be easy.")

    @model_validator(mode="after")
    def _limits_have_a_reason(self) -> PlausibleGate:
        if self.limits and self.because is None:
            raise ValueError("limits need `because`: say why a score beyond the default is possible")
        return self

    def surpassed(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the limits that an evaluation is beyond with confidence, by metric; a missing metric is.

        There are none where the test rows are too few.
        """
        return (
            {}
            if evaluation.rows < self.rows
            else {
                metric: limit
                for metric, limit in self._limits(evaluation).items()
                if not Metric.named(metric).sign * (_end(evaluation, metric) - limit) <= 0
            }
        )

    def judge(self, metric: str, evaluation: Evaluation) -> Verdict:
        """Refuse a metric that is, with confidence, better than its limit, and name the features that make it."""
        limits = self._limits(evaluation)
        figures = {name: evaluation.metrics.get(name, MISSING) for name in limits}
        if evaluation.rows < self.rows:
            reason = f"{evaluation.rows} test rows are fewer than {self.rows}, of which nothing follows"
            return Verdict(self.name, True, reason, figures)
        surpassed = self.surpassed(evaluation)
        if limits and not surpassed:
            allowed = [f"{name} is {value:.4f}, not beyond {limits[name]:g}" for name, value in figures.items()]
            declared = f" (because: {self.because})" if self.because else ""
            return Verdict(self.name, True, f"{' and '.join(allowed)}{declared}", figures)
        reasons = [self._reason(evaluation, name, limit) for name, limit in surpassed.items()]
        reasons = reasons or ["nothing says how good the answers are: materialize evaluation again"]
        return Verdict(self.name, False, "; ".join(reasons), figures)

    def _limits(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the limits of the metrics of an evaluation's task."""
        kind = kind_of(evaluation.metrics)
        defaults = LIMITS[kind] if kind else {}
        return {**defaults, **self.limits}

    def _reason(self, evaluation: Evaluation, metric: str, limit: float) -> str:
        value, end = evaluation.metrics.get(metric, MISSING), _end(evaluation, metric)
        if isnan(value):
            return f"nothing says what {evaluation.label(metric)} is"
        bound = "at least" if Metric.named(metric).higher_is_better else "at most"
        sure = f", with {percent(evaluation.confidence)} confidence {bound} {end:.4f}" if end != value else ""
        return (
            f"{evaluation.label(metric)} is {value:.4f} on the {evaluation.rows} test rows{sure}: beyond {limit:g} it "
            f"is too good to be true{_makers(evaluation, metric)}. Say in known_at when columns become known, or leave "
            "them out with ignore; if such a score is possible, say gates.plausible: "
            f"{{limits: {{{metric}: …}}, because: …}}"
        )


def _end(evaluation: Evaluation, metric: str) -> float:
    """Return the worse end of a metric's interval, or its value where it has none."""
    value, interval = evaluation.metrics.get(metric, MISSING), evaluation.intervals.get(metric)
    end = MISSING if interval is None else interval.low if Metric.named(metric).higher_is_better else interval.high
    return value if isnan(end) else end


def _makers(evaluation: Evaluation, metric: str) -> str:
    """Say which features make a metric what it is, by ablation; or which matter most."""
    makers = [ablated for ablated in evaluation.ablation if ablated.metric == metric]
    if makers:
        texts = [f"without {' and '.join(ablated.features)} it is {ablated.score:.4f}" for ablated in makers]
        return f"; {', '.join(texts)}"
    important = [importance.feature for importance in evaluation.importances[:SHOWN]]
    return f"; what matters most: {', '.join(important)}" if important else ""
