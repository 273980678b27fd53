"""The evaluation on the test split, and the report of it."""

import json
from collections.abc import Mapping
from math import isnan

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.recipe import Showing
from assets.framework.step import Step
from assets.promotion.provenance import MismatchError, require_same_origin
from assets.stages.compared import champion_now, compare_with_champion, compared_champion
from assets.stages.inputs import raw_inputs, raw_tables
from assets.stages.native import native_model
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.cost import serving_of
from ml.evaluation.evaluate import EvaluationInputs, evaluate, explained
from ml.evaluation.explanations import Exported
from ml.evaluation.record import Evaluation, LeakAudit
from ml.evaluation.slices import columns_of
from ml.exported.model import ExportedModel
from ml.exported.onnx import Parity, measure_parity
from ml.features.define import require_slice_columns
from ml.features.leaks import no_leak, sampled
from ml.gates.judge import gate_modules, gate_names, judge
from ml.provenance.coordinates import Loaded
from ml.provenance.stamp import stamp_json
from ml.report.page import as_json, html, in_short
from ml.report.pictures import pictures
from ml.tasks.counting import counting, counting_columns
from ml.tasks.labels import at_threshold
from ml.tasks.metrics import own_modules, require_counted
from ml.tasks.targets import of_target
from resources.ledger import Ledger, LedgerError
from resources.storage import Columns, StorageError
from resources.tracking.registry import MODEL_HASH

AUDITED = 400  # test rows that the test for leaks looks at
FIGURES, EXPLANATIONS = "figures", "explanations"  # what is stored with an evaluation


def evaluation(case: Case) -> dg.AssetsDefinition:
    """Return the asset `evaluation`."""
    ins = {"onnx_model": "onnx_model", "test": "features/test", **raw_inputs(case)}
    declared, measured = case.spec.examples, case.spec.evaluation.metrics
    own = own_modules(measured)
    require_counted(measured, weights=declared.weight_column is not None, groups=declared.ranked_within is not None)
    showing = Showing(_report, reads.REPORT, ("ml.report.page", *gate_modules(case.spec.gates), *own), champion_now)

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
        # Figures need the test rows, which are there only while an evaluation is made; parity needs the native model.
        code=["ml.report.pictures", *case.spec.models.modules, *own],
    )
    def evaluation(step: Step, onnx_model: bytes, test: Columns, **tables: pa.Table) -> Evaluation:
        """The report on the test split: candidate, champion and a trivial baseline on the same rows."""
        spec, model, sources = step.case.spec, ExportedModel(onnx_model), raw_tables(tables)
        columns = {*sources[spec.examples.table].column_names, *model.encoder.columns}
        require_slice_columns(f"use case {step.case.name!r}", spec, columns)
        about_rows = {*spec.keys, "cutoff", *model.task.columns, *counting_columns(spec.examples)}
        rows = test.read({*about_rows, *model.encoder.columns, *_sliced_by(spec)})
        y, candidate = model.task.labels_of(rows), model.scores(rows)
        champion = compare_with_champion(step, sources, rows, y, candidate, model)
        begun = Evaluation(
            model_hash=model.hash,
            family=model.family,
            rows=len(y),
            target=model.task.summary_of(rows),
            metrics={},
            period=_period(rows["cutoff"]),
            leak_audit=_leak_audit(model, sources, rows, spec.seed),
            serving=serving_of(model, rows, _parity(step, model, rows)),
            coordinates=step.coordinates.id,
        ).model_copy(update=champion.fields)
        inputs = evaluation_inputs(spec, model, rows, sources, candidate, champion.scores, champion.unseen)
        plan = spec.evaluation
        about = {
            "model": model.answers,
            "rows": step.loaded["test"].hash,
            "plan": [spec.metric, plan.importance_rows, plan.shap_rows, *_counted_by(spec)],
        }
        explanations = step.recalled(EXPLANATIONS, about, [__name__, *own], lambda: explained(inputs))
        record = evaluate(begun, inputs, explanations)
        step.attach(FIGURES, pictures(record, inputs, explanations, step.coordinates.id))
        return record

    return evaluation


def require_belonging(case: Case, loaded: Mapping[str, Loaded]) -> None:
    """Raise dagster.Failure unless the inputs belong together, as declared."""
    try:
        require_same_origin(case.name, loaded, case.spec.resolved(), Ledger())
    except MismatchError as error:
        raise dg.Failure(f"nothing was evaluated: {error}", allow_retries=False) from error


def _sliced_by(spec: UseCaseSpec) -> set[str]:
    """Return the columns by which rows are judged apart."""
    return {*spec.evaluation.slices, *spec.evaluation.sensitive}


def _counted_by(spec: UseCaseSpec) -> list[str]:
    """Return what says how rows count, where something does."""
    within = f"within {spec.examples.ranked_within}" if spec.examples.ranked_within else None
    return [*filter(None, [spec.examples.weights, within])]


def _period(cutoff: pd.Series) -> tuple[str, str] | None:
    return None if cutoff.isna().all() else (f"{cutoff.min():%Y-%m-%d}", f"{cutoff.max():%Y-%m-%d}")


def _parity(step: Step, model: ExportedModel, rows: pd.DataFrame) -> Parity:
    """Compare the model with the native one on the test rows, which no asset that trains or exports may see."""
    try:
        native = native_model(step)
    except (LedgerError, StorageError) as error:
        raise dg.Failure(
            f"nothing was evaluated: the model that onnx_model was exported from is lost ({error}); run "
            f"{step.case.name}_retrain",
            allow_retries=False,
        ) from error
    return measure_parity(native.model, native.encoder, model.content, rows)


def _leak_audit(model: ExportedModel, tables: dict[str, pa.Table], rows: pd.DataFrame, seed: int) -> LeakAudit | None:
    """Return whether the model's features tell something from after the cutoff, on a sample of the test rows."""
    if not model.spec.examples.timed:
        return None
    sample = sampled(rows[[*model.spec.keys, "cutoff"]], AUDITED, seed)
    finding = no_leak(model.spec, model.definitions, tables, sample)
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
    exported = Exported(model.session, model.encoder, rows)
    return EvaluationInputs(
        spec=spec,
        task=model.task,
        rows=rows,
        grouping=columns_of(sliced_by, rows, tables[spec.examples.table], spec.keys),
        y=model.task.labels_of(rows),
        candidate=candidate,
        champion=champion,
        fair=np.ones(len(rows), dtype=bool) if fair is None else fair,
        reference=model.reference,
        encoder=exported.encoder,
        predict=exported.predict,
        counting=counting(spec.examples, rows),
    )


def _report(step: Step, evaluation: Evaluation) -> None:
    """Show an evaluation in Dagster and MLflow: the page, its numbers as JSON, its figures, and the gates."""
    case, spec, figures = step.case, step.case.spec, step.attachment(FIGURES)
    in_order = {target: evaluation.targets[target] for target in spec.examples.targets}  # as declared, not as stored
    evaluation = _as_of_now(step, evaluation).model_copy(update={"targets": in_order})
    verdicts = judge(spec.gates, evaluation, spec.metric)
    page = html(case.name, spec, evaluation, verdicts, figures, step.coordinates.summary()).encode()
    report = step.storage.save(f"{case.name}/report", page, ".html")
    step.labels["report"] = report.path
    numbers = stamp_json(as_json(evaluation, verdicts), step.coordinates.id)
    step.run.file("report.html", page)
    step.run.file("report.json", json.dumps(numbers, indent=1).encode())
    for target, alone in {"": evaluation, **evaluation.targets}.items():
        step.metrics({of_target(name, target): value for name, value in _figures(alone).items()}, prefix="test ")
    in_mlflow = step.run.link("report.html")
    step.show(report=dg.MetadataValue.url(in_mlflow), report_file=dg.MetadataValue.path(step.storage.uri(report)))
    step.show(**{"in short": dg.MetadataValue.md(in_short(evaluation, spec.metric))})
    for name, png in figures.items():
        step.figure(name, png)
    for verdict in verdicts:
        step.check(verdict.gate, verdict.passed, verdict.reason, verdict.figures)


def _figures(evaluation: Evaluation) -> dict[str, float]:
    """Return the metrics on the test split, and the rates of decisions that are defined."""
    rates = evaluation.decisions.rates if evaluation.decisions else {}
    defined = {at_threshold(rate): estimate.value for rate, estimate in rates.items() if not isnan(estimate.value)}
    return evaluation.labelled() | defined


def _as_of_now(step: Step, evaluation: Evaluation) -> Evaluation:
    """Return the evaluation with the champion's name, where its candidate has become the champion since."""
    champion = step.tracking.champion(step.case.name)
    if champion is None or champion.tags.get(MODEL_HASH) != evaluation.model_hash:
        return evaluation
    return evaluation.of_champion(champion.version)
