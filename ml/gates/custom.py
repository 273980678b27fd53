"""Gates of the user's own, named as `package.module:function`."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ml.base.references import resolve
from ml.evaluation.record import Evaluation
from ml.verdict import Verdict

Rule = Callable[[Evaluation, Mapping[str, Any]], Verdict]


def custom_gate(reference: str) -> Rule:
    """Return the function that `reference` names; raises ValueError if there is none, or if it is no gate."""
    function = resolve(reference)
    module, _, name = reference.partition(":")
    if not inspect.isfunction(function):
        raise ValueError(f"gates.own: the module {module!r} has no function {name!r}")
    try:
        inspect.signature(function).bind(None, {})
    except TypeError as error:
        raise ValueError(f"gates.own: {reference!r} does not take (evaluation, options): {error}") from error
    gate: Rule = function
    return gate


def custom_verdict(gate: Rule, name: str, options: Mapping[str, Any], evaluation: Evaluation) -> Verdict:
    """Return the verdict of a gate of the user's own, under its name; raises TypeError if it returns none."""
    answer = gate(evaluation, options)
    if not isinstance(answer, Verdict) or not isinstance(answer.passed, bool):
        raise TypeError(f"the gate {name!r} must return a Verdict whose `passed` is a bool, given {answer!r}")
    return replace(answer, gate=name)
