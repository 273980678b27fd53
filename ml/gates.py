"""Gates: pure predicates over an evaluation. Checks show them, `production_model` enforces them."""

from dataclasses import dataclass

from ml.evaluation import Evaluation
from ml.spec_gates import Gates


@dataclass(frozen=True)
class Verdict:
    """One gate's answer and its figures in words."""

    gate: str
    passed: bool
    reason: str


def gate_names(gates: Gates) -> list[str]:
    """The gates of a declaration, in the order in which `judge` answers."""
    return [*gates.bounds, "champion"]


def judge(gates: Gates, evaluation: Evaluation, metric: str) -> list[Verdict]:
    """Every gate's verdict; `metric` is what the champion gate goes by.

    A value that is missing or not a number never passes, nor does a comparison that was made by another rule.
    """
    verdicts = []
    for name, bound in gates.bounds.items():
        value = evaluation.metrics.get(name, float("nan"))
        low = bound.at_least is None or value >= bound.at_least
        high = bound.at_most is None or value <= bound.at_most
        limits = [
            f"{word} {limit:g}"
            for word, limit in (("at least", bound.at_least), ("at most", bound.at_most))
            if limit is not None
        ]
        passed = low and high and value == value
        verdicts.append(
            Verdict(name, passed, f"{name} is {value:.4f} on the test split, needed: {' and '.join(limits)}")
        )
    return [*verdicts, _champion(gates, evaluation, metric)]


def _champion(gates: Gates, evaluation: Evaluation, metric: str) -> Verdict:
    rule = gates.champion
    if evaluation.champion_version is None:
        return Verdict("champion", True, "there is no champion yet")
    if evaluation.champion_hash == evaluation.model_hash:
        return Verdict("champion", True, f"the candidate is the champion, version {evaluation.champion_version}")
    if evaluation.comparison is None:
        passed = rule.when_incomparable == "promote"
        return Verdict("champion", passed, f"cannot compare with the champion: {evaluation.incomparable}")
    found = evaluation.comparison
    if (found.metric, found.confidence) != (metric, rule.confidence):
        return Verdict(
            "champion",
            False,
            f"the comparison was made by {found.metric} with {found.confidence:.0%} confidence, but the declaration "
            f"says {metric} and {rule.confidence:.0%}: materialize evaluation again",
        )
    needed, by = -rule.not_worse_by, f"against champion version {evaluation.champion_version} (positive is better)"
    return Verdict(
        "champion",
        found.lower >= needed,
        f"{found.metric} is {found.difference:+.4f} {by}, with {found.confidence:.0%} confidence at least "
        f"{found.lower:+.4f}; needed: at least {needed:+.4f}",
    )
