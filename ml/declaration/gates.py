"""The gates of a declaration: a metric's limits, the kinds of the catalogue, and gates of the user's own."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field, create_model, field_validator, model_validator

from ml.declaration.gate_kinds.bound import Bound
from ml.declaration.gate_kinds.catalogue import KINDS, SWITCHES
from ml.declaration.gate_kinds.kind import GateKind
from ml.declaration.models import REFERENCE
from ml.declaration.part import Part
from ml.tasks.metrics import METRICS

if TYPE_CHECKING:
    from ml.declaration.gate_kinds.baseline import BaselineGate
    from ml.declaration.gate_kinds.champion import ChampionGate
    from ml.declaration.gate_kinds.plausible import PlausibleGate

    class _CatalogueFields(Part):
        """The gates whose measurements the evaluation makes; a type checker cannot follow how the fields come about."""

        baseline: BaselineGate | None = None
        champion: ChampionGate = ChampionGate()
        plausible: PlausibleGate = PlausibleGate()
else:  # one field a metric, then one a kind, in the order of their catalogues
    _BOUNDS = {
        metric.name: (Bound | None, Field(None, description=f"Limits for {metric.description}."))
        for metric in METRICS.values()
    }
    _KINDS = {
        kind.name: (kind | None if kind.can_be_off else kind, Field(kind(), description=kind.description))
        for kind in KINDS
    }
    _CatalogueFields = create_model("_CatalogueFields", __base__=Part, **_BOUNDS, **_KINDS)


def _off_in_schema(schema: dict[str, Any]) -> None:
    for name in SWITCHES:
        schema["properties"][name]["anyOf"].append({"enum": [False, "off"]})


class Gates(_CatalogueFields):
    """The gates before a candidate becomes the champion. What has a default is on unless it is `off`."""

    model_config = ConfigDict(json_schema_extra=_off_in_schema)

    own: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Gates of your own: `package.module:function` and its options. The function takes the evaluation "
        "and the options and returns a verdict; its name is that of the gate.",
    )

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
        names = [*cls.model_fields, *(reference.partition(":")[2] for reference in functions)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several gates would be called {twice}: rename your function")
        return functions

    @property
    def bounds(self) -> dict[str, Bound]:
        """The limits of metrics, by metric."""
        bounds = {name: getattr(self, name) for name in METRICS}
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
