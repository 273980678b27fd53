"""Metrics of the user's own, named as `package.module:function`."""

import inspect
import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from ml.base.references import resolve
from ml.tasks.weighted import Weighted

OWN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
DIRECTION = "greater_is_better"
WEIGHTS = ("weights", "sample_weight")  # the argument of a function that takes them, which goes by either name
GROUPS = "groups"  # that of one which takes the numbers of the groups within which rows are ranked

Function = Callable[..., Any]


def function_at(reference: str) -> Function:
    """Return the function that `reference` names; raises ValueError if there is none, or if it is no metric."""
    function = resolve(reference)
    module, _, name = reference.partition(":")
    if not callable(function) or inspect.isclass(function):
        raise ValueError(f"{reference!r}: the module {module!r} has no function {name!r}")
    try:
        more = dict.fromkeys([*filter(None, [_weighing(function)]), *([GROUPS] if takes_groups(function) else [])])
        inspect.signature(function).bind(None, None, **more)
    except (TypeError, ValueError) as error:  # the second of a builtin without a signature
        raise ValueError(f"the metric {reference!r} does not take (y_true, y_pred): {error}") from error
    chosen: Function = function
    return chosen


def direction(reference: str, function: Function) -> bool:
    """Return whether higher is better, as the function says; raises ValueError if it does not."""
    better = getattr(function, DIRECTION, None)
    if not isinstance(better, bool):
        line = f"{reference.partition(':')[2]}.{DIRECTION} = True"
        raise ValueError(f"the metric {reference!r} does not say what is better: write {line}, or False, below it")
    return better


def of_function(reference: str, function: Function) -> Callable[..., Weighted]:
    """Return the metric that a function of labels, predictions and perhaps weights and groups computes.

    Rows of no weight are left out. A function that takes no weights sees a row as often as it weighs, each time in
    another group.
    """
    weighing = _weighing(function)

    def prepare(y: np.ndarray, p: np.ndarray, *groups: np.ndarray) -> Weighted:
        def once(weights: np.ndarray) -> float:
            at, more = np.flatnonzero(weights), dict[str, np.ndarray]()
            if weighing is None:
                at = np.repeat(np.arange(len(y)), _counts(reference, weights))
            else:
                more[weighing] = weights[at]
            for numbers in groups:
                time = np.arange(len(at)) - np.searchsorted(at, at)
                more[GROUPS] = numbers[at] + time * (numbers.max() + 1)
            return _number(reference, _asked(reference, function, y[at], p[at], **more))

        return lambda weights: np.apply_along_axis(once, -1, weights)

    return prepare


def _asked(reference: str, function: Function, y: np.ndarray, p: np.ndarray, **more: np.ndarray) -> Any:
    """Return what a function answers. Raises RuntimeError, which names it, for any error of its own."""
    try:
        return function(y, p, **more)
    except Exception as error:
        raise RuntimeError(
            f"the metric {reference!r} raised {type(error).__name__} of {len(y)} rows: {error}. Let it return "
            "float('nan') of rows of which it says nothing"
        ) from error


def takes_weights(function: Function) -> bool:
    """Return whether a function takes weights of rows."""
    return _weighing(function) is not None


def takes_groups(function: Function) -> bool:
    """Return whether a function takes the groups within which rows are ranked."""
    return GROUPS in inspect.signature(function).parameters


def _weighing(function: Function) -> str | None:
    """Return the name of the argument by which a function takes weights; None if it takes none."""
    return next((name for name in WEIGHTS if name in inspect.signature(function).parameters), None)


def _counts(reference: str, weights: np.ndarray) -> np.ndarray:
    counts = weights.astype(int)
    if (counts != weights).any():
        raise ValueError(f"the metric {reference!r} takes no weights, and rows have some: add the argument `weights`")
    return counts


def _number(reference: str, value: Any) -> float:
    """Return the number that a function answers; NaN where it is infinite, of which nothing follows."""
    if not isinstance(value, Real):
        raise TypeError(f"the metric {reference!r} must return a number, given {value!r}")
    return float(value) if math.isfinite(value) else math.nan
