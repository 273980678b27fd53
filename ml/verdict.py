"""A gate's verdict: what a gate of the user's own returns too."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MISSING = float("nan")  # what no limit allows


@dataclass(frozen=True)
class Verdict:
    """One gate's answer, in words and, by name, in figures."""

    gate: str
    passed: bool
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)
