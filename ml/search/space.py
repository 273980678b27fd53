"""Search spaces: what a family suggests, as a declaration narrows, fixes or widens it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ml.models.family import Family

if TYPE_CHECKING:
    import optuna

PROBES = 32  # a space may depend on choices: so many random settings are looked at to know all of its names


@dataclass(frozen=True)
class Asked:
    """One parameter as it is asked for: choices, or a range of floats or whole numbers."""

    name: str
    kind: type[float] | type[int] | None
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

    def nearest(self, value: Any) -> Any:
        """The allowed value that is nearest; the first choice where `value` is none of them."""
        if self.kind is None:
            return value if value in self.choices else self.choices[0]
        inside = min(max(value, self.low), self.high)
        if self.step:
            inside = self.low + round((inside - self.low) / self.step) * self.step
        return self.kind(inside)


class Space:
    """A family's search space with overrides by name: a range, a list of choices, or a fixed value.

    `fixed` settings are part of every trial's and go before the family's own.
    """

    def __init__(
        self, family: Family, overrides: Mapping[str, Any] | None = None, fixed: Mapping[str, Any] | None = None
    ) -> None:
        self.family, self.overrides, self.fixed = family, dict(overrides or {}), dict(fixed or {})
        self._check()

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Settings for a trial of a study, which is asked for all that is not fixed."""
        return self._settings(lambda asked: _ask(trial, asked))

    def near(self, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters of the space that are nearest to `wanted`, and the settings that they make.

        What `wanted` lacks is the family's default.
        """
        known, params = {**self.family.defaults(), **wanted}, {}

        def choose(asked: Asked) -> Any:
            if asked.name not in known:
                raise KeyError(f"The family {self.family.name!r} has no default of {asked.name!r}: add it.")
            params[asked.name] = asked.nearest(known[asked.name])
            return params[asked.name]

        return params, self._settings(choose)

    def distributions(self, params: Mapping[str, Any]) -> dict[str, optuna.distributions.BaseDistribution]:
        """Where each of a trial's parameters comes from, as a study records it."""
        found = {}

        def choose(asked: Asked) -> Any:
            found[asked.name] = _distribution(asked)
            return params[asked.name]

        self._settings(choose)
        return found

    def settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that a trial's recorded parameters make."""
        return self._settings(lambda asked: params[asked.name])

    def _settings(self, choose: Callable[[Asked], Any]) -> dict[str, Any]:
        proxy: Any = _Proxy(self.overrides, choose)
        return {**self.family.suggest(proxy), **self.fixed}

    def _check(self) -> None:
        """Raises ValueError for an unknown name, and for what its parameter cannot be."""
        names: set[str] = set()
        for number in range(PROBES if self.overrides else 0):
            proxy: Any = _Proxy(self.overrides, _Drawn(random.Random(number)))
            self.family.suggest(proxy)
            names |= proxy.names
        if unknown := sorted(self.overrides.keys() - names):
            raise ValueError(
                f"models.{self.family.name}.search names {unknown}, which this family does not have. "
                f"Its parameters: {sorted(names)}."
            )


@dataclass
class _Proxy:
    """What a family sees as the trial."""

    overrides: Mapping[str, Any]
    choose: Callable[[Asked], Any]
    names: set[str] = field(default_factory=set)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._value(Asked(name, float, low, high, log, step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._value(Asked(name, int, low, high, log, step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._value(Asked(name, None, choices=tuple(choices)))

    def _value(self, asked: Asked) -> Any:
        self.names.add(asked.name)
        override = self.overrides.get(asked.name)
        if override is None:
            return self.choose(asked)
        if isinstance(override, Mapping):
            return self.choose(_range(asked, override))
        values = tuple(override) if isinstance(override, list | tuple) else (override,)
        _check_values(asked, values)
        return self.choose(Asked(asked.name, None, choices=values)) if isinstance(override, list | tuple) else override


@dataclass
class _Drawn:
    """Any allowed value."""

    source: random.Random

    def __call__(self, asked: Asked) -> Any:
        return self.source.choice(asked.choices or (asked.nearest(asked.low), asked.nearest(asked.high)))


def _range(asked: Asked, given: Mapping[str, Any]) -> Asked:
    if asked.kind is None:
        raise ValueError(
            f"search.{asked.name} is a range, but {asked.name} is one of {list(asked.choices)}: list those to try."
        )
    low, high, log = given["low"], given["high"], given.get("log")
    log = asked.log if log is None else log
    if low > high or (log and low <= 0):
        raise ValueError(f"search.{asked.name} runs from {low} to {high}: low must be below high, and above 0 if log.")
    if asked.kind is int and not (float(low).is_integer() and float(high).is_integer()):
        raise ValueError(f"search.{asked.name} runs from {low} to {high}, but {asked.name} is a whole number.")
    return Asked(asked.name, asked.kind, low, high, log, 1 if asked.kind is int else None)


def _check_values(asked: Asked, values: Sequence[Any]) -> None:
    """Raises ValueError unless each value is one that the parameter may have."""
    if asked.kind is None:
        if wrong := [value for value in values if value not in asked.choices]:
            raise ValueError(f"search.{asked.name} cannot be {wrong}. Allowed: {list(asked.choices)}.")
        return
    numbers = (int,) if asked.kind is int else (int, float)
    if wrong := [value for value in values if isinstance(value, bool) or not isinstance(value, numbers)]:
        kind = "a whole number" if asked.kind is int else "a number"
        raise ValueError(f"search.{asked.name} cannot be {wrong}: it is {kind}.")


def _ask(trial: optuna.Trial, asked: Asked) -> Any:
    if asked.kind is None:
        return trial.suggest_categorical(asked.name, list(asked.choices))
    if asked.kind is int:
        step = int(asked.step or 1)
        return trial.suggest_int(asked.name, int(asked.low), int(asked.high), step=step, log=asked.log)
    return trial.suggest_float(asked.name, asked.low, asked.high, step=asked.step, log=asked.log)


def _distribution(asked: Asked) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if asked.kind is None:
        return CategoricalDistribution(asked.choices)
    if asked.kind is int:
        return IntDistribution(int(asked.low), int(asked.high), log=asked.log, step=int(asked.step or 1))
    return FloatDistribution(asked.low, asked.high, log=asked.log, step=asked.step)
