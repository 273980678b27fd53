"""Gates: pure predicates over an evaluation. Checks show them, `production_model` enforces them.

A value that is missing or not a number never passes. What a gate does not concern, it passes and says so.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ml.declaration.gates import (
    BaselineGate,
    Bound,
    CalibrationGate,
    Gates,
    LatencyGate,
    LeakGate,
    ParityGate,
    SizeGate,
)
from ml.evaluation.record import Calibration, Evaluation
from ml.gates.champion import no_slice_worse, not_worse, other_rule
from ml.gates.custom import custom_gate, custom_verdict
from ml.gates.verdict import MISSING, Verdict
from ml.intervals.bootstrap import percent
from ml.tasks.metrics import METRICS

__all__ = ["Verdict", "gate_names", "gates_of", "judge"]

Gate = Callable[[Evaluation], Verdict]


def gates_of(gates: Gates, metric: str) -> dict[str, Gate]:
    """The gates that are on, by name, in the order in which they answer; comparisons go by `metric`.

    Raises ValueError for a gate of the user's own that is not there.
    """
    rules = {name: getattr(gates, name) for name in _KINDS}
    found: dict[str, Gate] = {name: partial(_within, name, bound) for name, bound in gates.bounds.items()}
    found |= {name: partial(_KINDS[name], metric, rule) for name, rule in rules.items() if rule is not None}
    for reference, options in gates.own.items():
        name = reference.partition(":")[2]
        found[name] = partial(custom_verdict, custom_gate(reference), name, options)
    return found


def gate_names(gates: Gates) -> list[str]:
    """The gates of a declaration, in the order in which `judge` answers."""
    return list(gates_of(gates, ""))


def judge(gates: Gates, evaluation: Evaluation, metric: str) -> list[Verdict]:
    """Every gate's verdict; comparisons go by `metric`."""
    return [gate(evaluation) for gate in gates_of(gates, metric).values()]


def _within(metric: str, bound: Bound, evaluation: Evaluation) -> Verdict:
    value = evaluation.metrics.get(metric, MISSING)
    low = bound.at_least is None or value >= bound.at_least
    high = bound.at_most is None or value <= bound.at_most
    given = {"at least": bound.at_least, "at most": bound.at_most}
    limits = {word: limit for word, limit in given.items() if limit is not None}
    said = f"{metric} is {value:.4f} on the {evaluation.rows} test rows, needed: "
    said += " and ".join(f"{word} {limit:g}" for word, limit in limits.items())
    return Verdict(metric, low and high and value == value, said, {metric: value, **limits})


def _better_than_baseline(metric: str, rule: BaselineGate, evaluation: Evaluation) -> Verdict:
    found = evaluation.over_baseline
    if found is None:
        return Verdict("baseline", False, f"nothing says how {metric} compares with that of a trivial answer")
    if (found.metric, found.confidence) != (metric, rule.confidence):
        return Verdict("baseline", False, other_rule(found, metric, rule.confidence))
    return Verdict(
        "baseline",
        found.lower > rule.better_by,
        f"{metric} is {found.difference:+.4f} against a trivial answer (positive is better), with "
        f"{percent(found.confidence)} confidence at least {found.lower:+.4f}; needed: more than {rule.better_by:+.4f}",
        {"difference": found.difference, "lower": found.lower, "needed": rule.better_by},
    )


def _no_leak(metric: str, rule: LeakGate, evaluation: Evaluation) -> Verdict:
    found = evaluation.leak_audit
    if found is not None:
        return Verdict("leaks", found.passed, f"{'' if found.passed else 'the leak audit failed: '}{found.reason}")
    if evaluation.period is None:
        return Verdict("leaks", True, "the rows have no cutoff, so that nothing comes after it")
    return Verdict("leaks", False, "nothing says whether the features of the test rows tell of what comes after them")


def _calibrated(metric: str, rule: CalibrationGate, evaluation: Evaluation) -> Verdict:
    if METRICS[metric].tasks == ("regression",):
        return Verdict("calibration", True, "numbers have no calibration of probabilities")
    found = evaluation.calibration or Calibration(error=MISSING)
    limit = rule.at_most + found.by_chance
    return Verdict(
        "calibration",
        found.error <= limit,
        f"the expected calibration error is {found.error:.4f}; needed: at most {rule.at_most:g} beyond the "
        f"{found.by_chance:.4f} that chance alone may give so many rows",
        {"error": found.error, "by chance": found.by_chance, "needed": limit},
    )


def _same_answers(metric: str, rule: ParityGate, evaluation: Evaluation) -> Verdict:
    value = evaluation.serving.parity if evaluation.serving else MISSING
    return _at_most("parity", "the largest difference to the native model", value, rule.at_most, "")


def _fast(metric: str, rule: LatencyGate, evaluation: Evaluation) -> Verdict:
    value = evaluation.serving.latency_ms if evaluation.serving else MISSING
    return _at_most("latency", "the median time for one row", value, rule.at_most_ms, " ms")


def _small(metric: str, rule: SizeGate, evaluation: Evaluation) -> Verdict:
    value = evaluation.serving.size_mb if evaluation.serving else MISSING
    return _at_most("size", "the exported model's size", value, rule.at_most_mb, " MB")


def _at_most(gate: str, what: str, value: float, limit: float, unit: str) -> Verdict:
    reason = f"{what} is {value:.3g}{unit}; needed: at most {limit:g}{unit}"
    return Verdict(gate, value <= limit, reason, {f"value{unit}": value, "needed": limit})


_KINDS: Mapping[str, Callable[[str, Any, Evaluation], Verdict]] = {
    "baseline": _better_than_baseline,
    "champion": not_worse,
    "slices": no_slice_worse,
    "leaks": _no_leak,
    "calibration": _calibrated,
    "parity": _same_answers,
    "latency": _fast,
    "size": _small,
}
