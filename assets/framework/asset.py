"""The one decorator behind every asset: storage, reuse, tracking and coordinates around a plain function."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import dagster as dg

from assets.framework.case import Case
from assets.framework.checks import KEPT, answered_again, refused, stored_checks
from assets.framework.metadata import (
    REUSED,
    SHOWN_ANEW,
    carried_over,
    coordinates_metadata,
    table_metadata,
    tags,
)
from assets.framework.recipe import NO_GPU, Outside, Recipe, Require, Showing
from assets.framework.reuse import REUSE_KEY, SHOW_KEY, reusable, reuse_key, show_key
from assets.framework.step import Nothing, Step
from ml.base.processes import end_with_run
from ml.declaration.reads import Reads
from ml.provenance.coordinates import Coordinates, Loaded, code_coordinate, environment_coordinate
from ml.provenance.source import running
from ml.tables.findings import AuditError
from resources.bentos import BentoStore
from resources.gpu.pool import GpuWish
from resources.ledger import Ledger
from resources.settings import settings
from resources.storage import METADATA, Columns, Stored
from resources.tracking.protocol import TrackedRun
from resources.tracking.tracker import asset_run

Event = dg.MaterializeResult[Any] | dg.AssetCheckResult | dg.AssetObservation
BASE_RESOURCES = {"storage", "tracking"}


def asset(
    declared: Case,
    name: str,
    *,
    stage: str,
    kinds: set[str],
    reads: Reads,
    ins: Mapping[str, str] | None = None,
    always: bool = False,
    grows: bool = False,
    usable: Callable[[BentoStore, Any], bool] | None = None,
    outside: Outside | None = None,
    showing: Showing | None = None,
    require: Require | None = None,
    checks: Sequence[str] = (),
    audit: Mapping[str, bool] | None = None,
    code: Sequence[str] = (),
    gpu: GpuWish = NO_GPU,
    resources: Sequence[str] = (),
    settable: Mapping[str, str] | None = None,
    config: Mapping[str, dg.Field] | None = None,
    optional: bool = False,
    early: bool = False,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make an asset of a function `(step, **inputs) -> value`; `ins` maps its arguments to assets of the use case.

    A result whose inputs, code, config, environment and seed equal those of a stored one is taken from there, unless
    `always` (what reads or changes the outside world runs always), or unless it is lost, damaged or no longer
    `usable`. The config is the parts of the declaration that it `reads`: it sees no other. The code is the function's
    module and what it imports, that of the parts it reads, and that of the modules `code`. What it looks at `outside`,
    beside its inputs, is a value that decides too. `showing` is how a result is shown, where that reads more. What the
    inputs must meet, be it made or reused, is for `require` to raise. A function may raise: nothing is stored then. An
    input annotated as Columns is read when the function asks for columns of it. A table that `grows` shares files with
    the one before where it starts with all rows of that. `settable` are the names of numbers that a run's config may
    set for this asset, and where they stand in the declaration: what was set is then part of the config, as if it had
    been declared. `checks` are answered by the function; those of the `audit` may block: where one of these has
    failed, nothing is stored and what is downstream does not run. What `config` names a run may say to this asset, as
    `Step.config`. Beside storage and tracking it is given the named `resources`. An `optional` one may raise Nothing.
    An `early` one goes first among those that a run could start.
    """

    def wrap(function: Callable[..., Any]) -> dg.AssetsDefinition:
        recipe = Recipe(
            declared, name, function, reads, always, grows, usable, outside, showing, require, audit or {}, code, gpu,
            settable or {}, config is not None,
        )  # fmt: skip

        @dg.asset(
            key=recipe.key,
            ins={argument: dg.AssetIn(declared.key(source)) for argument, source in (ins or {}).items()},
            group_name=f"{declared.name}_{stage}",
            kinds=kinds,
            owners=declared.spec.owners or None,
            description=function.__doc__,
            code_version=running().hash(*recipe.roots)[:12],
            io_manager_key="io_manager",
            pool=gpu.pool,
            check_specs=[
                *(dg.AssetCheckSpec(check, asset=recipe.key) for check in checks),
                *(
                    dg.AssetCheckSpec(check, asset=recipe.key, blocking=blocks)
                    for check, blocks in recipe.audit.items()
                ),
            ],
            config_schema=_settings(settable) if settable else config,
            required_resource_keys=BASE_RESOURCES | set(resources) | ({"gpus"} if gpu.gpu != "never" else set()),
            output_required=not optional,
            op_tags={"dagster/priority": "1"} if early else None,
        )
        def compute(context: dg.AssetExecutionContext, **inputs: Any) -> Iterator[Event]:
            end_with_run()  # one that is killed leaves no step behind that goes on, writes, or holds a GPU
            yield from _Materialization(recipe, context).events(inputs)

        return compute

    return wrap


def _settings(settable: Mapping[str, str]) -> dict[str, dg.Field]:
    """Return numbers of the declaration as fields of a run's config."""
    return {
        name: dg.Field(int, is_required=False, description=f"Instead of {place} in the declaration.")
        for name, place in settable.items()
    }


class _Materialization:
    """One materialization of an asset: a stored result, or one that is made."""

    def __init__(self, recipe: Recipe, context: dg.AssetExecutionContext) -> None:
        self.recipe, self.context, self.resources = recipe, context, context.resources
        self.given = context.op_execution_context.op_config or {}
        self.case = recipe.as_set(self.given)
        never = "never" in (self.case.spec.reuse, context.run.tags.get("sextant/reuse"))
        self.once = (context.run.root_run_id or context.run.run_id) if never else None
        self.device = None if recipe.gpu.gpu == "never" else self.resources.gpus.planned(recipe.gpu)

    def events(self, inputs: Mapping[str, Any]) -> Iterator[Event]:
        """Yield the materialization with its checks; of an asset that may be absent, an observation that says so."""
        resources = self.resources
        if self.recipe.require:
            self.recipe.require(self.case, _origins(inputs))
        key = reuse_key(self.recipe, self.case, inputs, self.device, resources.tracking)
        if not (self.recipe.always or self.once):
            bentos = resources.bentos if self.recipe.usable else None
            if earlier := reusable(self.context, self.recipe, key, resources.storage, bentos):
                yield self._reused(earlier, inputs)
                return
        yield from self._made(inputs, key)

    def _made(self, inputs: Mapping[str, Any], key: str) -> Iterator[Event]:
        recipe, context = self.recipe, self.context
        values, loaded = self._loaded(inputs)
        with self._tracked() as run, ExitStack() as closing:
            step = self._step(run, loaded, partial(self._coordinates, run))
            step.closing = closing
            try:
                value = recipe.function(step, **values)
                coordinates = step.coordinates
                if recipe.showing:
                    self._show(recipe.showing, step, value)
            except AuditError as error:
                yield from refused(step.checks, error, recipe.audit)
                raise
            except Nothing as nothing:
                context.log.warning(str(nothing))
                yield dg.AssetObservation(recipe.key, str(nothing), metadata={**step.metadata, "reason": str(nothing)})
                return
            stored = self._stored(step, value, coordinates)
            metadata = {
                **step.metadata,
                **table_metadata(value, step.columns),
                "MLflow run": dg.MetadataValue.url(run.link()),
                **coordinates_metadata(coordinates),
                KEPT: stored_checks(step.checks),
                REUSE_KEY: key,
                **self._shown(inputs),
            }
        yield _result(stored, metadata, step.checks)

    def _reused(self, earlier: Mapping[str, Any], inputs: Mapping[str, Stored]) -> dg.MaterializeResult[Any]:
        """Return the stored result, shown anew where that has changed."""
        self.context.log.info("Reused: data, code, config, environment and seed are those of a stored result")
        stored, identity = Stored(**earlier[METADATA].value), str(earlier["coordinates id"].value)
        ledger = Ledger()
        ledger.materialized(self.recipe.key.to_user_string(), identity)
        shown = self._shown(inputs)
        if not shown or earlier.get(SHOW_KEY) == shown[SHOW_KEY]:
            return _result(stored, {**carried_over(earlier), REUSED: True}, answered_again(earlier))
        coordinates = ledger.coordinates(identity)
        with self._tracked() as run:
            step = self._step(run, dict(coordinates.data), lambda _: coordinates)
            step.attached = ledger.attached(identity)
            assert self.recipe.showing is not None
            self._show(self.recipe.showing, step, step.storage.load(stored))
            ledger.show(step.key, [step.labels["report"]] if "report" in step.labels else [])
            metadata = {**carried_over(earlier), **step.metadata, **shown, KEPT: stored_checks(step.checks)}
            metadata |= {
                "MLflow run": dg.MetadataValue.url(run.link()),
                REUSED: True,
                SHOWN_ANEW: True,
            }
        return _result(stored, metadata, step.checks)

    def _show(self, showing: Showing, step: Step, value: Any) -> None:
        step.case = self.recipe.view(self.case, shown=True)
        showing.function(step, value)

    def _shown(self, inputs: Mapping[str, Stored]) -> dict[str, dg.MetadataValue[Any]]:
        key = show_key(self.recipe, self.case, inputs, self.resources.tracking)
        return {SHOW_KEY: dg.MetadataValue.text(key)} if key else {}

    def _loaded(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Loaded]]:
        """Return the inputs' values, and what was loaded."""
        values, annotations = {}, self.recipe.function.__annotations__
        for argument, version in sorted(inputs.items()):
            later = annotations.get(argument) is Columns
            storage = self.resources.storage
            values[argument] = Columns(storage, version) if later else storage.load(version)
        return values, _origins(inputs)

    def _tracked(self) -> Any:
        fluent = self.case.spec.tracking.fluent  # decides no result, so it is no part that an asset reads
        return asset_run(self.resources.tracking, self.recipe.key, self.context.run.run_id, fluent=fluent)

    def _step(
        self, run: TrackedRun, loaded: dict[str, Loaded], coordinates_of: Callable[[dict[str, Loaded]], Coordinates]
    ) -> Step:
        recipe, context, resources = self.recipe, self.context, self.resources
        step = Step(
            case=recipe.view(self.case),
            name=recipe.name,
            declared=self.case.spec.resolved(),
            loaded=loaded,
            coordinates_of=coordinates_of,
            storage=resources.storage,
            tracking=resources.tracking,
            run=run,
            log=context.log,
            resources=resources,
            audited=recipe.audit,
            config=self.given if recipe.configured else {},
            once=self.once,
        )
        if self.device is not None:
            about = {"run": context.run.run_id, "asset": recipe.key.to_user_string()}
            step.lease = partial(resources.gpus.lease, recipe.gpu, about=about, say=context.log.info)
        return step

    def _stored(self, step: Step, value: Any, coordinates: Coordinates) -> Stored:
        """Store a result whole, and keep its coordinates; raise dagster.Failure if the source has changed meanwhile."""
        if changed := running().changed(*self.recipe.roots):
            raise dg.Failure(f"the source changed while this step ran ({', '.join(changed)}); run it again")
        ledger = Ledger()
        earlier = ledger.latest_result(step.key) if self.recipe.grows else None
        stored: Stored = step.storage.save(step.key, value, grown_from=earlier)
        ledger.keep(coordinates, stored, running(), step.labels, step.attached)
        ledger.materialized(step.key, coordinates.id)
        if self.recipe.showing:
            ledger.show(step.key, [])
        step.run.tag(tags(coordinates))
        return stored

    def _coordinates(self, run: TrackedRun, data: dict[str, Loaded]) -> Coordinates:
        code = code_coordinate(*self.recipe.roots, commit=settings().commit)
        code["roots"] += self.recipe.showing.code if self.recipe.showing else ()  # recorded, and decides no reuse
        return Coordinates(
            data=data,
            code=code,
            config=self.recipe.reads.coordinate(self.case.spec.resolved()),
            environment=environment_coordinate(self.device),
            run={"dagster": self.context.run.run_id, "asset": self.recipe.key.to_user_string(), "mlflow": run.id},
            seed=self.case.spec.seed,
        )


def _origins(inputs: Mapping[str, Any]) -> dict[str, Loaded]:
    return {
        argument: Loaded(version.asset, version.hash, version.coordinates)
        for argument, version in sorted(inputs.items())
    }


def _result(
    stored: Stored, metadata: Mapping[str, Any], checks: Sequence[dg.AssetCheckResult]
) -> dg.MaterializeResult[Any]:
    return dg.MaterializeResult(
        value=stored, data_version=dg.DataVersion(stored.hash), metadata=dict(metadata), check_results=list(checks)
    )
