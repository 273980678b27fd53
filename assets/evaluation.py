"""The report on the test split."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import ArrowInvalid

from assets.belonging import MismatchError, require_same_origin
from assets.data import raw_inputs, raw_tables
from assets.exported import coordinates_of, declared_in, encoder_of, features_of, reference_of, scores_of
from assets.step import Case, Step, asset
from ml.base.hashing import hash_bytes
from ml.evaluation.cost import serving_of
from ml.evaluation.evaluate import Judging, evaluate
from ml.evaluation.explanations import Exported
from ml.evaluation.record import Evaluation, LeakAudit
from ml.evaluation.slices import columns_of
from ml.evaluation.unseen import compare_unseen, unseen
from ml.exported.onnx import described, session, task_of
from ml.features.leaks import no_leak
from ml.gates.judge import Verdict, gate_names, judge
from ml.provenance.coordinates import Loaded
from ml.provenance.stamp import stamp_json
from ml.report.page import html, in_short, told
from ml.report.pictures import pictures
from ml.tasks.metrics import Task
from resources.ledger import Ledger
from resources.storage import Columns
from resources.tracking.registry import MODEL_HASH

AUDITED = 400  # test rows that the test for leaks looks at


def evaluation(case: Case) -> dg.AssetsDefinition:
    """The asset `evaluation`."""
    ins = {"onnx_model": "onnx_model", "test": "features/test", **raw_inputs(case)}

    @asset(
        case,
        "evaluation",
        stage="evaluation",
        kinds={"scikitlearn"},
        ins=ins,
        always=True,
        checks=gate_names(case.spec.gates),
        code=case.spec.gates.modules,
    )
    def evaluation(step: Step, onnx_model: bytes, test: Columns, **tables: pa.Table) -> Evaluation:
        """The report on the test split: candidate, champion and a trivial baseline on the same rows."""
        _require_belonging(step)
        sources, rows = raw_tables(tables), test.read(_columns(step.case, onnx_model))
        task = task_of(onnx_model)
        y, candidate = task.labels(rows["target"]), scores_of(onnx_model, rows)
        champion = _champion(step, sources, rows, y, candidate, onnx_model)
        begun = Evaluation(
            model_hash=hash_bytes(onnx_model),
            family=described(onnx_model)["sextant.family"],
            rows=len(y),
            target=task.summary(rows["target"]),
            metrics={},
            period=_period(rows["cutoff"]),
            leak_audit=_leak_audit(step.case, onnx_model, sources, rows),
            serving=serving_of(onnx_model, encoder_of(onnx_model), rows),
            coordinates=step.coordinates.id,
        ).model_copy(update=champion.found)
        given = judging(step.case, onnx_model, rows, sources, candidate, champion.scores, champion.unseen)
        found, explained = evaluate(begun, given)
        _report(step, found, pictures(found, given, explained, step.coordinates.id))
        return found

    return evaluation


def _require_belonging(step: Step) -> None:
    try:
        require_same_origin(step.case, step.loaded, step.case.spec.resolved(), Ledger())
    except MismatchError as error:
        raise dg.Failure(f"nothing was evaluated: {error}", allow_retries=False) from error


@dataclass(frozen=True)
class _Champion:
    """What is known of the champion: fields of the evaluation, its answers to all test rows, and which it has not seen.

    There are no answers where there is no champion, where it is the candidate, and where the two cannot be compared.
    """

    found: dict[str, Any]
    scores: np.ndarray | None = None
    unseen: np.ndarray | None = None


def _columns(case: Case, onnx_model: bytes) -> set[str]:
    """The columns of the feature matrix that are looked at."""
    key = case.spec.tables[case.spec.examples.table].keys[0]
    plan = case.spec.evaluation
    return {key, "cutoff", "target", *encoder_of(onnx_model).features, *plan.slices, *plan.sensitive}


def _period(cutoff: pd.Series) -> tuple[str, str] | None:
    return None if cutoff.isna().all() else (f"{cutoff.min():%Y-%m-%d}", f"{cutoff.max():%Y-%m-%d}")


def _leak_audit(case: Case, onnx_model: bytes, tables: dict[str, pa.Table], rows: pd.DataFrame) -> LeakAudit | None:
    """Whether the features that this model uses tell something from after the cutoff, on a sample of the test rows."""
    spec, definitions = declared_in(onnx_model)
    if not spec.examples.timed:
        return None
    sample = rows.sample(min(len(rows), AUDITED), random_state=case.spec.seed)
    found = no_leak(spec, definitions, tables, sample[[spec.tables[spec.examples.table].keys[0], "cutoff"]])
    return LeakAudit(passed=found.passed, reason=found.reason)


def judging(
    case: Case,
    onnx_model: bytes,
    rows: pd.DataFrame,
    tables: dict[str, pa.Table],
    candidate: np.ndarray,
    champion: np.ndarray | None = None,
    unseen: np.ndarray | None = None,
) -> Judging:
    """What an evaluation is made of; `unseen` says which test rows the champion has not seen, None that it has none."""
    plan, examples = case.spec.evaluation, case.spec.examples
    key, encoder, task = case.spec.tables[examples.table].keys[0], encoder_of(onnx_model), task_of(onnx_model)
    return Judging(
        spec=case.spec,
        task=task,
        rows=rows,
        grouping=columns_of([*plan.slices, *plan.sensitive], rows, tables[examples.table], key),
        y=task.labels(rows["target"]),
        candidate=candidate,
        champion=champion,
        fair=np.ones(len(rows), dtype=bool) if unseen is None else unseen,
        reference=reference_of(onnx_model),
        encoder=encoder,
        predict=Exported(session(onnx_model), encoder).predict,
    )


def _report(step: Step, found: Evaluation, figures: dict[str, bytes]) -> None:
    """Shows the evaluation in Dagster and MLflow: the page, its numbers as JSON, its figures, and the gates."""
    case = step.case
    verdicts = judge(case.spec.gates, found, case.spec.metric)
    page = html(case.name, case.spec, found, verdicts, figures, step.coordinates.summary()).encode()
    report = step.storage.save(f"{case.name}/report", page, ".html")
    step.labels["report"] = report.path
    step.run.file("report.html", page)
    step.run.file("report.json", _report_json(step, found, verdicts))
    step.metrics(found.metrics, prefix="test ")
    in_mlflow = f"{step.tracking.link(step.run)}/artifacts/report.html"
    step.show(report=dg.MetadataValue.url(in_mlflow), report_file=dg.MetadataValue.path(step.storage.uri(report)))
    step.show(**{"in short": dg.MetadataValue.md(in_short(found, case.spec.metric))})
    for name, png in figures.items():
        step.figure(name, png)
    for verdict in verdicts:
        step.check(verdict.gate, verdict.passed, verdict.reason, verdict.figures)


def _champion(
    step: Step, tables: dict[str, pa.Table], test: pd.DataFrame, y: np.ndarray, candidate: np.ndarray, onnx_model: bytes
) -> _Champion:
    """The comparison on the same test rows; the champion sees the features that it was trained on."""
    spec, task, champion = step.case.spec, task_of(onnx_model), step.tracking.champion(step.case.name)
    if champion is None:
        return _Champion({})
    name, content = f"{step.case.name}:{champion.version}", step.tracking.onnx(step.case.name, champion.version)
    if hash_bytes(content) != champion.tags.get(MODEL_HASH, hash_bytes(content)):
        raise dg.Failure(
            f"nothing was evaluated: the champion {name} is damaged, its file is not the model that was registered; go "
            f"back to another version: sextant rollback {step.case.name} --reason …",
            allow_retries=False,
        )
    step.also_loaded("champion", Loaded(name, hash_bytes(content), str(coordinates_of(content)["id"])))
    found: dict[str, Any] = {"champion_version": str(champion.version), "champion_hash": hash_bytes(content)}
    if found["champion_hash"] == hash_bytes(onnx_model):
        return _Champion(found)  # the candidate is the champion: there is nothing to compare
    if task_of(content) != task:
        return _Champion(
            {**found, "incomparable": f"it answers {_said(task_of(content))}, the candidate {_said(task)}"}
        )
    try:
        scores = scores_of(content, features_of(content, tables, test))
        fair = unseen(step.case.name, declared_in(content)[0], tables, test)
    except (ArrowInvalid, KeyError, ValueError) as error:
        return _Champion({**found, "incomparable": f"its features cannot be computed from today's tables: {error}"})
    found |= compare_unseen(spec.metric, spec.gates.champion, spec.seed, y, candidate, scores, fair)
    return _Champion(found) if "incomparable" in found else _Champion(found, scores, fair)


def _said(task: Task) -> str:
    return f"{task.kind} of the classes {', '.join(task.classes)}" if task.classes else task.kind


def _report_json(step: Step, found: Evaluation, verdicts: Sequence[Verdict]) -> bytes:
    return json.dumps(stamp_json(told(found, verdicts), step.coordinates.id), indent=1).encode()
