"""The parameters of an installed library: those that a declaration may name, and those that are decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import version
from typing import Any


@dataclass(frozen=True)
class Parameters:
    """The parameters that a package takes, by their names, with their `aliases`.

    Those that match a pattern of `decided` may not be declared: by pattern, what decides them.
    """

    package: str
    names: frozenset[str]
    decided: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def problem(self, name: str) -> str | None:
        """Return why a parameter may not be declared; None if it may."""
        if name in self.aliases:
            return f"{name} is another name of {self.aliases[name]}: write that"
        if name not in self.names:
            near = [f", did you mean {known!r}" for known in get_close_matches(name, self.allowed, n=1)]
            return f"{self.package} {version(self.package)} has no parameter {name!r}{''.join(near)}"
        by = next((by for pattern, by in self.decided.items() if fnmatch(name, pattern)), None)
        return by and f"{name} is decided by {by}"

    @property
    def allowed(self) -> list[str]:
        """The names that may be declared, sorted."""
        free = self.names - self.aliases.keys()
        return sorted(name for name in free if not any(fnmatch(name, pattern) for pattern in self.decided))


def decided(**names_by: str) -> dict[str, str]:
    """Return patterns of names with what decides them, of texts with some each: `seed="random_state *_seed"`."""
    return {pattern: REASONS[by] for by, patterns in names_by.items() for pattern in patterns.split()}


REASONS: Mapping[str, str] = {
    "seed": "`seed`, from which everything random derives",
    "task": "`task`, `metric` and `objective`",
    "rounds": "the validation rows, which stop the training",
    "weights": "`examples.weights`",
    "machine": "the machine and the number of trials at once, which decide no result here",
    "columns": "the features and their types, whose places it goes by",
    "sharing": "what all trials share: rows are binned once",
    "form": "the form of a model that the service can answer by",
    "words": "the logging of the run",
}


@cache
def of_estimators(*estimators: type) -> frozenset[str]:
    """Return the names of all parameters of some of scikit-learn's estimators."""
    instances: Iterable[Any] = (estimator() for estimator in estimators)
    return frozenset(name for instance in instances for name in instance.get_params())
