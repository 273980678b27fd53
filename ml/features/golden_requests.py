"""Golden requests: rows to ask a service about, whose scores the batch path gives."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import CUTOFF, FeatureDefinitions


def golden_rows(
    spec: UseCaseSpec, definitions: FeatureDefinitions, table: pa.Table, rows: pd.DataFrame, count: int
) -> tuple[pa.Table, pd.DataFrame]:
    """Choose rows to ask the service about, with nothing known of their outcome, and the key and cutoff of each.

    Each is a row of the examples' table: as it is, with its numbers missing, and with its categories unseen.
    """
    key = spec.key
    chosen = rows.iloc[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)][[key, "cutoff"]]
    columns = [name for name in table.column_names if name in definitions.record]
    source = table.select(list(dict.fromkeys([key, *columns]))).to_pandas().set_index(key, drop=False)
    source = source.loc[chosen[key]].reset_index(drop=True)
    kinds = {name: definitions.record[name] for name in columns if name != key}
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    texts = [name for name, kind in kinds.items() if kind == "text"]
    parts = [source, source.assign(**dict.fromkeys(numbers, np.nan))]
    parts += [source.assign(**{name: "never seen"}) for name in texts] + [
        source.assign(**{name: None}) for name in texts
    ]
    golden = pd.concat(parts, ignore_index=True)
    schema = pa.schema([table.schema.field(name) for name in golden.columns])
    plain = pa.Table.from_pandas(golden, preserve_index=False)
    requests = pa.Table.from_arrays([plain[field.name].cast(field.type) for field in schema], schema=schema)
    return requests, pd.concat([chosen] * len(parts), ignore_index=True)


def records(
    spec: UseCaseSpec, definitions: FeatureDefinitions, golden: pa.Table, cutoffs: pd.DataFrame
) -> list[dict[str, Any]]:
    """Return golden rows as the JSON records that the service is asked with; missing values are left out or null."""
    if spec.examples.query:
        golden = golden.append_column(CUTOFF, pa.array(cutoffs["cutoff"], pa.timestamp("us")))
    rows = golden.select(list(definitions.record)).to_pylist()
    return [{name: _json(value) for name, value in row.items()} for row in rows]


def _json(value: Any) -> Any:
    if isinstance(value, float) and np.isnan(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
