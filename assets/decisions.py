"""What people decide about the champion: to approve a waiting candidate, to go back to an older version."""

import dagster as dg

from assets.promoted import EVALUATED, GOLDEN, ProductionModel, data_of, kept, loaded_as, moved, promote, require_passed
from assets.step import Step
from assets.wishes import Wish
from ml.base.hashing import hash_bytes
from ml.evaluation.record import Evaluation
from ml.exported.golden_rows import GoldenError, check_golden
from ml.provenance.coordinates import Loaded
from resources.ledger import Ledger
from resources.storage import StorageError, Stored
from resources.tracking.registry import (
    APPROVED,
    BY_HAND,
    CHALLENGER,
    CHAMPION,
    MODEL_HASH,
    ROLLBACK,
    Registry,
    RegistryError,
)


def approved(step: Step, registry: Registry, wish: Wish) -> ProductionModel:
    """The challenger in production, if it is the version that was approved and every gate still lets it."""
    champion, challenger = registry.with_alias(CHAMPION), registry.with_alias(CHALLENGER)
    if champion is not None and str(champion.version) == wish.version:
        return kept(step, registry, champion, f"version {wish.version} is the champion already")
    if challenger is None or str(challenger.version) != wish.version:
        waits = f"version {challenger.version} does" if challenger else "none does"
        raise _refused(f"version {wish.version} does not wait for an approval; {waits}")
    model_hash = hash_bytes(registry.file(wish.version))
    if model_hash != challenger.tags.get(MODEL_HASH):
        raise _refused(f"version {wish.version} is not the model that was registered: its hash is {model_hash[:12]}")
    evaluated, evaluation = _evaluation(step, wish.version, model_hash)
    require_passed(step, evaluation, model_hash, champion)
    if step.case.spec.production.dry_run:
        return kept(step, registry, champion, f"dry run: version {wish.version} would become the champion")
    registry.tag(wish.version, {EVALUATED: loaded_as(evaluated)})
    step.made_of(**{**data_of(step, challenger), "evaluation": evaluated})
    return promote(step, registry, wish.version, APPROVED, wish.by, wish.reason, evaluation)


def _evaluation(step: Step, version: str, model_hash: str) -> tuple[Loaded, Evaluation]:
    """The latest evaluation of this model: it may say something else than the one by which the model came to wait."""
    asset, records = step.case.key("evaluation").to_user_string(), Ledger().records.items()
    evaluations = [(identity, each) for identity, each in records if each["run"]["asset"] == asset]
    about = [(identity, each) for identity, each in evaluations if each["data"]["onnx_model"]["hash"] == model_hash]
    if not about:
        raise _refused(f"nothing is known of an evaluation of version {version}; run the retrain job")
    identity, record = about[-1]
    try:
        found: Evaluation = step.storage.load(Stored(**record["result"]))
    except StorageError as error:
        raise _refused(f"the evaluation of version {version} cannot be read ({error}); run the retrain job") from error
    return Loaded(asset, record["result"]["hash"], identity), found


def rolled_back(step: Step, registry: Registry, wish: Wish) -> ProductionModel:
    """An earlier champion in production again, after it has been loaded and has answered its golden rows."""
    champion = registry.with_alias(CHAMPION)
    if champion is not None and str(champion.version) == wish.version:
        return kept(step, registry, champion, f"version {wish.version} is the champion already")
    try:
        version = registry.version(wish.version)
        content, golden = registry.file(wish.version), registry.file(wish.version, GOLDEN)
    except RegistryError as error:
        raise _refused(str(error)) from error
    gated = [entry for entry in registry.entries() if entry.action != BY_HAND]
    before = [entry for entry in gated if entry.version == wish.version]
    if not before:
        champions = sorted({entry.version for entry in gated}, key=int)
        raise _refused(f"version {wish.version} was never promoted; those that were: {', '.join(champions)}")
    if hash_bytes(content) != version.tags.get(MODEL_HASH):
        raise _refused(f"version {wish.version} is damaged: its file is not the model that was registered")
    try:
        step.metrics({"difference on golden rows": check_golden(content, golden)})
    except GoldenError as error:
        raise _refused(f"version {wish.version}: {error}") from error
    if step.case.spec.production.dry_run:
        return kept(step, registry, champion, f"dry run: version {wish.version} would become the champion")
    step.made_of(**data_of(step, version))
    return moved(step, registry, wish.version, ROLLBACK, wish.by, wish.reason, before[-1].figures)


def _refused(reason: str) -> dg.Failure:
    return dg.Failure(f"nothing was moved: {reason}", allow_retries=False)
