"""What people decide about the champion: to approve a waiting candidate, to go back to an older version."""

import dagster as dg

from assets.promoted import GOLDEN, ProductionModel, data_of, kept, moved, promote, require_passed
from assets.step import Step
from assets.wishes import Wish
from ml.evaluation import Evaluation
from ml.golden_inputs import GoldenError, check_golden
from ml.hashing import hash_bytes
from resources.ledger import Ledger, LedgerError
from resources.registry import APPROVED, BY_HAND, CHALLENGER, CHAMPION, MODEL_HASH, ROLLBACK, Registry, RegistryError
from resources.storage import Columns, StorageError, Stored


def approved(step: Step, registry: Registry, wish: Wish, latest: Columns) -> ProductionModel:
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
    evaluation = _evaluation(step, latest, model_hash, data_of(step, challenger)["evaluation"].coordinates)
    require_passed(step, evaluation, model_hash, champion)
    if step.case.spec.production.dry_run:
        return kept(step, registry, champion, f"dry run: version {wish.version} would become the champion")
    step.made_of(**data_of(step, challenger))
    return promote(step, registry, wish.version, APPROVED, wish.by, wish.reason, evaluation)


def _evaluation(step: Step, latest: Columns, model_hash: str, identity: str) -> Evaluation:
    """The latest evaluation if it is about this model, else the one by which the model came to wait."""
    found: Evaluation = latest.read()
    if found.model_hash == model_hash:
        return found
    try:
        found = step.storage.load(Stored(**Ledger().get(identity)["result"]))
    except (LedgerError, StorageError) as error:
        raise _refused(f"the evaluation of this version cannot be read ({error}); run the retrain job") from error
    return found


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
