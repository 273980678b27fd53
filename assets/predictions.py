"""Batch predictions by the production model."""

from datetime import UTC, datetime

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from assets.data import raw_inputs, raw_tables
from assets.exported import declared_in, features_of, scores_of
from assets.production import ProductionModel
from assets.step import Case, Step, asset
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import scored_rows
from ml.exported.onnx import task_of
from ml.tasks.metrics import Task
from ml.tasks.weighted import most_likely


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
