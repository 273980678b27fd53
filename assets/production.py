"""The production model: the only writer of the registry's alias `champion`."""

import dagster as dg
from pydantic import BaseModel, ConfigDict

from assets.exported import coordinates_of
from assets.step import Case, Step, asset
from ml.evaluation import Evaluation
from ml.gates import judge
from ml.hashing import hash_bytes


class ProductionModel(BaseModel):
    """The registered version that carries the alias `champion`."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    model_hash: str
    coordinates: str


def production_model(case: Case) -> dg.AssetsDefinition:
    """The asset `production_model`, the only writer of the alias `champion`."""
    ins = {"onnx_model": "onnx_model", "evaluation": "evaluation"}

    @asset(case, "production_model", stage="production", kinds={"mlflow"}, ins=ins, always=True)
    def production_model(step: Step, onnx_model: bytes, evaluation: Evaluation) -> ProductionModel:
        """The promoted model. Checks every gate again for exactly this model before it moves the alias."""
        with step.tracking.promotion(case.name):
            return _promoted(step, onnx_model, evaluation)

    return production_model


def _promoted(step: Step, onnx_model: bytes, evaluation: Evaluation) -> ProductionModel:
    case = step.case
    model_hash, champion = hash_bytes(onnx_model), step.tracking.champion(case.name)
    if evaluation.model_hash != model_hash:
        raise dg.Failure(
            f"the evaluation is about the model {evaluation.model_hash[:12]}, not about the candidate "
            f"{model_hash[:12]}; materialize evaluation again"
        )
    if evaluation.champion_version != (str(champion.version) if champion else None) and not (
        champion and champion.tags.get("sextant.model_hash") == model_hash
    ):
        raise dg.Failure("the champion has changed since the evaluation; materialize evaluation again")
    verdicts = judge(case.spec.gates, evaluation, case.spec.metric)
    if refused := [f"{verdict.gate}: {verdict.reason}" for verdict in verdicts if not verdict.passed]:
        kept = f"version {champion.version} stays champion" if champion else "there is still no champion"
        raise dg.Failure(f"not promoted, {kept}. Refused by the gate {'; '.join(refused)}")
    reasons = [verdict.reason for verdict in verdicts]
    coordinates = coordinates_of(onnx_model)["id"]
    promoted = champion is None or champion.tags.get("sextant.model_hash") != model_hash
    if promoted:
        tags = {"sextant.model_hash": model_hash, "sextant.coordinates": coordinates}
        version = step.tracking.register(step.run, case.name, onnx_model, tags)
        step.run.client.set_registered_model_alias(case.name, "champion", version)
    else:
        assert champion is not None
        version = str(champion.version)
    step.labels["model"] = f"{case.name}:{version}"
    page = f"{step.tracking.ui}/#/models/{case.name}/versions/{version}"
    step.show(version=version, promoted=promoted, reasons=reasons, registry=dg.MetadataValue.url(page))
    return ProductionModel(
        name=case.name,
        version=version,
        model_hash=model_hash,
        coordinates=coordinates,
    )
