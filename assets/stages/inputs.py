"""Inputs that several assets have in common."""

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.framework.case import Case
from ml.declaration import derived
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import scored_rows


def raw_inputs(case: Case) -> dict[str, str]:
    """Return every raw table as an input named `raw_<table>`."""
    return {f"raw_{name}": f"raw/{name}" for name in case.spec.tables}


def raw_tables(inputs: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Return the raw tables among an asset's inputs, by their own names."""
    return {name.removeprefix("raw_"): value for name, value in inputs.items() if name.startswith("raw_")}


def rows_to_score(case: Case, spec: UseCaseSpec, tables: dict[str, pa.Table]) -> pd.DataFrame:
    """Return key and cutoff of the rows that batch predictions cover: today's `score.where`, by a model's `spec`.

    Raises dagster.Failure where the tables are samples, of which nothing is served.
    """
    if samples := derived.samples(case.spec):
        raise dg.Failure(f"nothing is served of a sample, and {samples}; leave it out", allow_retries=False)
    rows: pd.DataFrame = scored_rows(case.name, spec, tables, f"({case.spec.score.where or 'true'})").to_pandas()
    return rows
