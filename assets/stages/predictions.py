"""Batch predictions by the production model."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from assets.stages.inputs import raw_inputs, raw_tables, rows_to_score
from assets.stages.values import ProductionModel
from ml.base.keys import named_apart
from ml.exported.model import ExportedModel
from ml.tasks.task import Task
from ml.tasks.weighted import most_likely


def answer_columns(
    task: Task, scores: np.ndarray, thresholds: Sequence[float] = (), half_width: float | None = None
) -> dict[str, np.ndarray]:
    """Return the columns of predictions: `score`, with a threshold the `decision` too, with an interval its ends.

    Of many classes these are the likeliest, its probability and that of each; of several targets the probability of
    each, and the decision by its threshold.
    """
    if task.targets:
        columns = {f"probability_{name}": scores[:, at] for at, name in enumerate(task.targets)}
        decided = zip(task.targets, thresholds, strict=True)
        return columns | {f"decision_{name}": columns[f"probability_{name}"] >= cut for name, cut in decided}
    if half_width is not None:
        return {"score": scores, "lower": scores - half_width, "upper": scores + half_width}
    if task.kind != "multiclass":
        return {"score": scores, **({"decision": scores >= thresholds[0]} if thresholds else {})}
    names = np.array(task.classes, dtype=object)
    of_each = {f"probability_{name}": scores[:, code] for code, name in enumerate(task.classes)}
    return {"class": names[most_likely(scores)], "score": scores.max(axis=1), **of_each}


def answered(
    rows: pd.DataFrame, keys: Sequence[str], answers: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> pd.DataFrame:
    """Return rows with the answers to them; a key with the name of another column is called `key_score` or the like."""
    columns = {**answers, **about}
    return rows.rename(columns=named_apart(keys, {"cutoff", *columns})).assign(**columns)


def predictions(case: Case) -> dg.AssetsDefinition:
    """Return the asset `predictions`."""
    ins = {"production_model": "production_model", **raw_inputs(case)}

    @asset(case, "predictions", stage="production", kinds={"onnx"}, reads=reads.SCORE, ins=ins)
    def predictions(step: Step, production_model: ProductionModel, **tables: pa.Table) -> pd.DataFrame:
        """Batch scores, each row with the model version and time."""
        model = ExportedModel(step.tracking.onnx(production_model.name, production_model.version))
        sources = raw_tables(tables)
        rows = rows_to_score(step.case, model.served, sources)
        if model.served.examples.query is None:
            step.show(rows_left_out=sources[model.served.examples.table].num_rows - len(rows))
        scores = model.scores(model.features(sources, rows))
        about = {
            "model_version": production_model.version,
            "model_coordinates": production_model.coordinates,
            "coordinates": step.coordinates.id,
            "scored_at": pd.Timestamp(datetime.now(UTC)).tz_localize(None).floor("us"),
        }
        return answered(rows, model.served.keys, answer_columns(model.task, scores, *model.decided), about)

    return predictions
