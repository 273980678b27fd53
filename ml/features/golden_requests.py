"""Golden requests: rows to ask a service about, whose scores the batch path gives."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.base.keys import places
from ml.base.sql import DataError, run_sql
from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import CUTOFF, FeatureDefinitions


def golden_rows(
    spec: UseCaseSpec, definitions: FeatureDefinitions, table: pa.Table, rows: pd.DataFrame, count: int
) -> tuple[pa.Table, pd.DataFrame]:
    """Choose rows to ask the service about, with nothing known of their outcome, and the key and cutoff of each.

    Each is a row of the examples' table: as it is, with its numbers missing, and with its categories unseen, where its
    computed columns can then be computed.
    """
    keys = spec.keys
    chosen = rows.iloc[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)][[*keys, "cutoff"]]
    columns = [name for name in table.column_names if name in definitions.record]
    asked = [pa.chunked_array([pa.array(chosen[key], from_pandas=True)]) for key in keys]
    place = places(asked, table.select(keys).columns)
    source = table.select(list(dict.fromkeys([*keys, *columns]))).take(place)
    kinds = {name: definitions.record[name] for name in columns if name != spec.key}
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    texts = [name for name, kind in kinds.items() if kind == "text"]
    changed = [_with(source, numbers, None)]
    changed += [_with(source, [name], value) for value in ("never seen", None) for name in texts]
    parts = [source, *(part for part in changed if _is_computed(definitions, part))]
    return pa.concat_tables(parts).combine_chunks(), pd.concat([chosen] * len(parts), ignore_index=True)


def _is_computed(definitions: FeatureDefinitions, rows: pa.Table) -> bool:
    """Return whether the computed columns of rows have values: `cast(x as double)` has none of a text never seen.

    The service refuses such a record by name, so that there is no answer to compare.
    """
    seeds = definitions.synthesis.seeds if definitions.synthesis else {}
    if not seeds:
        return True
    try:
        run_sql("golden rows", f"select {', '.join(f'({sql})' for sql in seeds.values())} from source", source=rows)
    except DataError:
        return False
    return True


def _with(table: pa.Table, columns: Iterable[str], value: str | None) -> pa.Table:
    """Return a table of which some columns have the same value in all rows."""
    for name in columns:
        place = table.schema.get_field_index(name)
        values = pa.array([value] * len(table), table.schema.field(name).type)
        table = table.set_column(place, table.schema.field(name), values)
    return table


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
