"""Search spaces: what a family suggests, as a declaration narrows, fixes or widens it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ml.models.family import Family
from ml.tasks.task import Task

if TYPE_CHECKING:
    import optuna

PROBES = 32  # a space may depend on choices: so many random settings are looked at to know all of its names


@dataclass(frozen=True)
class Parameter:
    """One parameter as a family suggests it: choices, or a range of floats or whole numbers."""

    name: str
    kind: type[float] | type[int] | None
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

    def nearest(self, value: Any) -> Any:
        """Return the allowed value that is nearest; the first choice where `value` is none of them."""
        if self.kind is None:
            return value if value in self.choices else self.choices[0]
        inside = min(max(value, self.low), self.high)
        if self.step:
            inside = self.low + round((inside - self.low) / self.step) * self.step
        return self.kind(inside)

    def within(self, declared: Mapping[str, Any]) -> Parameter:
        """Return this parameter with a declared range; raises ValueError if it cannot have that."""
        if self.kind is None:
            raise ValueError(
                f"search.{self.name} is a range, but {self.name} is one of {list(self.choices)}: list those to try."
            )
        low, high, log = declared["low"], declared["high"], declared.get("log")
        log = self.log if log is None else log
        if low > high or (log and low <= 0):
            raise ValueError(
                f"search.{self.name} runs from {low} to {high}: low must be below high, and above 0 if log."
            )
        if self.kind is int and not (float(low).is_integer() and float(high).is_integer()):
            raise ValueError(f"search.{self.name} runs from {low} to {high}, but {self.name} is a whole number.")
        return Parameter(self.name, self.kind, low, high, log, 1 if self.kind is int else None)

    def require(self, values: Sequence[Any]) -> None:
        """Raise ValueError unless each value is one that the parameter may have."""
        if self.kind is None:
            if wrong := [value for value in values if value not in self.choices]:
                raise ValueError(f"search.{self.name} cannot be {wrong}. Allowed: {list(self.choices)}.")
            return
        numbers = (int,) if self.kind is int else (int, float)
        if wrong := [value for value in values if isinstance(value, bool) or not isinstance(value, numbers)]:
            kind = "a whole number" if self.kind is int else "a number"
            raise ValueError(f"search.{self.name} cannot be {wrong}: it is {kind}.")

    def suggest(self, trial: optuna.Trial) -> Any:
        """Draw a value from a trial of a study."""
        if self.kind is None:
            return trial.suggest_categorical(self.name, list(self.choices))
        if self.kind is int:
            step = int(self.step or 1)
            return trial.suggest_int(self.name, int(self.low), int(self.high), step=step, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def distribution(self) -> optuna.distributions.BaseDistribution:
        """Return the allowed values as Optuna's distribution."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.kind is None:
            return CategoricalDistribution(self.choices)
        if self.kind is int:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


class Space:
    """A family's search space with overrides by name: a range, a list of choices, or a fixed value.

    A name may also be that of a parameter of the library, which the family does not search by itself.
    `fixed` settings are part of every trial's and go before the family's own.
    """

    def __init__(
        self, family: Family, overrides: Mapping[str, Any] | None = None, fixed: Mapping[str, Any] | None = None
    ) -> None:
        self.family, self.overrides, self.fixed = family, dict(overrides or {}), dict(fixed or {})
        self._check()

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return settings for a trial of a study, from which all that is not fixed is drawn."""
        return self._settings(lambda parameter: parameter.suggest(trial))

    def near(self, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the parameters of the space that are nearest to `wanted`, and the settings that they make.

        What `wanted` lacks is the family's default.
        """
        values, params = {**self.family.defaults(), **wanted}, {}

        def choose(parameter: Parameter) -> Any:
            if parameter.name not in values and parameter.name in self._further:
                values[parameter.name] = parameter.choices[0] if parameter.choices else parameter.low
            if parameter.name not in values:
                raise KeyError(f"The family {self.family.name!r} has no default of {parameter.name!r}: add it.")
            params[parameter.name] = parameter.nearest(values[parameter.name])
            return params[parameter.name]

        return params, self._settings(choose)

    def distributions(self, params: Mapping[str, Any]) -> dict[str, optuna.distributions.BaseDistribution]:
        """Return the distribution of each of a trial's parameters, as a study records it."""
        distributions = {}

        def choose(parameter: Parameter) -> Any:
            distributions[parameter.name] = parameter.distribution()
            return params[parameter.name]

        self._settings(choose)
        return distributions

    def settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that a trial's recorded parameters make."""
        return self._settings(lambda parameter: params[parameter.name])

    def require(self, task: Task) -> None:
        """Raise ValueError if the family can make no model of a task from the defaults, or from some drawn settings."""
        drawn = (self._settings(_Draw(random.Random(number))) for number in range(PROBES))
        for settings in (self.family.defaults() | self.fixed, *drawn):
            self.family.require_settings(settings, task)

    def _settings(self, choose: Callable[[Parameter], Any]) -> dict[str, Any]:
        """Return the settings that a family makes of chosen parameters, with those that are fixed."""
        proxy: Any = _Proxy(self.overrides, choose)
        further = {name: _further(name, self.overrides[name], choose) for name in self._further}
        return {**self.family.suggest(proxy), **further, **self.fixed}

    def _check(self) -> None:
        """Raise ValueError for an unknown name, and for what its parameter cannot be."""
        names: set[str] = set()
        for number in range(PROBES if self.overrides else 0):
            proxy: Any = _Proxy(self.overrides, _Draw(random.Random(number)))
            self.family.suggest(proxy)
            names |= proxy.names
        self._further = sorted(self.overrides.keys() - names)
        library = self.family.parameters() if self._further else None
        if self._further and library is None:
            raise ValueError(
                f"models.{self.family.name}.search names {self._further}, which this family does not have. "
                f"Its parameters: {sorted(names)}."
            )
        if library and (wrong := list(filter(None, map(library.problem, self._further)))):
            raise ValueError(
                f"models.{self.family.name}.search: {'; '.join(wrong)}. It searches {sorted(names)} by itself; allowed "
                f"are also: {', '.join(sorted({*library.allowed} - names))}."
            )


@dataclass
class _Proxy:
    """The trial, as a family sees it."""

    overrides: Mapping[str, Any]
    choose: Callable[[Parameter], Any]
    names: set[str] = field(default_factory=set)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._value(Parameter(name, float, low, high, log, step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._value(Parameter(name, int, low, high, log, step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._value(Parameter(name, None, choices=tuple(choices)))

    def _value(self, parameter: Parameter) -> Any:
        self.names.add(parameter.name)
        override = self.overrides.get(parameter.name)
        if override is None:
            return self.choose(parameter)
        if isinstance(override, Mapping):
            return self.choose(parameter.within(override))
        several = isinstance(override, list | tuple)
        values = tuple(override) if several else (override,)
        parameter.require(values)
        return self.choose(Parameter(parameter.name, None, choices=values)) if several else override


def _further(name: str, declared: Any, choose: Callable[[Parameter], Any]) -> Any:
    """Return the value of a parameter that the family does not suggest: as declared, or chosen of a list or a range."""
    if isinstance(declared, Mapping):
        low, high = declared["low"], declared["high"]
        kind = int if isinstance(low, int) and isinstance(high, int) else float
        step = 1 if kind is int else None
        return kind(choose(Parameter(name, kind, low, high, bool(declared.get("log")), step)))
    return choose(Parameter(name, None, choices=tuple(declared))) if isinstance(declared, list | tuple) else declared


@dataclass
class _Draw:
    """Draws any allowed value, of a range one of its ends."""

    source: random.Random

    def __call__(self, parameter: Parameter) -> Any:
        ends = (parameter.nearest(parameter.low), parameter.nearest(parameter.high)) if parameter.kind else ()
        return self.source.choice(parameter.choices or ends)
