"""A recipe: how an asset is made, and which parts of the declaration and of the source decide the result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import dagster as dg

from assets.framework.case import Case
from ml.declaration.reads import Reads, modules_of
from ml.declaration.use_case import UseCaseSpec
from ml.provenance.coordinates import Loaded
from ml.provenance.source import decides
from resources.bentos import BentoStore
from resources.gpu.pool import GpuWish
from resources.storage import Stored
from resources.tracking.tracker import Tracker

# What is looked at beside the inputs: of a use case's name, the tracker and the stored inputs, a JSON value.
Outside: TypeAlias = Callable[[str, Tracker, Mapping[str, Stored]], Any]
# Raises what to do unless a use case and the origins of an asset's inputs, by argument, fit together.
Require: TypeAlias = Callable[[Case, Mapping[str, Loaded]], None]
NO_GPU = GpuWish("never")
ALWAYS_READ = Reads(("seed",))
DERIVED = "ml.declaration.derived"  # what follows from a declaration, which belongs to no part of it alone


@dataclass(frozen=True)
class Showing:
    """The way a result is shown, where that depends on more of the declaration than the result does.

    `function(step, value)` adds metadata and answers checks. It runs when a result is made, and again for a reused one
    if the parts of the declaration that it reads, the modules `code`, or what it looks at `outside`, are others than
    when it was shown last.
    """

    function: Callable[[Any, Any], None]
    reads: Reads
    code: Sequence[str] = ()
    outside: Outside | None = None


@dataclass(frozen=True)
class Recipe:
    """The way an asset is made; `assets.framework.asset.asset` explains each of these."""

    declared: Case
    name: str
    function: Callable[..., Any]
    reads: Reads
    always: bool = False
    grows: bool = False
    usable: Callable[[BentoStore, Any], bool] | None = None
    outside: Outside | None = None
    showing: Showing | None = None
    require: Require | None = None
    audit: Mapping[str, bool] = field(default_factory=dict)
    code: Sequence[str] = ()
    gpu: GpuWish = NO_GPU
    settable: Mapping[str, str] = field(default_factory=dict)
    configured: bool = False

    @property
    def key(self) -> dg.AssetKey:
        """The asset's key."""
        return self.declared.key(self.name)

    @property
    def roots(self) -> tuple[str, ...]:
        """The modules that decide the result, with what they import: its own, and those of the parts that it reads."""
        parts = filter(decides, modules_of(self.declared.only(self.reads).spec))
        return tuple(dict.fromkeys((self.function.__module__, DERIVED, *sorted(parts), *self.code)))

    def as_set(self, config: Mapping[str, Any]) -> Case:
        """Return the use case with what a run's config sets; raise ValueError for a value that may not be declared."""
        if not (config and self.settable):
            return self.declared
        values = self.declared.spec.resolved()
        for name, value in config.items():
            *path, last = self.settable[name].split(".")
            part = values
            for step in path:
                part = part[step]
            part[last] = value
        return replace(self.declared, spec=UseCaseSpec.model_validate(values))

    def view(self, case: Case, *, shown: bool = False) -> Case:
        """Return the use case with those parts alone that the asset reads to make its result, or to show it."""
        reads = self.reads.and_also(ALWAYS_READ)
        return case.only(reads.and_also(self.showing.reads) if self.showing and shown else reads)
