"""The packaged service."""

import json
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from assets.data import raw_inputs, raw_tables
from assets.exported import coordinates_of, declared_in, scores_of
from assets.predictions import rows_to_score
from assets.production import ProductionModel
from assets.step import Case, Step, asset
from ml.declaration.use_case import UseCaseSpec
from ml.exported.onnx import task_of
from ml.features.definitions import FeatureDefinitions
from ml.features.golden_requests import golden_rows, records
from ml.features.matrix import feature_matrix
from resources.bentos import BentoStore

GOLDEN_ROWS = 10
TOLERANCE = 1e-5  # of a golden answer: of a probability, or of the spread of numbers
TOLERANCE_WHERE_SERVED = 1e-4  # on other processors, or on a GPU


class PackagedBento(BaseModel):
    """A Bento in the store."""

    model_config = ConfigDict(frozen=True)

    tag: str
    model_version: str
    coordinates: str


def bento(case: Case) -> dg.AssetsDefinition:
    """The asset `bento`."""
    ins = {"production_model": "production_model", "online_state": "online_state", **raw_inputs(case)}

    def still_there(bentos: BentoStore, packaged: PackagedBento) -> bool:
        return bentos.put_first(packaged.tag)

    @asset(case, "bento", stage="production", kinds={"bentoml"}, ins=ins, usable=still_there, code=["service.service"])
    def bento(
        step: Step, production_model: ProductionModel, online_state: dict[str, bytes], **tables: pa.Table
    ) -> PackagedBento:
        """The packaged service, verified by starting it and replaying golden requests."""
        content = step.tracking.onnx(production_model.name, production_model.version)
        (spec, definitions), sources = declared_in(content), raw_tables(tables)
        rows = rows_to_score(case, spec, sources)
        tag = f"{case.name}:{production_model.version}-{step.coordinates.id}"
        coordinates = coordinates_of(content) | {
            "model_version": production_model.version,
            "bento": {"tag": tag, **step.coordinates.summary()},
        }
        golden = _golden(spec, definitions, content, sources, rows)
        unit = task_of(content).unit(np.array(golden["scores"]))
        bundle = {
            "model.onnx": content,
            "coordinates.json": json.dumps(coordinates, indent=1).encode(),
            **online_state,
            "golden.json": json.dumps(golden | {"tolerance": TOLERANCE_WHERE_SERVED * unit}).encode(),
        }
        labels = {
            "use_case": case.name,
            "model_version": production_model.version,
            "coordinates": step.coordinates.id,
            "model_coordinates": production_model.coordinates,
        }
        name, _, version = tag.partition(":")
        difference = step.bentos.build(name, version, bundle, labels, TOLERANCE * unit)
        step.metrics({"largest difference to the batch path": difference})
        size = sum(map(len, bundle.values()))
        step.labels["bento"] = tag
        step.show(tag=tag, serve=f"sextant serve {case.name}", size_of_bundle_in_MB=round(size / 1e6, 2))
        return PackagedBento(tag=tag, model_version=production_model.version, coordinates=step.coordinates.id)

    return bento


def _golden(
    spec: UseCaseSpec,
    definitions: FeatureDefinitions,
    content: bytes,
    tables: dict[str, pa.Table],
    scored: pd.DataFrame,
) -> dict[str, Any]:
    """Golden requests with the scores that the batch path gives them."""
    asked, cutoffs = golden_rows(spec, definitions, tables[spec.examples.table], scored, GOLDEN_ROWS)
    scores = scores_of(content, feature_matrix(spec, definitions, tables, cutoffs, asked))
    said = records(spec, definitions, asked, cutoffs)
    return {"records": said, "scores": scores.tolist()}
