"""The plan: how a business record becomes the features that the model was trained on."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from service.plan.parts import (
    ColumnType,
    Cutoff,
    EventTable,
    Feature,
    Lookup,
    Part,
    Source,
    Synthesis,
    WindowFeature,
    WindowLookup,
)


class Task(Part, frozen=True):
    """The prediction: the probability of the positive class, that of each of `classes` in turn, or a number.

    Where there are several `targets`, it is that of each of them in turn.
    """

    kind: Literal["binary", "multiclass", "regression"] = "binary"
    classes: tuple[str, ...] = ()
    several: tuple[str, ...] | msgspec.UnsetType = msgspec.field(name="targets", default=msgspec.UNSET)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of several targets; none where there is one, which a plan says nothing of."""
        return () if self.several is msgspec.UNSET else self.several


class Plan(Part, frozen=True):
    """The whole of `plan.json`; `key` are the columns by which a record may say which row it is, no features."""

    use_case: str
    record: dict[str, ColumnType]
    required: list[str]
    features: list[Feature]
    cutoff: Cutoff | None = None
    lookups: dict[str, Lookup] = msgspec.field(default_factory=dict)
    events: dict[str, EventTable] = msgspec.field(default_factory=dict)
    synthesis: Synthesis | None = None
    sources: list[Source] = msgspec.field(default_factory=list)
    golden: str = "golden.json"
    task: Task = Task()
    key: dict[str, ColumnType] = msgspec.field(default_factory=dict)

    @property
    def columns(self) -> dict[str, ColumnType]:
        """The columns that a record may have: those that features are made of, and those of its key."""
        return {**self.key, **self.record}

    @property
    def first_cutoff(self) -> dt.datetime | None:
        """The first cutoff at which every window lies in its lookup's history; None: there are no window lookups.

        Windows over all of the history ask for nothing before `since`.
        """
        reach = {name: 0.0 for name, lookup in self.lookups.items() if isinstance(lookup, WindowLookup)}
        for feature in self.features:
            if isinstance(feature, WindowFeature):
                reach[feature.lookup] = max(reach[feature.lookup], feature.window_s or 0.0)
        return max(
            (
                lookup.since + dt.timedelta(seconds=reach[name])
                for name, lookup in self.lookups.items()
                if isinstance(lookup, WindowLookup)
            ),
            default=None,
        )


class BundleError(ValueError):
    """The bundle contradicts itself: it was built wrong, and no request can cure it."""

    def __init__(self, file: str, problems: list[str]) -> None:
        super().__init__(f"{file} cannot be served; build the Bento again:\n" + "\n".join(f"- {p}" for p in problems))


def encode_plan(plan: Plan) -> bytes:
    """Encode a plan as the content of `plan.json`, indented; without a synthesis, sources or a key it has none."""
    fields = msgspec.structs.asdict(plan)
    for name in ("synthesis", "sources", "key"):
        if not fields[name]:
            del fields[name]
    return msgspec.json.format(msgspec.json.encode(fields), indent=1)
