"""The report on the test split."""

import json

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import ArrowInvalid

from assets.data import raw_inputs, raw_tables
from assets.exported import coordinates_of, encoder_of, features_of, scores_of
from assets.step import Case, Step, asset
from ml.coordinates import Loaded
from ml.evaluation import Evaluation, all_metrics, compare
from ml.gates import gate_names, judge
from ml.hashing import hash_bytes
from ml.metrics import Task
from ml.onnx_export import described, task_of
from ml.report import html, plots
from ml.stamp import stamp_json
from resources.storage import Columns


def evaluation(case: Case) -> dg.AssetsDefinition:
    """The asset `evaluation`."""
    ins = {"onnx_model": "onnx_model", "test": "features/test", **raw_inputs(case)}
    gates, key = gate_names(case.spec.gates), case.spec.tables[case.spec.examples.table].keys[0]

    @asset(case, "evaluation", stage="evaluation", kinds={"scikitlearn"}, ins=ins, always=True, checks=gates)
    def evaluation(step: Step, onnx_model: bytes, test: Columns, **tables: pa.Table) -> Evaluation:
        """The report on the test split: candidate against champion on the same rows."""
        task, rows = task_of(onnx_model), test.read({key, "cutoff", "target", *encoder_of(onnx_model).features})
        y, candidate = task.labels(rows["target"]), scores_of(onnx_model, rows)
        against = _against_champion(step, raw_tables(tables), rows, y, candidate, onnx_model)
        found = Evaluation(
            model_hash=hash_bytes(onnx_model),
            family=described(onnx_model)["sextant.family"],
            rows=len(y),
            target=task.summary(rows["target"]),
            metrics=all_metrics(y, candidate, task),
            coordinates=step.coordinates.id,
        ).model_copy(update=against)
        verdicts = judge(case.spec.gates, found, case.spec.metric)
        figures = plots(y, candidate, step.coordinates.id, task)
        page = html(case.name, case.spec.description, found, verdicts, figures, step.coordinates.summary()).encode()
        report = step.storage.save(f"{case.name}/report", page, ".html")
        step.labels["report"] = report.path
        step.run.file("report.html", page)
        step.run.file("report.json", _report_json(step, found))
        step.metrics(found.metrics, prefix="test ")
        in_mlflow = f"{step.tracking.link(step.run)}/artifacts/report.html"
        step.show(report=dg.MetadataValue.url(in_mlflow), report_file=dg.MetadataValue.path(step.storage.uri(report)))
        for name, png in figures.items():
            step.figure(name, png)
        for verdict in verdicts:
            step.check(verdict.gate, verdict.passed, verdict.reason)
        return found

    return evaluation


def _against_champion(
    step: Step, tables: dict[str, pa.Table], test: pd.DataFrame, y: np.ndarray, candidate: np.ndarray, onnx_model: bytes
) -> dict[str, object]:
    """The comparison on the same test rows; the champion sees the features that it was trained on."""
    spec, task, champion = step.case.spec, task_of(onnx_model), step.tracking.champion(step.case.name)
    if champion is None:
        return {}
    content = step.tracking.onnx(step.case.name, champion.version)
    name = f"{step.case.name}:{champion.version}"
    step.also_loaded("champion", Loaded(name, hash_bytes(content), str(coordinates_of(content)["id"])))
    found: dict[str, object] = {"champion_version": str(champion.version), "champion_hash": hash_bytes(content)}
    if found["champion_hash"] == hash_bytes(onnx_model):
        return found  # the candidate is the champion: there is nothing to compare
    if task_of(content) != task:
        return {**found, "incomparable": f"it answers {_said(task_of(content))}, the candidate {_said(task)}"}
    try:
        scores = scores_of(content, features_of(content, tables, test))
    except (ArrowInvalid, KeyError, ValueError) as error:
        return {**found, "incomparable": f"its features cannot be computed from today's tables: {error}"}
    rule = spec.gates.champion
    return {
        **found,
        "champion_metrics": all_metrics(y, scores, task),
        "comparison": compare(
            spec.metric, y, candidate, scores, confidence=rule.confidence, resamples=rule.resamples, seed=spec.seed
        ),
    }


def _said(task: Task) -> str:
    return f"{task.kind} of the classes {', '.join(task.classes)}" if task.classes else task.kind


def _report_json(step: Step, found: Evaluation) -> bytes:
    return json.dumps(stamp_json(found.model_dump(mode="json"), step.coordinates.id), indent=1).encode()
