"""The gates of a declaration: a metric's limits, the kinds of the catalogue, and gates of the user's own."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field, create_model, field_validator, model_validator

from ml.declaration.gate_kinds.bound import Bound
from ml.declaration.gate_kinds.catalogue import KINDS, SWITCHES
from ml.declaration.gate_kinds.kind import GateKind
from ml.declaration.models import REFERENCE
from ml.declaration.part import OpenPart
from ml.tasks.metrics import FURTHER, METRICS, Metric

if TYPE_CHECKING:
    from ml.declaration.gate_kinds.baseline import BaselineGate
    from ml.declaration.gate_kinds.champion import ChampionGate
    from ml.declaration.gate_kinds.plausible import PlausibleGate

    class _CatalogueFields(OpenPart):
        """The gates whose measurements the evaluation makes; a type checker cannot follow how the fields come about."""

        baseline: BaselineGate | None = None
        champion: ChampionGate = ChampionGate()
        plausible: PlausibleGate = PlausibleGate()
else:  # one field a metric, then one a kind, in the order of their catalogues
    _UNUSUAL = {"exclude_if": lambda bound: bound is None}  # so that what does not name one is recorded as ever
    _BOUNDS = {
        metric.name: (
            Bound | None,
            Field(None, description=f"Limits for {metric.description}.", **({} if metric.usual else _UNUSUAL)),
        )
        for metric in METRICS.values()
    }
    _KINDS = {
        kind.name: (kind | None if kind.can_be_off else kind, Field(kind(), description=kind.description))
        for kind in KINDS
    }
    _CatalogueFields = create_model("_CatalogueFields", __base__=OpenPart, **_BOUNDS, **_KINDS)


def _in_schema(schema: dict[str, Any]) -> None:
    for name in SWITCHES:
        schema["properties"][name]["anyOf"].append({"enum": [False, "off"]})
    schema["patternProperties"] = {FURTHER: schema["additionalProperties"]}
    schema["additionalProperties"] = False


class Gates(_CatalogueFields):
    """The gates before a candidate becomes the champion. What has a default is on unless it is `off`."""

    model_config = ConfigDict(json_schema_extra=_in_schema)

    __pydantic_extra__: dict[str, Bound] = Field(init=False)

    own: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Gates of your own: `package.module:function` and its options. The function takes the evaluation "
        "and the options and returns a verdict; its name is that of the gate.",
    )

    @classmethod
    def takes(cls, name: str) -> bool:
        """Return whether a key names a metric with a number in its name, or one of the user's own."""
        return re.match(FURTHER, name) is not None

    @model_validator(mode="before")
    @classmethod
    def _off(cls, declared: Any) -> Any:
        """Read `off`, which YAML reads as false."""
        if not isinstance(declared, Mapping):
            return declared
        off = {name: None for name in SWITCHES if declared.get(name) is False or declared.get(name) == "off"}
        return {**declared, **off}

    @field_validator("own")
    @classmethod
    def _references(cls, functions: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if wrong := [reference for reference in functions if not re.match(REFERENCE, reference)]:
            raise ValueError(f"a gate of your own reads `package.module:function`; given: {wrong}")
        return functions

    @model_validator(mode="after")
    def _limits_that_can_be_reached(self) -> "Gates":
        problems = [problem for name, bound in self.bounds.items() if (problem := _out_of_range(name, bound))]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="after")
    def _names_apart(self) -> "Gates":
        names = [*type(self).model_fields, *map(gate_name, self.model_extra or {}), *map(gate_name, self.own)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several gates would be called {twice}: rename your function")
        return self

    @property
    def bounds(self) -> dict[str, Bound]:
        """The limits of metrics, by metric."""
        bounds = {name: getattr(self, name) for name in METRICS} | (self.model_extra or {})
        return {name: bound for name, bound in bounds.items() if bound is not None}

    @property
    def kinds(self) -> dict[str, GateKind]:
        """The gates of the catalogue that are on, by name, in the order in which they answer."""
        kinds = {kind.name: getattr(self, kind.name) for kind in KINDS}
        return {name: kind for name, kind in kinds.items() if kind is not None}

    @property
    def modules(self) -> list[str]:
        """The modules of the gates of one's own: part of the code that decides."""
        return sorted({reference.partition(":")[0] for reference in self.own})


def gate_name(name: str) -> str:
    """Return the name of the gate of a metric, or of one of the user's own: the function's where it is a reference."""
    return name.rpartition(":")[2]


def _out_of_range(name: str, bound: Bound) -> str | None:
    """Return what is wrong with limits that every value, or none, is within; None if nothing is."""
    if ":" in name:
        return None  # nothing is known of it
    low, high = Metric.named(name).range
    if (bound.at_least is not None and bound.at_least > high) or (bound.at_most is not None and bound.at_most < low):
        return f"no model can pass the limits of {name}, which lies between {low:g} and {high:g}"
    return None
