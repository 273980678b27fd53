"""The verdicts of all gates on an evaluation. Checks show them, `production_model` enforces them."""

from collections.abc import Callable
from functools import partial

from ml.declaration.gates import Gates, gate_name
from ml.evaluation.record import Evaluation
from ml.gates.custom import custom_gate, custom_verdict
from ml.verdict import Verdict

Gate = Callable[[Evaluation], Verdict]


def gates_of(gates: Gates, metric: str) -> dict[str, Gate]:
    """Return the gates that are on, by name, in the order in which they answer; comparisons go by `metric`.

    Raises ValueError for a gate of the user's own that is not there.
    """
    on: dict[str, Gate] = {gate_name(name): partial(bound.judge, name) for name, bound in gates.bounds.items()}
    on |= {name: partial(kind.judge, metric) for name, kind in gates.kinds.items()}
    for reference, options in gates.own.items():
        name = gate_name(reference)
        on[name] = partial(custom_verdict, custom_gate(reference), name, options)
    return on


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
