"""What a service has to know of the past."""

import io

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assets.data import raw_inputs, raw_tables
from assets.exported import declared_in
from assets.predictions import rows_to_score
from assets.production import ProductionModel
from assets.step import Case, Step, asset
from ml.exported.onnx import task_of
from ml.features.online_state import online_state as made_state


def online_state(case: Case) -> dg.AssetsDefinition:
    """The asset `online_state`."""
    ins = {"production_model": "production_model", **raw_inputs(case)}

    @asset(case, "online_state", stage="production", kinds={"parquet"}, ins=ins)
    def online_state(step: Step, production_model: ProductionModel, **tables: pa.Table) -> dict[str, bytes]:
        """The plan of the features and the recent history that they need, as the files that the Bento carries."""
        content = step.tracking.onnx(production_model.name, production_model.version)
        spec, definitions = declared_in(content)
        sources = raw_tables(tables)
        rows = rows_to_score(case, spec, sources)
        files = made_state(case.name, spec, definitions, sources, rows["cutoff"], task_of(content))
        step.show(files=dg.MetadataValue.md(_listed(files)), size_in_MB=round(sum(map(len, files.values())) / 1e6, 2))
        return files

    return online_state


def _listed(files: dict[str, bytes]) -> str:
    """Name, rows and size of each file."""
    found = [
        {
            "file": name,
            "rows": pq.read_metadata(io.BytesIO(content)).num_rows if name.endswith(".parquet") else None,
            "kB": round(len(content) / 1000, 1),
        }
        for name, content in sorted(files.items())
    ]
    return str(pd.DataFrame(found).astype({"rows": "Int64"}).to_markdown(index=False))
