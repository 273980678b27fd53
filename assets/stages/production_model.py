"""The production model: the only asset that moves the registry's aliases `champion`, `previous` and `challenger`."""

import dagster as dg

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Nothing, Step
from assets.promotion.champion import EVALUATED, GOLDEN, answer, as_tag, keep, promote, require_passed
from assets.promotion.decisions import decide
from assets.promotion.requests import FIELDS, Request, request_of
from assets.stages.values import ProductionModel
from ml.base.hashing import hash_bytes
from ml.evaluation.record import Evaluation
from ml.exported.golden_rows import golden_inputs
from ml.exported.model import ExportedModel
from ml.gates.judge import gate_modules
from ml.verdict import Verdict
from resources.storage import Columns
from resources.tracking.history import PROMOTED
from resources.tracking.protocol import RegisteredVersion, RegistryError
from resources.tracking.registry import ANSWERS, CHALLENGER, MODEL_HASH, Registry


def production_model(case: Case) -> dg.AssetsDefinition:
    """Return the asset `production_model`, the only one that moves an alias."""
    ins = {"onnx_model": "onnx_model", "evaluation": "evaluation", "test": "features/test"}

    @asset(
        case,
        "production_model",
        stage="production",
        kinds={"mlflow"},
        reads=reads.PRODUCTION_MODEL,
        ins=ins,
        always=True,
        config=FIELDS,
        optional=True,
        code=gate_modules(case.spec.gates),
    )
    def production_model(step: Step, onnx_model: Columns, evaluation: Columns, test: Columns) -> ProductionModel:
        """The promoted model. Checks every gate again for exactly this model before it moves the alias."""
        request = request_of(step.config)
        with step.tracking.promotion(step.case.name) as registry:
            if samples := step.case.spec.samples:
                _require_no_sample(step, samples, request)
            if request is not None:
                return decide(step, registry, request)
            return _candidate(step, registry, ExportedModel(onnx_model.read()), evaluation.read(), test)

    return production_model


def _require_no_sample(step: Step, samples: str, request: Request | None) -> None:
    """Raise Nothing, or dagster.Failure where a version was to serve: nothing is promoted or served of a sample."""
    why = f"{samples}: what is made of a sample is never promoted; leave it out for a candidate"
    if request is None:
        step.show(outcome=why, promoted=False)
        raise Nothing(why)
    if request.action != "retire":
        raise dg.Failure(f"nothing was moved: {why}", allow_retries=False)


def _candidate(
    step: Step, registry: Registry, model: ExportedModel, evaluation: Evaluation, test: Columns
) -> ProductionModel:
    """Let the candidate into production if every gate does, and it needs nobody's approval.

    One that answers as the champion does, or as another version, is that one: nothing is registered.
    """
    champion = _intact_champion(registry)
    verdicts = require_passed(step, evaluation, model.hash, champion)
    step.show(reasons=[verdict.reason for verdict in verdicts], promoted=False)
    if champion is not None and champion.tags.get(MODEL_HASH) == model.hash:
        return answer(step, registry, champion)
    if champion is not None and _answers_alike(registry, champion, model):
        return _the_champion_again(step, registry, champion, model, evaluation)
    _require_not_rolled_back(step, registry, model)
    declared = step.case.spec.production
    if declared.dry_run:
        would = "wait as the challenger for its approval" if declared.approval == "required" else "become the champion"
        return keep(step, registry, champion, f"dry run: every gate passed, and the candidate would {would}")
    version = _registered(step, registry, model, test)
    if declared.approval == "required":
        registry.challenge(version)
        return keep(step, registry, champion, _waits(registry.version(version), step.case.name, model), waits=version)
    reason = f"every gate passed: {_about_champion(verdicts)}"
    return promote(step, registry, version, PROMOTED, "the gates", reason, evaluation)


def _intact_champion(registry: Registry) -> RegisteredVersion | None:
    """Return the champion; raise dagster.Failure, which says how to get out, if it or its file is lost."""
    try:
        champion = registry.champion()
        if champion is not None:
            registry.model(champion.version)
    except RegistryError as error:
        raise dg.Failure(f"not promoted: {error}", allow_retries=False) from error
    return champion


def _answers_alike(registry: Registry, version: RegisteredVersion, model: ExportedModel) -> bool:
    alike = version.tags.get(ANSWERS) == model.answers
    return alike and ExportedModel(registry.file(version.version)).answers_as(model)


def _the_champion_again(
    step: Step, registry: Registry, champion: RegisteredVersion, model: ExportedModel, evaluation: Evaluation
) -> ProductionModel:
    """Return the champion, whose answers the candidate has; the history says so."""
    same = f"the same answers as version {champion.version}"
    if not step.case.spec.production.dry_run:
        identity = f"{same}: the candidate of the coordinates {model.coordinates['id']}"
        registry.confirm(champion.version, reason=identity, run=step.dagster_run, figures=evaluation.labelled())
    return keep(step, registry, champion, f"the candidate gives {same}")


def _waits(version: RegisteredVersion, name: str, model: ExportedModel) -> str:
    """Return the words for a candidate that needs an approval, and is this version."""
    command = f"sextant approve {name} {version.version} --reason …"
    if version.tags.get(MODEL_HASH) == model.hash:
        return f"every gate passed, and version {version.version} waits as the challenger: {command}"
    same = f"the same answers as version {version.version}"
    return f"every gate passed, and the candidate gives {same}, which waits for approval: {command}"


def _require_not_rolled_back(step: Step, registry: Registry, model: ExportedModel) -> None:
    """Raise dagster.Failure if a version that answers alike was rolled back."""
    alike = [*registry.tagged(ANSWERS, model.answers), *registry.tagged(MODEL_HASH, model.hash)]
    if (rollback := registry.rolled_back(model.hash, alike)) is not None:
        version, why = rollback
        raise dg.Failure(
            f"not promoted: this model is version {version}, which was rolled back {why}. If it shall serve all the "
            f"same: sextant rollback {step.case.name} --to {version} --reason …",
            allow_retries=False,
        )


def _registered(step: Step, registry: Registry, model: ExportedModel, test: Columns) -> str:
    """Return the version that answers as this model; a step that died may have registered it: it is not done twice."""
    about = {EVALUATED: as_tag(step.loaded["evaluation"]), ANSWERS: model.answers}
    if (registered := _intact(step, registry, model)) is not None:
        registry.tag(registered, about)
        return registered
    golden = golden_inputs(model.session, model.encoder, test.read(set(model.encoder.columns)))
    tags = {MODEL_HASH: model.hash, "sextant.coordinates": str(model.coordinates["id"]), **about}
    return registry.register(step.run, model.content, tags, {GOLDEN: golden})


def _intact(step: Step, registry: Registry, model: ExportedModel) -> str | None:
    """Return the version that waits, or else the first one, of those that answer alike and are what was registered."""
    waiting = registry.with_alias(CHALLENGER)
    alike = [*registry.tagged(MODEL_HASH, model.hash), *registry.tagged(ANSWERS, model.answers)]
    distinct = {registered.version: registered for registered in alike}.values()
    for registered in sorted(distinct, key=lambda other: waiting is None or other.version != waiting.version):
        version = registered.version
        try:
            content = registry.file(version)
            if hash_bytes(content) != registered.tags.get(MODEL_HASH):
                step.log.warning(f"version {version} is damaged: its file is not the model that was registered")
            elif ExportedModel(content).answers_as(model):
                return version
        except RegistryError as error:
            step.log.warning(str(error))
    return None


def _about_champion(verdicts: list[Verdict]) -> str:
    return next(verdict.reason for verdict in verdicts if verdict.gate == "champion")
