"""From the candidate to the production model and its batch predictions."""

import json
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import ArrowInvalid
from pydantic import BaseModel, ConfigDict

from assets.data import raw_inputs, raw_tables
from assets.step import Case, Step, asset
from ml.coordinates import Loaded
from ml.encoding import Encoder
from ml.evaluation import Evaluation, all_metrics, compare
from ml.examples import scored_rows
from ml.feature_definitions import FeatureDefinitions
from ml.features import feature_matrix
from ml.gates import gate_names, judge
from ml.hashing import hash_bytes
from ml.metrics import Task
from ml.onnx_export import described, predict, session, task_of
from ml.report import html, plots
from ml.spec import UseCaseSpec
from ml.stamp import stamp_json
from ml.weighted import most_likely
from resources.storage import Columns


class ProductionModel(BaseModel):
    """The registered version that carries the alias `champion`."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    model_hash: str
    coordinates: str


def encoder_of(content: bytes) -> Encoder:
    """The encoder that an exported model carries."""
    return Encoder.from_dict(json.loads(described(content)["sextant.encoder"]))


def scores_of(content: bytes, matrix: pd.DataFrame) -> np.ndarray:
    """What an exported model answers to a feature matrix: [n_rows], or [n_rows, n_classes]."""
    return predict(session(content), encoder_of(content), matrix)


def declared_in(content: bytes) -> tuple[UseCaseSpec, FeatureDefinitions]:
    """The declaration and the feature definitions that an exported model was made by."""
    about = described(content)
    spec = UseCaseSpec.model_validate_json(about["sextant.spec"])
    return spec, FeatureDefinitions.model_validate_json(about["sextant.definitions"])


def features_of(content: bytes, tables: dict[str, pa.Table], rows: pd.DataFrame) -> pd.DataFrame:
    """The features of rows (key and cutoff) as an exported model defines them, whatever the config says today."""
    spec, definitions = declared_in(content)
    key = spec.tables[spec.examples.table].keys[0]
    return feature_matrix(spec, definitions, tables, rows[[key, "cutoff"]])


def coordinates_of(content: bytes) -> dict[str, Any]:
    """The summary of the coordinates that an exported model carries."""
    return dict(json.loads(described(content)["sextant.coordinates"]))


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


def rows_to_score(case: Case, spec: UseCaseSpec, tables: dict[str, pa.Table]) -> pd.DataFrame:
    """Key and cutoff of the rows that batch predictions cover: today's `score.where`, as the model was made for."""
    rows: pd.DataFrame = scored_rows(case.name, spec, tables, f"({case.spec.score.where or 'true'})").to_pandas()
    return rows


def answered(task: Task, scores: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of predictions: `score`, or of many classes the likeliest one, its probability and that of each."""
    if task.kind != "multiclass":
        return {"score": scores}
    names = np.array(task.classes, dtype=object)
    of_each = {f"probability_{name}": scores[:, code] for code, name in enumerate(task.classes)}
    return {"class": names[most_likely(scores)], "score": scores.max(axis=1), **of_each}


def predictions(case: Case) -> dg.AssetsDefinition:
    """The asset `predictions`."""
    ins = {"production_model": "production_model", **raw_inputs(case)}

    @asset(case, "predictions", stage="production", kinds={"onnx"}, ins=ins)
    def predictions(step: Step, production_model: ProductionModel, **tables: pa.Table) -> pd.DataFrame:
        """Batch scores, each row with the model version and time."""
        content = step.tracking.onnx(production_model.name, production_model.version)
        sources = raw_tables(tables)
        rows = rows_to_score(case, declared_in(content)[0], sources)
        if case.spec.examples.query is None:
            step.show(rows_left_out=sources[case.spec.examples.table].num_rows - len(rows))
        answers = answered(task_of(content), scores_of(content, features_of(content, sources, rows)))
        return rows.assign(
            **answers,
            model_version=production_model.version,
            model_coordinates=production_model.coordinates,
            coordinates=step.coordinates.id,
            scored_at=pd.Timestamp(datetime.now(UTC)).tz_localize(None).floor("us"),
        )

    return predictions
