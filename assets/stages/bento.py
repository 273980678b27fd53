"""The packaged service."""

import json
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
from assets.stages.values import PackagedBento, ProductionModel
from ml.exported.model import ExportedModel
from ml.features.golden_requests import golden_rows, records
from ml.features.matrix import feature_matrix
from resources.bentos import BentoStore

GOLDEN_ROWS = 10
TOLERANCE = 1e-5  # of a golden answer: of a probability, or of the spread of numbers
TOLERANCE_WHERE_SERVED = 1e-4  # on other processors, or on a GPU


def bento(case: Case) -> dg.AssetsDefinition:
    """Return the asset `bento`."""
    ins = {"production_model": "production_model", "online_state": "online_state", **raw_inputs(case)}

    def still_there(bentos: BentoStore, packaged: PackagedBento) -> bool:
        return bentos.put_first(packaged.tag)

    @asset(
        case,
        "bento",
        stage="production",
        kinds={"bentoml"},
        reads=reads.BENTO,
        ins=ins,
        usable=still_there,
        code=["service.service", "resources.bentos"],
        resources=["bentos"],
    )
    def bento(
        step: Step, production_model: ProductionModel, online_state: dict[str, bytes], **tables: pa.Table
    ) -> PackagedBento:
        """The packaged service, verified by starting it and replaying golden requests."""
        model = ExportedModel(step.tracking.onnx(production_model.name, production_model.version))
        sources = raw_tables(tables)
        version = f"{production_model.version}-{step.coordinates.id}"
        tag = f"{step.case.name}:{version}"
        coordinates = model.coordinates | {
            "model_version": production_model.version,
            "bento": {"tag": tag, **step.coordinates.summary()},
        }
        golden = _golden(model, sources, rows_to_score(step.case, model.served, sources))
        unit = model.task.unit(np.array(golden["scores"]))
        bundle = {
            "model.onnx": model.content,
            "coordinates.json": json.dumps(coordinates, indent=1).encode(),
            **online_state,
            "golden.json": json.dumps(golden | {"tolerance": TOLERANCE_WHERE_SERVED * unit}).encode(),
        }
        labels = {
            "use_case": step.case.name,
            "model_version": production_model.version,
            "coordinates": step.coordinates.id,
            "model_coordinates": production_model.coordinates,
        }
        if commit := step.coordinates.code["commit"]:
            labels["commit"] = commit + ("-dirty" if step.coordinates.code["dirty"] else "")
        extras = step.case.spec.bento.extras
        difference = step.bentos.build(step.case.name, version, bundle, labels, TOLERANCE * unit, extras)
        step.tracking.registry(step.case.name).complete(production_model.version, bundle)
        step.metrics({"largest difference to the batch path": difference})
        size = sum(map(len, bundle.values()))
        step.labels["bento"] = tag
        step.show(tag=tag, serve=f"sextant serve {step.case.name}", size_of_bundle_in_MB=round(size / 1e6, 2))
        return PackagedBento(tag=tag, model_version=production_model.version, coordinates=step.coordinates.id)

    return bento


def _golden(model: ExportedModel, tables: dict[str, pa.Table], scored: pd.DataFrame) -> dict[str, Any]:
    """Return golden requests with the scores that the batch path gives them."""
    spec, definitions = model.served, model.definitions
    rows, cutoffs = golden_rows(spec, definitions, tables[spec.examples.table], scored, GOLDEN_ROWS)
    scores = model.scores(feature_matrix(spec, definitions, tables, cutoffs, rows))
    return {"records": records(spec, definitions, rows, cutoffs), "scores": scores.tolist()}
