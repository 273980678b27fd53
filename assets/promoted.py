"""What every way into production has in common: the gates, the move of the alias, and what is said of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
from pydantic import BaseModel, ConfigDict

from assets.belonging import MismatchError, require_judged_as_declared
from assets.step import Nothing, Step
from ml.evaluation.record import Evaluation
from ml.gates.judge import Verdict, judge
from ml.provenance.coordinates import Loaded
from resources.ledger import Ledger
from resources.tracking.registry import MODEL_HASH, Registry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

EVALUATED = "sextant.evaluation"  # a version's tag: the evaluation that the gates passed
GOLDEN = "golden.json"
ENTRIES = 20  # of the history, that are shown


class ProductionModel(BaseModel):
    """The registered version that carries the alias `champion`."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    model_hash: str
    coordinates: str


def require_passed(
    step: Step, evaluation: Evaluation, model_hash: str, champion: "ModelVersion | None"
) -> list[Verdict]:
    """The verdicts of every gate about exactly this model, all passed.

    Raises dagster.Failure, which names the gates with their figures and says what stays champion, if one refuses, or if
    the evaluation is about another model, another champion or no rows, or was made of other examples than the model or
    under another declaration.
    """
    if reason := _unfit(step, evaluation, model_hash, champion):
        raise _refusal(reason, champion)
    verdicts = judge(step.case.spec.gates, evaluation, step.case.spec.metric)
    if refused := [f"{verdict.gate}: {verdict.reason}" for verdict in verdicts if not verdict.passed]:
        raise _refusal(f"Refused by the gate {'; '.join(refused)}", champion, verdicts)
    return verdicts


def _unfit(step: Step, evaluation: Evaluation, model_hash: str, champion: "ModelVersion | None") -> str | None:
    """Why no gate may go by this evaluation, if so."""
    if evaluation.model_hash != model_hash:
        return (
            f"the evaluation is about the model {evaluation.model_hash[:12]}, not about the candidate "
            f"{model_hash[:12]}; materialize evaluation again"
        )
    now = str(champion.version) if champion else None
    if evaluation.champion_version != now and not (champion and champion.tags.get(MODEL_HASH) == model_hash):
        return (
            f"the champion has changed since the evaluation, from version {evaluation.champion_version} to {now}; "
            "materialize evaluation again"
        )
    if not evaluation.rows:
        return "the evaluation is about no test rows; materialize features/test and evaluation again"
    try:
        require_judged_as_declared(step.case, evaluation.coordinates, Ledger())
    except MismatchError as error:
        return str(error)
    return None


def _refusal(reason: str, champion: "ModelVersion | None", verdicts: list[Verdict] | None = None) -> dg.Failure:
    stays = f"version {champion.version} stays champion" if champion else "there is still no champion"
    metadata: dict[str, Any] = {"champion": stays}
    if verdicts:
        metadata["refused by"] = [verdict.gate for verdict in verdicts if not verdict.passed]
        metadata["gates"] = dg.MetadataValue.md(_table(verdicts))
        metadata["verdicts"] = [{"gate": v.gate, "passed": v.passed, "reason": v.reason} for v in verdicts]
    return dg.Failure(f"not promoted, {stays}. {reason}", metadata=metadata, allow_retries=False)


def _table(verdicts: list[Verdict]) -> str:
    rows = [{"gate": each.gate, "": "passed" if each.passed else "REFUSED", "reason": each.reason} for each in verdicts]
    return str(pd.DataFrame(rows).to_markdown(index=False))


def promote(
    step: Step, registry: Registry, version: str, action: str, by: str, reason: str, evaluation: Evaluation
) -> ProductionModel:
    """Moves the alias to a version, and says so."""
    figures = dict(evaluation.metrics)
    if evaluation.comparison is not None:
        figures["against the champion"] = evaluation.comparison.difference
    return moved(step, registry, version, action, by, reason, figures)


def moved(
    step: Step, registry: Registry, version: str, action: str, by: str, reason: str, figures: Mapping[str, float]
) -> ProductionModel:
    """Moves the alias to a version, and says so."""
    run = str(step.made_from(dict(step.loaded)).run["dagster"])
    entry = registry.move(action, version, by=by, reason=reason, run=run, figures=figures)
    step.show(promoted=True, instead_of=entry.former or "no champion", by=by, why=reason)
    return answer(step, registry, registry.version(version))


def kept(step: Step, registry: Registry, champion: "ModelVersion | None", why: str, **shown: Any) -> ProductionModel:
    """The champion as it was, with the reason; raises Nothing where there is none."""
    stays = f"version {champion.version} stays champion" if champion else "there is no champion yet"
    step.show(outcome=f"{why}; {stays}", **shown)
    if champion is None:
        raise Nothing(f"{why}; {stays}, so that nothing can be made of it")
    step.log.info(f"{why}; {stays}")
    step.made_of(**data_of(step, champion))
    return answer(step, registry, champion)


def answer(step: Step, registry: Registry, version: "ModelVersion") -> ProductionModel:
    """The asset's value for a version that is the champion, and its metadata."""
    number, tags = str(version.version), version.tags
    step.labels["model"] = f"{step.case.name}:{number}"
    page = f"{step.tracking.ui}/#/models/{step.case.name}/versions/{number}"
    history = pd.DataFrame([entry.row() for entry in reversed(registry.entries())][:ENTRIES])
    table = dg.MetadataValue.md(str(history.to_markdown(index=False, disable_numparse=True)))
    step.show(version=number, registry=dg.MetadataValue.url(page), history=table)
    identity = tags.get("sextant.coordinates", "")
    return ProductionModel(
        name=step.case.name, version=number, model_hash=tags.get(MODEL_HASH, ""), coordinates=identity
    )


def loaded_as(data: Loaded) -> str:
    """Something loaded, as the text of a tag."""
    return json.dumps(asdict(data), sort_keys=True)


def data_of(step: Step, version: "ModelVersion") -> dict[str, Loaded]:
    """What a registered version is: the exported model and the evaluation that it was promoted by."""
    tags = version.tags
    asset = step.case.key("onnx_model").to_user_string()
    found = {"onnx_model": Loaded(asset, tags.get(MODEL_HASH, ""), tags.get("sextant.coordinates", ""))}
    if EVALUATED in tags:
        found["evaluation"] = Loaded(**json.loads(tags[EVALUATED]))
    return found
