"""Metadata: what the UI shows of a materialization, and the coordinates as tags of its run."""

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from ml.base.table_file import TableFile
from ml.provenance.coordinates import Coordinates
from resources.storage import METADATA

REUSED, SHOWN_ANEW = "reused", "shown anew"  # of a materialization that takes a stored result
# What is said of one materialization alone: the last ones the IO manager adds.
OF_ONE = {REUSED, SHOWN_ANEW, METADATA, "dagster/uri", "files", "size (bytes)"}


def table_metadata(value: Any, descriptions: Mapping[str, str]) -> dict[str, Any]:
    """Return the number of rows and the columns of a table or frame; nothing of any other value."""
    if isinstance(value, pd.DataFrame):
        schema, rows = pa.Schema.from_pandas(value, preserve_index=False), len(value)
    elif isinstance(value, pa.Table | TableFile):
        schema, rows = value.schema, value.num_rows
    else:
        return {}
    columns = [dg.TableColumn(field.name, str(field.type), descriptions.get(field.name)) for field in schema]
    return {
        "dagster/row_count": rows,
        "dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns=columns)),
    }


def tags(coordinates: Coordinates) -> dict[str, str]:
    """Return the coordinates as tags of a tracked run."""
    summary = coordinates.summary()
    return {"sextant.coordinates": coordinates.id} | {
        f"sextant.{name}": json.dumps(value, sort_keys=True) for name, value in summary.items() if name != "id"
    }


def coordinates_metadata(coordinates: Coordinates) -> dict[str, Any]:
    """Return the coordinates as the UI shows them."""
    return {"coordinates id": coordinates.id, "coordinates": dg.MetadataValue.json(coordinates.summary())}


def carried_over(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of an earlier materialization that holds for its result whenever that is reused."""
    return {name: value for name, value in metadata.items() if name not in OF_ONE}
