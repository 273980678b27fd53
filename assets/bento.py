"""The packaged service."""

import json

import dagster as dg
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from assets.data import raw_inputs, raw_tables
from assets.production import ProductionModel, coordinates_of, scored_rows, scores_of
from assets.step import Case, Step, asset
from ml.bundle import golden_rows, plan_and_lookups, records
from ml.examples import cutoff_sql
from ml.feature_definitions import FeatureDefinitions
from ml.features import feature_matrix
from ml.onnx_export import described
from ml.sources import run_sql

GOLDEN_ROWS = 10
TOLERANCE = 1e-5


class PackagedBento(BaseModel):
    """A Bento in the store."""

    model_config = ConfigDict(frozen=True)

    tag: str
    model_version: str
    coordinates: str


def bento(case: Case) -> dg.AssetsDefinition:
    """The asset `bento`."""
    ins = {"production_model": "production_model", **raw_inputs(case)}

    @asset(case, "bento", stage="production", kinds={"bentoml"}, ins=ins)
    def bento(step: Step, production_model: ProductionModel, **tables: pa.Table) -> PackagedBento:
        """The packaged service, verified by starting it and replaying golden requests."""
        content = step.tracking.onnx(production_model.name, production_model.version)
        definitions = FeatureDefinitions.model_validate_json(described(content)["sextant.definitions"])
        sources = raw_tables(tables)
        tag = f"{case.name}:{production_model.version}-{step.coordinates.id}"
        coordinates = coordinates_of(content) | {
            "model_version": production_model.version,
            "bento": {"tag": tag, **step.coordinates.summary()},
        }
        bundle = {
            "model.onnx": content,
            "coordinates.json": json.dumps(coordinates, indent=1).encode(),
            **plan_and_lookups(case.name, case.spec, definitions, sources, scored_rows(case, sources)["cutoff"]),
            "golden.json": _golden(case, definitions, content, sources),
        }
        labels = {
            "use_case": case.name,
            "model_version": production_model.version,
            "coordinates": step.coordinates.id,
            "model_coordinates": production_model.coordinates,
        }
        name, _, version = tag.partition(":")
        difference = step.bentos.build(name, version, bundle, labels, TOLERANCE)
        step.metrics({"largest difference to the batch path": difference})
        size = sum(map(len, bundle.values()))
        step.show(tag=tag, serve=f"sextant serve {case.name}", size_of_bundle_in_MB=round(size / 1e6, 2))
        return PackagedBento(tag=tag, model_version=production_model.version, coordinates=step.coordinates.id)

    return bento


def _golden(case: Case, definitions: FeatureDefinitions, content: bytes, tables: dict[str, pa.Table]) -> bytes:
    """Golden requests with the scores that the batch path gives them."""
    name = case.spec.examples.table
    asked = golden_rows(case.spec, definitions, tables[name], scored_rows(case, tables), GOLDEN_ROWS)
    key = case.spec.tables[name].keys[0]
    rows = run_sql("golden requests", f'select "{key}", {cutoff_sql(case.spec)} as cutoff from source', source=asked)
    together = {**tables, name: pa.concat_tables([tables[name], asked], promote_options="default")}
    scores = scores_of(content, feature_matrix(case.spec, definitions, together, rows.to_pandas()))
    return json.dumps({"records": records(definitions, asked), "scores": [float(score) for score in scores]}).encode()
