"""Decisions of people about the champion: to approve a waiting candidate, to go back to an older one, to have none."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from assets.framework.step import Nothing, Step
from assets.promotion.champion import EVALUATED, GOLDEN, as_tag, data_of, keep, move, promote, require_passed, unfit
from assets.promotion.requests import Request
from assets.stages.values import ProductionModel
from ml.base.hashing import hash_bytes
from ml.evaluation.record import Evaluation
from ml.exported.golden_rows import GoldenError, check_golden
from ml.exported.model import ExportedModel
from ml.provenance.coordinates import Loaded
from resources.ledger import Ledger, LedgerError
from resources.storage import StorageError, Stored
from resources.tracking.history import APPROVED, CONFIRMED, PROMOTED, RETIRED, ROLLBACK, Standing
from resources.tracking.protocol import RegisteredVersion, RegistryError
from resources.tracking.registry import CHALLENGER, MODEL_HASH, Registry

GATED = (PROMOTED, APPROVED, ROLLBACK, CONFIRMED)  # what is done to a version that has passed its gates


def decide(step: Step, registry: Registry, request: Request) -> ProductionModel:
    """Do what was asked, if the champion is still the one that it was asked about; raise Nothing if none is left."""
    actions = {"approve": approve, "rollback": roll_back, "retire": retire}
    return actions[request.action](step, registry, request)


def approve(step: Step, registry: Registry, request: Request) -> ProductionModel:
    """Make the challenger the champion, if it is the version that was approved and every gate still lets it."""
    champion, challenger = _intact(registry), registry.with_alias(CHALLENGER)
    if champion is not None and champion.version == request.version:
        return keep(step, registry, champion, f"version {request.version} is the champion already")
    request.require_champion(registry.standing())
    if challenger is None or challenger.version != request.version:
        waits = f"version {challenger.version} does" if challenger else "none does"
        raise _refusal(f"version {request.version} does not wait for an approval; {waits}")
    model = ExportedModel(registry.file(request.version))
    model_hash = model.hash
    if model_hash != challenger.tags.get(MODEL_HASH):
        raise _refusal(f"version {request.version} is not the model that was registered: its hash is {model_hash[:12]}")
    origin, evaluation = _evaluation(step, request, model, champion)
    require_passed(step, evaluation, model_hash, champion)
    if step.case.spec.production.dry_run:
        return keep(step, registry, champion, f"dry run: version {request.version} would become the champion")
    registry.tag(request.version, {EVALUATED: as_tag(origin)})
    step.made_of(**{**data_of(step, challenger), "evaluation": origin})
    return promote(step, registry, request.version, APPROVED, request.by, request.reason, evaluation)


def _evaluation(
    step: Step, request: Request, model: ExportedModel, champion: RegisteredVersion | None
) -> tuple[Loaded, Evaluation]:
    """Return the latest evaluation of what answers as this model that gates may go by today, or else the latest one.

    It may say something else than the one that made the model wait. Raises dagster.Failure where there is a later one
    than the request knew of.
    """
    version = request.version
    asset, records = step.case.key("evaluation").to_user_string(), Ledger().records.items()
    evaluations = [(identity, record) for identity, record in records if record["run"]["asset"] == asset]
    alike = _alike(step, [record["data"]["onnx_model"] for _, record in evaluations], model)
    about = [pair for pair in reversed(evaluations) if pair[1]["data"]["onnx_model"]["hash"] in alike]
    if not about:
        raise _refusal(f"nothing is known of an evaluation of version {version}; run the retrain job")
    _require_not_evaluated_since(request, [identity for identity, _ in evaluations], about[0][0])
    read = ((identity, record["result"], _read(step, version, record, model.hash)) for identity, record in about)
    first = next(read)
    fit = (entry for entry in (first, *read) if unfit(step, entry[2], model.hash, champion) is None)
    identity, result, evaluation = next(fit, first)
    return Loaded(asset, result["hash"], identity), evaluation


def _require_not_evaluated_since(request: Request, evaluations: Sequence[str], latest: str) -> None:
    """Raise dagster.Failure if the latest evaluation of a model came after the one that the request knew of."""
    before = evaluations[: evaluations.index(request.evaluation) + 1] if request.evaluation in evaluations else []
    if latest not in before:
        raise _refusal(
            f"when the approval was asked, {request.evaluation} was the latest evaluation; version {request.version} "
            f"now has another one, {latest}; read its report, and ask again"
        )


def _read(step: Step, version: str, record: Mapping[str, Any], model_hash: str) -> Evaluation:
    """Return the evaluation of a record, as one of the model with this hash, whose answers were evaluated."""
    try:
        evaluation: Evaluation = step.storage.load(Stored(**record["result"]))
    except StorageError as error:
        raise _refusal(f"the evaluation of version {version} cannot be read ({error}); run the retrain job") from error
    return evaluation.model_copy(update={"model_hash": model_hash})


def _alike(step: Step, evaluated: Sequence[Mapping[str, str]], model: ExportedModel) -> set[str]:
    """Return the hashes of a model and of those that answer as it does, of the models evaluated since it first was."""
    hashes = [origin["hash"] for origin in evaluated]
    if model.hash not in hashes:
        return set()
    since = {origin["hash"]: origin["coordinates"] for origin in evaluated[hashes.index(model.hash) :]}
    return {other for other, made in since.items() if other == model.hash or _answers_as(step, made, model)}


def _answers_as(step: Step, coordinates: str, model: ExportedModel) -> bool:
    """Return whether a stored model answers as another one does; False for one that is gone."""
    try:
        content: bytes = step.storage.load(Stored(**Ledger().get(coordinates)["result"]))
    except (LedgerError, StorageError):
        return False
    return ExportedModel(content).answers_as(model)


def roll_back(step: Step, registry: Registry, request: Request) -> ProductionModel:
    """Make an earlier champion the champion again, after it has been loaded and has answered its golden rows."""
    standing = registry.standing()
    if standing is not None and standing.version == request.version:
        return keep(step, registry, _intact(registry), f"version {request.version} is the champion already")
    request.require_champion(standing)
    try:
        version = registry.version(request.version)
        content, golden = registry.file(request.version), registry.file(request.version, GOLDEN)
    except RegistryError as error:
        raise _refusal(str(error)) from error
    gated = [entry for entry in registry.entries() if entry.action in GATED]
    promoted = Standing(request.version, version.tags.get(MODEL_HASH, ""))
    before = [entry for entry in gated if promoted.is_of(entry.version, entry.model_hash)]
    if not before:
        champions = sorted({entry.version for entry in gated}, key=int)
        raise _refusal(f"version {request.version} was never promoted; those that were: {', '.join(champions)}")
    if hash_bytes(content) != version.tags.get(MODEL_HASH):
        raise _refusal(f"version {request.version} is damaged: its file is not the model that was registered")
    try:
        step.metrics({"difference on golden rows": check_golden(content, golden)})
    except GoldenError as error:
        raise _refusal(f"version {request.version}: {error}") from error
    if step.case.spec.production.dry_run:
        why = f"dry run: version {request.version} would become the champion"
        return keep(step, registry, _intact(registry), why)
    step.made_of(**data_of(step, version))
    return move(step, registry, request.version, ROLLBACK, request.by, request.reason, before[-1].figures)


def retire(step: Step, registry: Registry, request: Request) -> ProductionModel:
    """Let there be no champion, whatever has become of it: the next candidate is compared with none."""
    standing, entries = registry.standing(), registry.entries()
    if standing is None and entries and entries[-1].action == RETIRED and entries[-1].version == request.version:
        raise Nothing(f"version {request.version} is retired already")
    request.require_champion(standing)
    if standing is None or standing.version != request.version:
        raise _refusal(f"version {request.version} is not the champion; {standing.version if standing else 'none'} is")
    if step.case.spec.production.dry_run:
        return keep(step, registry, _intact(registry), f"dry run: version {request.version} would be retired")
    registry.retire(by=request.by, reason=request.reason, run=step.dagster_run)
    raise Nothing(f"version {request.version} is retired; there is no champion, so that nothing can be made of it")


def _intact(registry: Registry) -> RegisteredVersion | None:
    """Return the champion; raise dagster.Failure if it is lost."""
    try:
        return registry.champion()
    except RegistryError as error:
        raise _refusal(str(error)) from error


def _refusal(reason: str) -> dg.Failure:
    return dg.Failure(f"nothing was moved: {reason}", allow_retries=False)
