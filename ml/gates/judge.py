"""The verdicts of all gates on an evaluation. Checks show them, `production_model` enforces them."""

from collections.abc import Callable
from functools import partial

from ml.declaration.gate_kinds.kind import GateKind
from ml.declaration.gates import Gates, gate_name
from ml.evaluation.record import Evaluation
from ml.gates.custom import custom_gate, custom_verdict
from ml.tasks.targets import of_target
from ml.verdict import Verdict

Gate = Callable[[Evaluation], Verdict]


def gates_of(gates: Gates, metric: str) -> dict[str, Gate]:
    """Return the gates that are on, by name, in the order in which they answer; comparisons go by `metric`.

    Raises ValueError for a gate of the user's own that is not there.
    """
    on: dict[str, Gate] = {gate_name(name): partial(bound.judge, name) for name, bound in gates.bounds.items()}
    on |= {
        name: partial(_of_targets if kind.by_target else _of_all, kind, metric) for name, kind in gates.kinds.items()
    }
    for reference, options in gates.own.items():
        name = gate_name(reference)
        on[name] = partial(custom_verdict, custom_gate(reference), name, options)
    return on


def _of_all(kind: GateKind, metric: str, evaluation: Evaluation) -> Verdict:
    return kind.judge(metric, evaluation)


def _of_targets(kind: GateKind, metric: str, evaluation: Evaluation) -> Verdict:
    """Return the verdict of a gate that each of several targets must pass; a reason names those that do not."""
    if not evaluation.targets:
        return kind.judge(metric, evaluation)
    verdicts = {target: kind.judge(metric, alone) for target, alone in evaluation.targets.items()}
    named = {target: verdict for target, verdict in verdicts.items() if not verdict.passed} or verdicts
    return Verdict(
        kind.name,
        named is verdicts,
        "; ".join(f"{target}: {verdict.reason}" for target, verdict in named.items()),
        {of_target(name, target): value for target, one in verdicts.items() for name, value in one.figures.items()},
    )


def gate_names(gates: Gates) -> list[str]:
    """Return the names of a declaration's gates, in the order in which `judge` answers."""
    return list(gates_of(gates, ""))


def gate_modules(gates: Gates) -> list[str]:
    """Return the modules whose code decides what the gates of a declaration answer, the user's own included."""
    declared = {type(gate).__module__ for gate in (*gates.bounds.values(), *gates.kinds.values())}
    return sorted({"ml.gates.judge", *declared, *gates.modules})


def judge(gates: Gates, evaluation: Evaluation, metric: str) -> list[Verdict]:
    """Return every gate's verdict; comparisons go by `metric`."""
    return [gate(evaluation) for gate in gates_of(gates, metric).values()]
