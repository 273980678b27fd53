"""A step: what an asset function works with beside its inputs."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from assets.framework.case import Case
from assets.framework.checks import check_result
from ml.base.files import scratch_folder
from ml.base.hashing import hash_json
from ml.declaration.reads import Reads
from ml.provenance.coordinates import Coordinates, Loaded
from ml.provenance.source import running
from ml.tables.findings import AuditError, Finding
from resources.bentos import BentoStore
from resources.gpu.pool import Lease
from resources.gpu.usage import measure
from resources.ledger import Ledger
from resources.storage import Storage, StorageError, Stored
from resources.studies import Studies
from resources.tracking.protocol import TrackedRun
from resources.tracking.tracker import Tracker


class Nothing(Exception):
    """There is no result, which is no failure: what is downstream does not run. Its text says why."""


@dataclass
class Step:
    """The tools of an asset function beside its inputs.

    `case` has only those parts of the declaration that the asset reads, with what the run's config sets in them.
    """

    case: Case
    name: str  # the asset's, within the use case
    declared: Mapping[str, Any]  # the whole declaration as JSON values, with what the run's config sets
    loaded: dict[str, Loaded]
    coordinates_of: Callable[[dict[str, Loaded]], Coordinates]
    storage: Storage
    tracking: Tracker
    run: TrackedRun
    log: Any
    resources: Any = None
    lease: Callable[[], AbstractContextManager[Lease]] = lambda: nullcontext(Lease("cpu"))
    audited: Mapping[str, bool] = field(default_factory=dict)  # the checks of the audit, and whether each blocks
    config: Mapping[str, Any] = field(default_factory=dict)  # what a run's config says to the asset
    once: str | None = None  # the Dagster run, where results are not reused: nothing of others may be taken up either
    metadata: dict[str, Any] = field(default_factory=dict)
    checks: list[dg.AssetCheckResult] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    attached: dict[str, Stored] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)  # descriptions of a table's columns
    closing: ExitStack = field(default_factory=ExitStack)  # what ends with the step

    @property
    def key(self) -> str:
        """The asset's key as a text."""
        return self.case.key(self.name).to_user_string()

    @property
    def bentos(self) -> BentoStore:
        """The store of Bentos, where the asset asks for it."""
        store: BentoStore = self.resources.bentos
        return store

    @property
    def studies(self) -> Studies:
        """Optuna's storage, where the asset asks for it."""
        studies: Studies = self.resources.studies
        return studies

    @cached_property
    def coordinates(self) -> Coordinates:
        """The coordinates of the result; once it has been asked for, nothing else may be loaded."""
        return self.coordinates_of(dict(self.loaded))

    @cached_property
    def folder(self) -> Path:
        """An empty folder for files that the result is stored from; it is gone after that."""
        return self.closing.enter_context(scratch_folder())

    @property
    def dagster_run(self) -> str:
        """The id of the Dagster run."""
        return str(self.coordinates_of(dict(self.loaded)).run["dagster"])

    def identity(self, reads: Reads) -> str:
        """Return the hash of everything that decides what is made so far, where of the config only `reads` counts."""
        so_far = self.coordinates_of(dict(self.loaded))
        return hash_json(
            {
                "data": {name: loaded.hash for name, loaded in self.loaded.items()},
                "code": so_far.code["source"],
                "environment": so_far.environment["id"],
                "seed": so_far.seed,
                "config": reads.decide(self.declared),
                "once": self.once,
            }
        )

    def also_loaded(self, name: str, data: Loaded) -> None:
        """Record what was loaded beside the inputs; raise RuntimeError once the coordinates were taken."""
        if "coordinates" in vars(self):
            raise RuntimeError(f"{name} was loaded after the coordinates were taken")
        self.loaded[name] = data

    def made_of(self, **data: Loaded) -> None:
        """Record that the result is made of this, and not of the inputs."""
        self.loaded.clear()
        for name, loaded in data.items():
            self.also_loaded(name, loaded)

    def attach(self, name: str, value: Any) -> None:
        """Store something that belongs to the result and is not the result, such as its figures."""
        self.attached[name] = self.storage.save(f"{self.key}/{name}", value)

    def attachment(self, name: str) -> Any:
        """Return what `attach` stored with this result; raise StorageError if it is lost or damaged."""
        if name not in self.attached:
            raise StorageError(f"nothing called {name!r} was stored with {self.key}; materialize it again")
        return self.storage.load(self.attached[name])

    def recalled(self, name: str, about: Mapping[str, Any], code: Sequence[str], make: Callable[[], Any]) -> Any:
        """Return a part of the result, from an earlier result of this asset if it was made of the same.

        What decides the part is `about`, hashes and plain values, and the modules `code` with what they import, beside
        environment and seed.
        """
        coordinates = self.coordinates_of(dict(self.loaded))
        key = hash_json(
            [dict(about), running().hash(*code), coordinates.environment["id"], coordinates.seed, self.once]
        )
        for record in reversed(Ledger().records.values()):
            if record["run"]["asset"] == self.key and record["labels"].get(f"{name} of") == key:
                try:
                    value = self.storage.load(Stored(**record["attached"][name]))
                except StorageError as error:
                    self.log.warning(f"{name} made again: {error}")
                    break
                self.attached[name], self.labels[f"{name} of"] = Stored(**record["attached"][name]), key
                return value
        value = make()
        self.attach(name, value)
        self.labels[f"{name} of"] = key
        return value

    def show(self, **values: Any) -> None:
        """Add metadata to the materialization."""
        self.metadata |= {name.replace("_", " "): value for name, value in values.items()}

    def metrics(self, values: Mapping[str, float], prefix: str = "") -> None:
        """Show metrics in the materialization and log them to MLflow."""
        self.metadata |= {f"{prefix}{name}": float(value) for name, value in values.items()}
        self.run.metrics({f"{prefix}{name}": value for name, value in values.items()})

    def figure(self, name: str, png: bytes) -> None:
        """Show a plot in the materialization and log it to MLflow."""
        encoded = base64.b64encode(png).decode()
        self.metadata[name] = dg.MetadataValue.md(f"![{name}](data:image/png;base64,{encoded})")
        self.run.file(f"{name}.png", png)

    def check(self, name: str, passed: bool, reason: str, figures: Mapping[str, float] | None = None) -> None:
        """Answer one of the asset's checks."""
        self.checks.append(check_result(name, passed, reason, figures=figures))

    def audit(self, *findings: Finding) -> None:
        """Answer checks of the audit; raise AuditError, and store nothing, if one that blocks has failed."""
        for finding in findings:
            blocks = self.audited[finding.check]
            self.checks.append(
                check_result(finding.check, finding.passed, finding.reason, table=finding.markdown, warns=not blocks)
            )
            if not finding.passed and not blocks:
                self.log.warning(f"{finding.check}: {finding.reason}")
        if failed := [finding for finding in findings if not finding.passed and self.audited[finding.check]]:
            raise AuditError(f"use case {self.case.name!r}, {self.name}", failed)

    @contextmanager
    def device(self) -> Iterator[str]:
        """Lease the device that the asset wishes for: "cpu" or "cuda:0" for the block; show what it did there."""
        with self.lease() as lease, measure(next(iter(lease.gpus), None)) as usage:
            yield lease.device
        self.metadata |= {"device": lease.device, **usage.metadata()}
        if lease.share:
            self.metadata["GPU share"] = lease.share
        if lease.downgrade:
            self.metadata["downgrade"] = f"gpu: preferred, but {lease.downgrade}: this ran on the CPU"
