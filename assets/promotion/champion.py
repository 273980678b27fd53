"""The champion: the gates before every way into production, the move of the alias, and what is shown of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from assets.framework.step import Nothing, Step
from assets.promotion.provenance import MismatchError, require_judged_as_declared
from assets.stages.values import ProductionModel
from ml.base.text import markdown_table
from ml.evaluation.record import Evaluation
from ml.gates.judge import judge
from ml.provenance.coordinates import Loaded
from ml.verdict import Verdict
from resources.ledger import Ledger
from resources.tracking.protocol import RegisteredVersion
from resources.tracking.registry import MODEL_HASH, Registry

EVALUATED = "sextant.evaluation"  # a version's tag: the evaluation that the gates passed
GOLDEN = "golden.json"
ENTRIES = 20  # of the history, that are shown


def require_passed(
    step: Step, evaluation: Evaluation, model_hash: str, champion: RegisteredVersion | None
) -> list[Verdict]:
    """Return the verdicts of every gate about exactly this model, all passed.

    Raises dagster.Failure, which names the gates with their figures and says what stays champion, if one refuses, or if
    the evaluation is about another model, another champion or no rows, or was made of other examples than the model or
    under another declaration.
    """
    if reason := unfit(step, evaluation, model_hash, champion):
        raise _refusal(reason, champion)
    if champion is not None and champion.tags.get(MODEL_HASH) == model_hash:
        evaluation = evaluation.of_champion(champion.version)
    verdicts = judge(step.case.spec.gates, evaluation, step.case.spec.metric)
    if refused := [f"{verdict.gate}: {verdict.reason}" for verdict in verdicts if not verdict.passed]:
        raise _refusal(f"Refused by the gate {'; '.join(refused)}", champion, verdicts)
    return verdicts


def unfit(step: Step, evaluation: Evaluation, model_hash: str, champion: RegisteredVersion | None) -> str | None:
    """Return why no gate may go by this evaluation; None if the gates may."""
    if evaluation.model_hash != model_hash:
        return (
            f"the evaluation is about the model {evaluation.model_hash[:12]}, not about the candidate "
            f"{model_hash[:12]}; materialize evaluation again"
        )
    champion_hash = champion.tags.get(MODEL_HASH) if champion else None
    if evaluation.champion_hash != champion_hash and champion_hash != model_hash:
        then, now = evaluation.champion_version, champion.version if champion else None
        return (
            f"the champion has changed since the evaluation, from version {then} to {now} (the model "
            f"{str(evaluation.champion_hash)[:12]} to {str(champion_hash)[:12]}); materialize evaluation again"
        )
    if not evaluation.rows:
        return "the evaluation is about no test rows; materialize features/test and evaluation again"
    try:
        require_judged_as_declared(step.case, evaluation.coordinates, step.declared, Ledger())
    except MismatchError as error:
        return str(error)
    return None


def _refusal(reason: str, champion: RegisteredVersion | None, verdicts: list[Verdict] | None = None) -> dg.Failure:
    stays = f"version {champion.version} stays champion" if champion else "there is still no champion"
    metadata: dict[str, Any] = {"champion": stays}
    if verdicts:
        metadata["refused by"] = [verdict.gate for verdict in verdicts if not verdict.passed]
        metadata["gates"] = dg.MetadataValue.md(_table(verdicts))
        metadata["verdicts"] = [{"gate": v.gate, "passed": v.passed, "reason": v.reason} for v in verdicts]
    return dg.Failure(f"not promoted, {stays}. {reason}", metadata=metadata, allow_retries=False)


def _table(verdicts: list[Verdict]) -> str:
    return markdown_table(
        [
            {"gate": verdict.gate, "": "passed" if verdict.passed else "REFUSED", "reason": verdict.reason}
            for verdict in verdicts
        ]
    )


def promote(
    step: Step, registry: Registry, version: str, action: str, by: str, reason: str, evaluation: Evaluation
) -> ProductionModel:
    """Move the alias to a version that its evaluation speaks for, and show so."""
    figures = evaluation.labelled()
    if evaluation.comparison is not None:
        figures["against the champion"] = evaluation.comparison.difference
    return move(step, registry, version, action, by, reason, figures)


def move(
    step: Step, registry: Registry, version: str, action: str, by: str, reason: str, figures: Mapping[str, float]
) -> ProductionModel:
    """Move the alias to a version, and show so."""
    entry = registry.move(action, version, by=by, reason=reason, run=step.dagster_run, figures=figures)
    step.show(promoted=True, instead_of=entry.former or "no champion", by=by, why=reason)
    return answer(step, registry, registry.version(version))


def keep(step: Step, registry: Registry, champion: RegisteredVersion | None, why: str, **shown: Any) -> ProductionModel:
    """Return the champion as it was, and show the reason; raise Nothing where there is none."""
    stays = f"version {champion.version} stays champion" if champion else "there is no champion yet"
    step.show(outcome=f"{why}; {stays}", **shown)
    if champion is None:
        raise Nothing(f"{why}; {stays}, so that nothing can be made of it")
    step.log.info(f"{why}; {stays}")
    step.made_of(**data_of(step, champion))
    return answer(step, registry, champion)


def answer(step: Step, registry: Registry, version: RegisteredVersion) -> ProductionModel:
    """Return the asset's value for a version that is the champion, and show it with the history."""
    number, tags = version.version, version.tags
    step.labels |= {"model": f"{step.case.name}:{number}", "model hash": tags.get(MODEL_HASH, "")}
    page = step.tracking.version_link(step.case.name, number)
    history = markdown_table([entry.row() for entry in reversed(registry.entries())][:ENTRIES])
    step.show(version=number, registry=dg.MetadataValue.url(page), history=dg.MetadataValue.md(history))
    identity = tags.get("sextant.coordinates", "")
    return ProductionModel(
        name=step.case.name, version=number, model_hash=tags.get(MODEL_HASH, ""), coordinates=identity
    )


def as_tag(data: Loaded) -> str:
    """Return something that was loaded as the text of a tag."""
    return json.dumps(asdict(data), sort_keys=True)


def data_of(step: Step, version: RegisteredVersion) -> dict[str, Loaded]:
    """Return what a registered version is made of: the exported model, and the evaluation that promoted it."""
    tags = version.tags
    asset = step.case.key("onnx_model").to_user_string()
    data = {"onnx_model": Loaded(asset, tags.get(MODEL_HASH, ""), tags.get("sextant.coordinates", ""))}
    if EVALUATED in tags:
        data["evaluation"] = Loaded(**json.loads(tags[EVALUATED]))
    return data
