"""The evaluation on the test split, and the report of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import ArrowInvalid

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.recipe import Showing
from assets.framework.step import Step
from assets.promotion.provenance import MismatchError, require_same_origin
from assets.stages.inputs import raw_inputs, raw_tables
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.cost import serving_of
from ml.evaluation.evaluate import EvaluationInputs, evaluate, explained
from ml.evaluation.explanations import Exported
from ml.evaluation.record import Evaluation, LeakAudit
from ml.evaluation.slices import columns_of
from ml.evaluation.unseen import compare_unseen, unseen
from ml.exported.model import ExportedModel
from ml.features.define import require_slice_columns
from ml.features.leaks import no_leak
from ml.gates.judge import gate_modules, gate_names, judge
from ml.provenance.coordinates import Loaded
from ml.provenance.stamp import stamp_json
from ml.report.page import as_json, html, in_short
from ml.report.pictures import pictures
from ml.tasks.metrics import Task
from resources.ledger import Ledger
from resources.storage import Columns, Stored
from resources.tracking.protocol import RegistryError
from resources.tracking.registry import MODEL_HASH
from resources.tracking.tracker import Tracker

AUDITED = 400  # test rows that the test for leaks looks at
FIGURES, EXPLANATIONS = "figures", "explanations"  # what is stored with an evaluation


def evaluation(case: Case) -> dg.AssetsDefinition:
    """Return the asset `evaluation`."""
    ins = {"onnx_model": "onnx_model", "test": "features/test", **raw_inputs(case)}
    showing = Showing(_report, reads.REPORT, ("ml.report.page", *gate_modules(case.spec.gates)), champion_now)

    @asset(
        case,
        "evaluation",
        stage="evaluation",
        kinds={"scikitlearn"},
        reads=reads.EVALUATION,
        ins=ins,
        outside=compared_champion,
        showing=showing,
        require=require_belonging,
        checks=gate_names(case.spec.gates),
        code=["ml.report.pictures"],  # figures need the test rows, which are there only while an evaluation is made
    )
    def evaluation(step: Step, onnx_model: bytes, test: Columns, **tables: pa.Table) -> Evaluation:
        """The report on the test split: candidate, champion and a trivial baseline on the same rows."""
        spec, model, sources = step.case.spec, ExportedModel(onnx_model), raw_tables(tables)
        columns = {*sources[spec.examples.table].column_names, *model.encoder.features}
        require_slice_columns(f"use case {step.case.name!r}", spec, columns)
        rows = test.read({spec.key, "cutoff", "target", *model.encoder.features, *_sliced_by(spec)})
        y, candidate = model.task.labels(rows["target"]), model.scores(rows)
        champion = _champion(step, sources, rows, y, candidate, model)
        begun = Evaluation(
            model_hash=model.hash,
            family=model.family,
            rows=len(y),
            target=model.task.summary(rows["target"]),
            metrics={},
            period=_period(rows["cutoff"]),
            leak_audit=_leak_audit(model, sources, rows, spec.seed),
            serving=serving_of(model, rows),
            coordinates=step.coordinates.id,
        ).model_copy(update=champion.fields)
        inputs = evaluation_inputs(spec, model, rows, sources, candidate, champion.scores, champion.unseen)
        plan = spec.evaluation
        about = {
            "model": model.answers,
            "rows": step.loaded["test"].hash,
            "plan": [spec.metric, plan.importance_rows, plan.shap_rows],
        }
        explanations = step.recalled(EXPLANATIONS, about, [__name__], lambda: explained(inputs))
        record = evaluate(begun, inputs, explanations)
        step.attach(FIGURES, pictures(record, inputs, explanations, step.coordinates.id))
        return record

    return evaluation


def compared_champion(name: str, tracking: Tracker, inputs: Mapping[str, Stored]) -> list[str] | None:
    """Return version and hash of the champion that a candidate is compared with; None if there is no other."""
    champion = champion_now(name, tracking, inputs)
    if champion is None or champion[1] == inputs["onnx_model"].hash:
        return None
    with _nothing_lost():
        tracking.onnx(name, champion[0])
    return champion


def champion_now(name: str, tracking: Tracker, inputs: Mapping[str, Stored]) -> list[str] | None:
    """Return version and hash of the champion; None if there is none."""
    with _nothing_lost():
        champion = tracking.champion(name)
    return [champion.version, champion.tags.get(MODEL_HASH, "")] if champion else None


@contextmanager
def _nothing_lost() -> Iterator[None]:
    """Raise dagster.Failure, with the way out, where the champion or its file turns out to be lost."""
    try:
        yield
    except RegistryError as error:
        raise dg.Failure(f"nothing was evaluated: {error}", allow_retries=False) from error


def require_belonging(case: Case, loaded: Mapping[str, Loaded]) -> None:
    """Raise dagster.Failure unless the inputs belong together, as declared."""
    try:
        require_same_origin(case.name, loaded, case.spec.resolved(), Ledger())
    except MismatchError as error:
        raise dg.Failure(f"nothing was evaluated: {error}", allow_retries=False) from error


@dataclass(frozen=True)
class _Champion:
    """The champion: fields of the evaluation, its answers to all test rows, and which of these it has not seen.

    There are no answers where there is no champion, where it is the candidate, and where the two cannot be compared.
    """

    fields: dict[str, Any]
    scores: np.ndarray | None = None
    unseen: np.ndarray | None = None


def _sliced_by(spec: UseCaseSpec) -> set[str]:
    """Return the columns by which rows are judged apart."""
    return {*spec.evaluation.slices, *spec.evaluation.sensitive}


def _period(cutoff: pd.Series) -> tuple[str, str] | None:
    return None if cutoff.isna().all() else (f"{cutoff.min():%Y-%m-%d}", f"{cutoff.max():%Y-%m-%d}")


def _leak_audit(model: ExportedModel, tables: dict[str, pa.Table], rows: pd.DataFrame, seed: int) -> LeakAudit | None:
    """Return whether the model's features tell something from after the cutoff, on a sample of the test rows."""
    if not model.spec.examples.timed:
        return None
    sample = rows.sample(min(len(rows), AUDITED), random_state=seed)
    finding = no_leak(model.spec, model.definitions, tables, sample[[model.spec.key, "cutoff"]])
    return LeakAudit(passed=finding.passed, reason=finding.reason)


def evaluation_inputs(
    spec: UseCaseSpec,
    model: ExportedModel,
    rows: pd.DataFrame,
    tables: dict[str, pa.Table],
    candidate: np.ndarray,
    champion: np.ndarray | None = None,
    fair: np.ndarray | None = None,
) -> EvaluationInputs:
    """Return what an evaluation is made of; `fair` marks the test rows that the champion has not seen, None: all."""
    sliced_by = sorted(_sliced_by(spec))
    return EvaluationInputs(
        spec=spec,
        task=model.task,
        rows=rows,
        grouping=columns_of(sliced_by, rows, tables[spec.examples.table], spec.key),
        y=model.task.labels(rows["target"]),
        candidate=candidate,
        champion=champion,
        fair=np.ones(len(rows), dtype=bool) if fair is None else fair,
        reference=model.reference,
        encoder=model.encoder,
        predict=Exported(model.session, model.encoder).predict,
    )


def _report(step: Step, evaluation: Evaluation) -> None:
    """Show an evaluation in Dagster and MLflow: the page, its numbers as JSON, its figures, and the gates."""
    case, spec, figures = step.case, step.case.spec, step.attachment(FIGURES)
    evaluation = _as_of_now(step, evaluation)
    verdicts = judge(spec.gates, evaluation, spec.metric)
    page = html(case.name, spec, evaluation, verdicts, figures, step.coordinates.summary()).encode()
    report = step.storage.save(f"{case.name}/report", page, ".html")
    step.labels["report"] = report.path
    numbers = stamp_json(as_json(evaluation, verdicts), step.coordinates.id)
    step.run.file("report.html", page)
    step.run.file("report.json", json.dumps(numbers, indent=1).encode())
    step.metrics(evaluation.metrics, prefix="test ")
    in_mlflow = step.run.link("report.html")
    step.show(report=dg.MetadataValue.url(in_mlflow), report_file=dg.MetadataValue.path(step.storage.uri(report)))
    step.show(**{"in short": dg.MetadataValue.md(in_short(evaluation, spec.metric))})
    for name, png in figures.items():
        step.figure(name, png)
    for verdict in verdicts:
        step.check(verdict.gate, verdict.passed, verdict.reason, verdict.figures)


def _as_of_now(step: Step, evaluation: Evaluation) -> Evaluation:
    """Return the evaluation with the champion's name, where its candidate has become the champion since."""
    champion = step.tracking.champion(step.case.name)
    if champion is None or champion.tags.get(MODEL_HASH) != evaluation.model_hash:
        return evaluation
    return evaluation.of_champion(champion.version)


def _champion(
    step: Step,
    tables: dict[str, pa.Table],
    test: pd.DataFrame,
    y: np.ndarray,
    candidate: np.ndarray,
    model: ExportedModel,
) -> _Champion:
    """Return the comparison on the same test rows; the champion sees the features that it was trained on."""
    spec = step.case.spec
    with _nothing_lost():
        registered = step.tracking.champion(step.case.name)
        content = step.tracking.onnx(step.case.name, registered.version) if registered else b""
    if registered is None:
        return _Champion({})
    name = f"{step.case.name}:{registered.version}"
    champion = ExportedModel(content)
    if champion.hash == model.hash:
        return _Champion({})  # what the candidate is by now is added where it matters
    step.also_loaded("champion", Loaded(name, champion.hash, str(champion.coordinates["id"])))
    fields: dict[str, Any] = {"champion_version": str(registered.version), "champion_hash": champion.hash}
    if champion.answers == model.answers:
        return _Champion({**fields, "same_answers": True})  # the candidate is the champion: nothing to compare
    if champion.task != model.task:
        reason = f"it answers {_described(champion.task)}, the candidate {_described(model.task)}"
        return _Champion({**fields, "incomparable": reason})
    try:
        scores = champion.scores(champion.features(tables, test))
        fair = unseen(step.case.name, champion.spec, tables, test)
    except (ArrowInvalid, KeyError, ValueError) as error:
        reason = f"its features cannot be computed from today's tables: {error}"
        return _Champion({**fields, "incomparable": reason})
    fields |= compare_unseen(spec.metric, spec.gates.champion, spec.seed, y, candidate, scores, fair)
    return _Champion(fields) if "incomparable" in fields else _Champion(fields, scores, fair)


def _described(task: Task) -> str:
    return f"{task.kind} of the classes {', '.join(task.classes)}" if task.classes else task.kind
