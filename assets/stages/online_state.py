"""The past that a service has to know."""

import io

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from assets.stages.inputs import raw_inputs, raw_tables, rows_to_score
from assets.stages.values import ProductionModel
from ml.base.text import markdown_table
from ml.examples.build import scored_rows
from ml.exported.model import ExportedModel
from ml.features import online_state as state


def online_state(case: Case) -> dg.AssetsDefinition:
    """Return the asset `online_state`."""
    ins = {"production_model": "production_model", **raw_inputs(case)}

    @asset(case, "online_state", stage="production", kinds={"parquet"}, reads=reads.ONLINE_STATE, ins=ins)
    def online_state(step: Step, production_model: ProductionModel, **tables: pa.Table) -> dict[str, bytes]:
        """The plan of the features and the recent history that they need, as the files that the Bento carries."""
        model = ExportedModel(step.tracking.onnx(production_model.name, production_model.version))
        sources = raw_tables(tables)
        rows = rows_to_score(step.case, model.served, sources)
        files = state.online_state(
            step.case.name,
            model.served,
            model.definitions,
            sources,
            rows["cutoff"],
            model.task,
            declared=step.case.spec.tables,
            usual=scored_rows(step.case.name, model.served, sources, "true").to_pandas()["cutoff"],
        )
        step.show(files=dg.MetadataValue.md(_listed(files)), size_in_MB=round(sum(map(len, files.values())) / 1e6, 2))
        return files

    return online_state


def _listed(files: dict[str, bytes]) -> str:
    """Return name, rows and size of each file as a table."""
    return markdown_table(
        [
            {
                "file": name,
                "rows": str(pq.read_metadata(io.BytesIO(content)).num_rows) if name.endswith(".parquet") else "",
                "kB": round(len(content) / 1000, 1),
            }
            for name, content in sorted(files.items())
        ]
    )
