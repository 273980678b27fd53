"""The production model: the only asset that moves the registry's aliases `champion`, `previous` and `challenger`."""

import dagster as dg

from assets.decisions import approved, rolled_back
from assets.exported import coordinates_of, encoder_of
from assets.promoted import EVALUATED, GOLDEN, ProductionModel, answer, kept, loaded_as, promote, require_passed
from assets.step import Case, Step, asset
from assets.wishes import FIELDS, wishes
from ml.evaluation import Evaluation
from ml.gates import Verdict
from ml.golden_inputs import golden_inputs
from ml.hashing import hash_bytes
from resources.registry import CHAMPION, MODEL_HASH, PROMOTED, ROLLED_BACK, Registry
from resources.storage import Columns

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
                return approved(step, registry, approval, evaluation)
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
    known = registry.of_hash(model_hash)
    if known is not None and (why := known.tags.get(ROLLED_BACK)):
        raise dg.Failure(
            f"not promoted: this model is version {known.version}, which was rolled back {why}. If it shall serve all "
            f"the same: sextant rollback {step.case.name} --to {known.version} --reason …",
            allow_retries=False,
        )
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


def _registered(step: Step, registry: Registry, onnx_model: bytes, model_hash: str, test: Columns) -> str:
    """The version that is this very model; a step that died may have registered it, and then it is not done twice."""
    evaluated = {EVALUATED: loaded_as(step.loaded["evaluation"])}
    known = registry.of_hash(model_hash)
    if known is not None and hash_bytes(registry.file(str(known.version))) == model_hash:
        registry.tag(str(known.version), evaluated)
        return str(known.version)
    encoder = encoder_of(onnx_model)
    golden = golden_inputs(onnx_model, encoder, test.read(set(encoder.features)))
    tags = {MODEL_HASH: model_hash, "sextant.coordinates": str(coordinates_of(onnx_model)["id"]), **evaluated}
    return registry.register(step.run, onnx_model, tags, {GOLDEN: golden})


def _said(verdicts: list[Verdict]) -> str:
    return next(verdict.reason for verdict in verdicts if verdict.gate == "champion")
