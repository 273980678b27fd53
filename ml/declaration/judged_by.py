"""What of a declaration an evaluation is made by: its limits may change afterwards, this may not."""

from collections.abc import Mapping
from typing import Any

MATRIX = ("task", "tables", "relationships", "examples", "features")
EVALUATION = ("task", "metric", "examples", "evaluation")
REFERENCE = ("threshold", "interval")
COMPARISON = ("confidence", "resamples", "rows")


def of_matrix(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a resolved declaration that a feature matrix is made by."""
    return {name: declared.get(name) for name in MATRIX}


def of_reference(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a resolved declaration by which a model brings a threshold or an interval from validation."""
    return {"evaluation": {name: declared["evaluation"].get(name) for name in REFERENCE}}


def of_evaluation(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a resolved declaration that an evaluation is made by; gates only judge it, but for the comparisons.

    Where the gate `baseline` is off, that comparison has the confidence of the evaluation.
    """
    gates = declared["gates"]
    champion = {name: gates["champion"].get(name) for name in COMPARISON}
    baseline = {"confidence": (gates["baseline"] or declared["evaluation"])["confidence"]}
    return {
        **{name: declared.get(name) for name in EVALUATION},
        "gates.champion": champion,
        "gates.baseline": baseline,
    }


def changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The names of the parts that differ, sorted; of a part with fields, those that differ, as `evaluation.slices`."""
    found = set()
    for name in first.keys() | second.keys():
        one, other = first.get(name), second.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found |= {f"{name}.{field}" for field in one.keys() | other.keys() if one.get(field) != other.get(field)}
        elif one != other:
            found.add(name)
    return sorted(found)
