"""The one decorator behind every asset: storage, reuse, tracking and coordinates around a plain function."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import isfinite
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from ml.base.hashing import hash_json
from ml.base.processes import end_with_run
from ml.declaration.use_case import UseCaseSpec
from ml.provenance.coordinates import Coordinates, Loaded, code_coordinate, config_coordinate, environment_coordinate
from ml.provenance.source import running
from ml.tables.findings import AuditError, Finding
from resources.bentos import BentoStore
from resources.gpu.pool import GpuPool, GpuWish, Lease
from resources.gpu.usage import measured
from resources.ledger import Ledger
from resources.storage import METADATA, Columns, Storage, StorageError, Stored
from resources.studies import Studies
from resources.tracking.runs import TrackedRun, Tracking

REUSE_KEY, CHECKS = "reuse_key", "checks"
NO_GPU = GpuWish("never")


class Nothing(Exception):
    """There is no result, which is no failure: what is downstream does not run. Its text says why."""


@dataclass(frozen=True)
class Case:
    """A use case: its name, which is the folder's, and what it declares."""

    name: str
    spec: UseCaseSpec

    def key(self, asset: str) -> dg.AssetKey:
        """The asset key of `models/lightgbm` and the like."""
        return dg.AssetKey([self.name, *asset.split("/")])


@dataclass
class Step:
    """What an asset function works with, beside its inputs."""

    case: Case
    loaded: dict[str, Loaded]
    made_from: Callable[[dict[str, Loaded]], Coordinates]
    storage: Storage
    tracking: Tracking
    lease: Callable[[], AbstractContextManager[Lease]]
    bentos: BentoStore
    studies: Studies
    run: TrackedRun
    log: Any
    name: str  # the asset's, within the use case
    audited: Mapping[str, bool] = field(default_factory=dict)  # the checks of the audit, and whether each blocks
    given: Mapping[str, Any] = field(default_factory=dict)  # what a run's config says
    once: str | None = None  # the Dagster run, where results are not reused: nothing of others may be taken up either
    metadata: dict[str, Any] = field(default_factory=dict)
    checks: list[dg.AssetCheckResult] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)  # descriptions of a table's columns

    @cached_property
    def coordinates(self) -> Coordinates:
        """Where the result comes from; once it has been asked for, nothing else may be loaded."""
        return self.made_from(dict(self.loaded))

    def identity(self, config: Mapping[str, Any]) -> str:
        """The hash of everything that decides what is made so far, where of the config only this counts."""
        so_far = self.made_from(dict(self.loaded))
        return hash_json(
            {
                "data": {name: loaded.hash for name, loaded in self.loaded.items()},
                "code": so_far.code["source"],
                "environment": so_far.environment["id"],
                "seed": so_far.seed,
                "config": dict(config),
                "once": self.once,
            }
        )

    def also_loaded(self, name: str, data: Loaded) -> None:
        """Records what was loaded beside the inputs."""
        if "coordinates" in vars(self):
            raise RuntimeError(f"{name} was loaded after the coordinates were taken")
        self.loaded[name] = data

    def show(self, **values: Any) -> None:
        """Adds metadata to the materialization."""
        self.metadata |= {name.replace("_", " "): value for name, value in values.items()}

    def made_of(self, **data: Loaded) -> None:
        """Records that the result is made of this, and not of the inputs."""
        self.loaded.clear()
        for name, each in data.items():
            self.also_loaded(name, each)

    def metrics(self, values: Mapping[str, float], prefix: str = "") -> None:
        """Shows metrics in the materialization and logs them to MLflow."""
        self.metadata |= {f"{prefix}{name}": float(value) for name, value in values.items()}
        self.run.metrics({f"{prefix}{name}": value for name, value in values.items()})

    def check(self, name: str, passed: bool, reason: str, figures: Mapping[str, float] | None = None) -> None:
        """Answers one of the asset's checks."""
        self.checks.append(_check(name, passed, reason, figures=figures))

    def audit(self, *findings: Finding) -> None:
        """Answers checks of the audit; raises AuditError, and nothing is stored, if one that blocks has failed."""
        for each in findings:
            blocks = self.audited[each.check]
            self.checks.append(_check(each.check, each.passed, each.reason, found=each.markdown, warns=not blocks))
            if not each.passed and not blocks:
                self.log.warning(f"{each.check}: {each.reason}")
        if refused := [each for each in findings if not each.passed and self.audited[each.check]]:
            raise AuditError(f"use case {self.case.name!r}, {self.name}", refused)

    def refused(self, error: AuditError) -> list[dg.AssetCheckResult]:
        """All answers so far, and those of the findings that made the result impossible."""
        answered = {each.check_name for each in self.checks}
        findings = [each for each in error.findings if each.check in self.audited and each.check not in answered]
        return [*self.checks, *(_check(each.check, False, each.reason, found=each.markdown) for each in findings)]

    @contextmanager
    def device(self) -> Iterator[str]:
        """The device that the asset wishes for, leased for the block, "cpu" or "cuda:0"; what it did there is shown."""
        with self.lease() as lease, measured(next(iter(lease.gpus), None)) as usage:
            yield lease.device
        self.metadata |= {"device": lease.device, **usage.metadata()}
        if lease.share:
            self.metadata["GPU share"] = lease.share
        if lease.downgrade:
            self.metadata["downgrade"] = f"gpu: preferred, but {lease.downgrade}: this ran on the CPU"

    def figure(self, name: str, png: bytes) -> None:
        """Shows a plot in the materialization and logs it to MLflow."""
        encoded = base64.b64encode(png).decode()
        self.metadata[name] = dg.MetadataValue.md(f"![{name}](data:image/png;base64,{encoded})")
        self.run.file(f"{name}.png", png)


def asset(
    declared: Case,
    name: str,
    *,
    stage: str,
    kinds: set[str],
    ins: Mapping[str, str] | None = None,
    always: bool = False,
    grows: bool = False,
    usable: Callable[[BentoStore, Any], bool] | None = None,
    checks: Sequence[str] = (),
    audit: Mapping[str, bool] | None = None,
    code: Sequence[str] = (),
    gpu: GpuWish = NO_GPU,
    settable: Mapping[str, str] | None = None,
    config: Mapping[str, dg.Field] | None = None,
    optional: bool = False,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Makes an asset of a function `(step, **inputs) -> value`; `ins` maps its arguments to assets of the use case.

    A result whose inputs, code, config, environment and seed equal those of a stored one is taken from there, unless
    `always` (what reads or changes the outside world runs always), or unless it is lost, damaged or no longer `usable`.
    The code is the function's module and what it imports, and that of the modules `code`. A function may raise:
    nothing is stored then. An input annotated as Columns is read when the function asks for columns of it. A table that
    `grows` shares files with the one before where it starts with all rows of that. `settable` are the names of numbers
    that a run's config may set for this asset, and where they stand in the declaration: what was set is then part of
    the config, as if it had been declared. `checks` are answered by the function; those of the `audit` may block: where
    one of these has failed, nothing is stored and what is downstream does not run. What `config` names a run may say to
    this asset, as `Step.given`. An `optional` one may raise Nothing.
    """

    def wrap(function: Callable[..., Any]) -> dg.AssetsDefinition:
        key, roots = declared.key(name), (function.__module__, *code)

        @dg.asset(
            key=key,
            ins={argument: dg.AssetIn(declared.key(source)) for argument, source in (ins or {}).items()},
            group_name=f"{declared.name}_{stage}",
            kinds=kinds,
            owners=declared.spec.owners or None,
            description=function.__doc__,
            code_version=running().hash(*roots)[:12],
            io_manager_key="io_manager",
            pool=gpu.pool,
            check_specs=[
                *(dg.AssetCheckSpec(check, asset=key) for check in checks),
                *(dg.AssetCheckSpec(check, asset=key, blocking=blocks) for check, blocks in (audit or {}).items()),
            ],
            config_schema={name: _setting(place) for name, place in settable.items()} if settable else config,
            output_required=not optional,
        )
        def compute(
            context: dg.AssetExecutionContext,
            storage: Storage,
            tracking: Tracking,
            gpus: GpuPool,
            bentos: BentoStore,
            studies: Studies,
            **inputs: Any,
        ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult | dg.AssetObservation]:
            end_with_run()  # one that is killed leaves no step behind that goes on, writes, or holds a GPU
            case = _as_set(declared, settable, context.op_execution_context.op_config) if settable else declared
            never = "never" in (case.spec.reuse, context.run.tags.get("sextant/reuse"))
            once = (context.run.root_run_id or context.run.run_id) if never else None
            device = gpus.planned(gpu)
            reuse_key = _reuse_key(case, key, roots, inputs, device)
            for metadata in [] if always or never else _earlier(context, key, reuse_key):
                stored = Stored(**metadata[METADATA].value)
                try:
                    storage.verify(stored)
                except StorageError as error:
                    context.log.warning(f"Made again: {error}")
                    continue
                if usable is None or usable(bentos, storage.load(stored)):
                    Ledger().materialized(key.to_user_string(), str(metadata["coordinates id"].value))
                    yield _reused(context, stored, metadata)
                    return
            values, loaded = {}, {}
            for argument, version in sorted(inputs.items()):
                later = function.__annotations__.get(argument) is Columns
                values[argument] = Columns(storage, version) if later else storage.load(version)
                loaded[argument] = Loaded(version.asset, version.hash, version.coordinates)
            with tracking.run(case.name, name, _links(tracking, context, key)) as run:
                made_from = partial(_coordinates, case, context, key, roots, run, device)
                about = {"run": context.run.run_id, "asset": key.to_user_string()}
                lease = partial(gpus.lease, gpu, about=about, say=context.log.info)
                step = Step(case, loaded, made_from, storage, tracking, lease, bentos, studies, run, context.log, name)
                step.once, step.audited = once, audit or {}
                step.given = context.op_execution_context.op_config or {} if config else {}
                try:
                    value, coordinates = function(step, **values), step.coordinates
                except AuditError as error:
                    yield from step.refused(error)
                    raise
                except Nothing as nothing:
                    context.log.warning(str(nothing))
                    yield dg.AssetObservation(key, str(nothing), metadata={**step.metadata, "reason": str(nothing)})
                    return
                if changed := running().changed(*roots):
                    raise dg.Failure(f"the source changed while this step ran ({', '.join(changed)}); run it again")
                ledger = Ledger()
                earlier = ledger.latest_result(key.to_user_string()) if grows else None
                stored = storage.save(key.to_user_string(), value, grown_from=earlier)
                ledger.keep(coordinates, stored, running(), step.labels)
                ledger.materialized(key.to_user_string(), coordinates.id)
                for tag, text in _tags(coordinates).items():
                    run.client.set_tag(run.id, tag, text)
                metadata = {
                    **step.metadata,
                    **_table_metadata(value, step.columns),
                    "MLflow run": dg.MetadataValue.url(tracking.link(run)),
                    "coordinates id": coordinates.id,
                    "coordinates": dg.MetadataValue.json(coordinates.summary()),
                    CHECKS: dg.MetadataValue.json({str(each.check_name): _answer(each) for each in step.checks}),
                    REUSE_KEY: reuse_key,
                }
            yield dg.MaterializeResult(
                value=stored, data_version=dg.DataVersion(stored.hash), metadata=metadata, check_results=step.checks
            )

        return compute

    return wrap


def _setting(place: str) -> dg.Field:
    """A number of the declaration, as a field of a run's config."""
    return dg.Field(int, is_required=False, description=f"Instead of {place} in the declaration.")


def _as_set(declared: Case, settable: Mapping[str, str], given: Mapping[str, Any]) -> Case:
    """The use case with what a run's config sets; raises ValueError for a value that no declaration may have."""
    if not given:
        return declared
    values = declared.spec.resolved()
    for name, value in given.items():
        *path, last = settable[name].split(".")
        part = values
        for each in path:
            part = part[each]
        part[last] = value
    return replace(declared, spec=UseCaseSpec.model_validate(values))


def _reuse_key(
    case: Case, key: dg.AssetKey, roots: Sequence[str], inputs: Mapping[str, Stored], device: str | None
) -> str:
    """The hash of everything that decides a result."""
    return hash_json(
        {
            "asset": key.to_user_string(),
            "inputs": {argument: stored.hash for argument, stored in inputs.items()},
            "code": running().hash(*roots),
            "config": config_coordinate(case.spec.resolved())["hash"],
            "seed": case.spec.seed,
            "environment": environment_coordinate(device)["id"],
        }
    )


def _earlier(context: dg.AssetExecutionContext, key: dg.AssetKey, reuse_key: str) -> list[dict[str, Any]]:
    """The metadata of materializations that this one would repeat, the latest first."""
    records = context.instance.fetch_materializations(key, limit=50).records
    made = [dict(record.asset_materialization.metadata) for record in records if record.asset_materialization]
    return [metadata for metadata in made if (found := metadata.get(REUSE_KEY)) and found.value == reuse_key]


def _reused(context: dg.AssetExecutionContext, stored: Stored, metadata: dict[str, Any]) -> dg.MaterializeResult[Any]:
    context.log.info("Reused: data, code, config, environment and seed are those of a stored result")
    kept = {
        name: value
        for name, value in metadata.items()
        if name not in {METADATA, "dagster/uri", "files", "size (bytes)"}
    }
    answered = metadata[CHECKS].value if CHECKS in metadata else {}
    return dg.MaterializeResult(
        value=stored,
        data_version=dg.DataVersion(stored.hash),
        metadata={**kept, "reused": True},
        check_results=[_check(name, **answer) for name, answer in answered.items()],
    )


def _check(
    name: str,
    passed: bool,
    reason: str,
    found: str = "",
    warns: bool = False,
    figures: Mapping[str, float] | None = None,
) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR
    table = {"found": dg.MetadataValue.md(found)} if found else {}
    numbers = {figure: _figure(float(value)) for figure, value in (figures or {}).items()}
    metadata: dict[str, Any] = {"reason": reason, **table, **numbers}
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=severity, metadata=metadata)


def _figure(value: float) -> dg.MetadataValue[Any]:
    """A number; as a text where it is none, which the UI's JSON cannot say."""
    return dg.MetadataValue.float(value) if isfinite(value) else dg.MetadataValue.text(str(value))


def _answer(check: dg.AssetCheckResult) -> dict[str, Any]:
    """What is kept of an answered check, so that a reused result answers it again."""
    found = {"found": check.metadata["found"].value} if "found" in check.metadata else {}
    figures = {name: each.value for name, each in check.metadata.items() if isinstance(each, dg.FloatMetadataValue)}
    warns = check.severity == dg.AssetCheckSeverity.WARN
    reason = check.metadata["reason"].value
    return {"passed": check.passed, "reason": reason, **found, "warns": warns, "figures": figures}


def _coordinates(
    case: Case,
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    roots: Sequence[str],
    run: TrackedRun,
    device: str | None,
    data: dict[str, Loaded],
) -> Coordinates:
    return Coordinates(
        data=data,
        code=code_coordinate(*roots),
        config=config_coordinate(case.spec.resolved()),
        environment=environment_coordinate(device),
        run={"dagster": context.run.run_id, "asset": key.to_user_string(), "mlflow": run.id},
        seed=case.spec.seed,
    )


def _links(tracking: Tracking, context: dg.AssetExecutionContext, key: dg.AssetKey) -> dict[str, str]:
    """Tags that lead from MLflow to Dagster; `mlflow.note.content` is the description on the run's page."""
    run, asset = tracking.dagster_links(context.run.run_id, "/".join(key.path))
    return {
        "dagster.run_id": context.run.run_id,
        "dagster.asset_key": key.to_user_string(),
        "mlflow.note.content": f"[Dagster run]({run}), which materialized the asset [{key.to_user_string()}]({asset})",
    }


def _tags(coordinates: Coordinates) -> dict[str, str]:
    summary = coordinates.summary()
    return {"sextant.coordinates": coordinates.id} | {
        f"sextant.{name}": json.dumps(value, sort_keys=True) for name, value in summary.items() if name != "id"
    }


def _table_metadata(value: Any, descriptions: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(value, pd.DataFrame):
        value = pa.Schema.from_pandas(value, preserve_index=False), len(value)
    elif isinstance(value, pa.Table):
        value = value.schema, value.num_rows
    else:
        return {}
    schema, rows = value
    columns = [dg.TableColumn(field.name, str(field.type), descriptions.get(field.name)) for field in schema]
    return {
        "dagster/row_count": rows,
        "dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns=columns)),
    }
