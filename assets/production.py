"""The production model: the only asset that moves the registry's aliases `champion`, `previous` and `challenger`."""

from typing import TYPE_CHECKING

import dagster as dg

from assets.decisions import approved, rolled_back
from assets.exported import coordinates_of, encoder_of
from assets.promoted import EVALUATED, GOLDEN, ProductionModel, answer, kept, loaded_as, promote, require_passed
from assets.step import Case, Step, asset
from assets.wishes import FIELDS, wishes
from ml.base.hashing import hash_bytes
from ml.evaluation.record import Evaluation
from ml.exported.golden_rows import golden_inputs
from ml.exported.identity import answers_hash
from ml.gates.judge import Verdict
from resources.storage import Columns
from resources.tracking.registry import ANSWERS, CHAMPION, MODEL_HASH, PROMOTED, ROLLED_BACK, Registry, RegistryError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["ProductionModel", "production_model"]


def production_model(case: Case) -> dg.AssetsDefinition:
    """The asset `production_model`, the only one that moves an alias."""
    ins = {"onnx_model": "onnx_model", "evaluation": "evaluation", "test": "features/test"}

    @asset(
        case,
        "production_model",
        stage="production",
        kinds={"mlflow"},
        ins=ins,
        always=True,
        config=FIELDS,
        optional=True,
        code=case.spec.gates.modules,
    )
    def production_model(step: Step, onnx_model: Columns, evaluation: Columns, test: Columns) -> ProductionModel:
        """The promoted model. Checks every gate again for exactly this model before it moves the alias."""
        approval, rollback = wishes(step.given)
        with step.tracking.promotion(case.name) as registry:
            if rollback:
                return rolled_back(step, registry, rollback)
            if approval:
                return approved(step, registry, approval)
            return _candidate(step, registry, onnx_model.read(), evaluation.read(), test)

    return production_model


def _candidate(
    step: Step, registry: Registry, onnx_model: bytes, evaluation: Evaluation, test: Columns
) -> ProductionModel:
    """The candidate in production if every gate lets it, and it needs nobody's approval."""
    model_hash, champion = hash_bytes(onnx_model), registry.with_alias(CHAMPION)
    verdicts = require_passed(step, evaluation, model_hash, champion)
    step.show(reasons=[verdict.reason for verdict in verdicts], promoted=False)
    if champion is not None and champion.tags.get(MODEL_HASH) == model_hash:
        return answer(step, registry, champion)
    _require_not_rolled_back(step, registry, onnx_model, model_hash, champion)
    declared = step.case.spec.production
    if declared.dry_run:
        would = "wait as the challenger for its approval" if declared.approval == "required" else "become the champion"
        return kept(step, registry, champion, f"dry run: every gate passed, and the candidate would {would}")
    version = _registered(step, registry, onnx_model, model_hash, test)
    if declared.approval == "required":
        registry.challenge(version)
        said = f"every gate passed, and version {version} waits as the challenger: sextant approve {step.case.name} "
        return kept(step, registry, champion, f"{said}{version} --reason …", waits=version)
    return promote(step, registry, version, PROMOTED, "the gates", f"every gate passed: {_said(verdicts)}", evaluation)


def _require_not_rolled_back(
    step: Step, registry: Registry, onnx_model: bytes, model_hash: str, champion: "ModelVersion | None"
) -> None:
    """Raises dagster.Failure if a version that answers alike was rolled back, unless the champion does so too."""
    answers = answers_hash(onnx_model)
    if champion is not None and champion.tags.get(ANSWERS) == answers:
        return
    for known in [*registry.tagged(ANSWERS, answers), *registry.tagged(MODEL_HASH, model_hash)]:
        if why := known.tags.get(ROLLED_BACK):
            raise dg.Failure(
                f"not promoted: this model is version {known.version}, which was rolled back {why}. If it shall serve "
                f"all the same: sextant rollback {step.case.name} --to {known.version} --reason …",
                allow_retries=False,
            )


def _registered(step: Step, registry: Registry, onnx_model: bytes, model_hash: str, test: Columns) -> str:
    """The version that is this very model; a step that died may have registered it, and then it is not done twice."""
    about = {EVALUATED: loaded_as(step.loaded["evaluation"]), ANSWERS: answers_hash(onnx_model)}
    if (known := _intact(step, registry, model_hash)) is not None:
        registry.tag(known, about)
        return known
    encoder = encoder_of(onnx_model)
    golden = golden_inputs(onnx_model, encoder, test.read(set(encoder.features)))
    tags = {MODEL_HASH: model_hash, "sextant.coordinates": str(coordinates_of(onnx_model)["id"]), **about}
    return registry.register(step.run, onnx_model, tags, {GOLDEN: golden})


def _intact(step: Step, registry: Registry, model_hash: str) -> str | None:
    """The first version that was registered as this model, and whose file still is it."""
    for known in registry.tagged(MODEL_HASH, model_hash):
        version = str(known.version)
        try:
            if hash_bytes(registry.file(version)) == model_hash:
                return version
            step.log.warning(f"version {version} is damaged: its file is not the model that was registered")
        except RegistryError as error:
            step.log.warning(str(error))
    return None


def _said(verdicts: list[Verdict]) -> str:
    return next(verdict.reason for verdict in verdicts if verdict.gate == "champion")
