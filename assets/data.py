"""From source tables to the feature matrix."""

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.step import Case, Step, asset
from ml.examples import make_examples
from ml.feature_definitions import FeatureDefinitions, define_features
from ml.features import feature_matrix
from ml.source import running
from ml.sources import load_table


def raw_inputs(case: Case) -> dict[str, str]:
    """Every raw table as an input named `raw_<table>`."""
    return {f"raw_{name}": f"raw/{name}" for name in case.spec.tables}


def raw_tables(inputs: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The raw tables among an asset's inputs, by their own names."""
    return {name.removeprefix("raw_"): value for name, value in inputs.items() if name.startswith("raw_")}


def raw(case: Case, table: str) -> dg.AssetsDefinition:
    """The asset of one source table."""

    def snapshot(step: Step) -> pa.Table:
        return load_table(case.name, table, case.spec.tables[table], case.spec.times_of(table))

    snapshot.__doc__ = f"The table {table} as it is at its source, checked, as an immutable snapshot."
    reader = str(case.spec.tables[table].source.python).partition(":")[0]
    code = [reader] if reader in running().modules else []
    return asset(case, f"raw/{table}", stage="data", kinds={"parquet"}, always=True, code=code)(snapshot)


def examples(case: Case) -> dg.AssetsDefinition:
    """The asset `examples`."""

    @asset(case, "examples", stage="data", kinds={"duckdb"}, ins={"table": f"raw/{case.spec.examples.table}"})
    def examples(step: Step, table: pa.Table) -> pa.Table:
        """One row per example: entity key, cutoff time, target, split."""
        made = make_examples(case.name, case.spec, table)
        counts = made.to_pandas().groupby("split")["target"].agg(["size", "mean"])
        step.show(splits=dg.MetadataValue.md(counts.rename(columns={"mean": "share positive"}).to_markdown()))
        step.metrics({f"{name} rows": float(row["size"]) for name, row in counts.iterrows()})
        return made

    return examples


def feature_definitions(case: Case) -> dg.AssetsDefinition:
    """The asset `feature_definitions`."""

    @asset(case, "feature_definitions", stage="features", kinds={"python"}, ins=raw_inputs(case))
    def feature_definitions(step: Step, **tables: pa.Table) -> FeatureDefinitions:
        """What deep feature synthesis decided to compute, as featuretools' own JSON."""
        made = define_features(case.name, case.spec, raw_tables(tables))
        names = pd.DataFrame([feature.model_dump() for feature in made.features])[["name", "kind", "type", "lookup"]]
        step.show(features=len(names), names=dg.MetadataValue.md(names.to_markdown(index=False)))
        return made

    return feature_definitions


def features(case: Case, part: str, splits: list[str]) -> dg.AssetsDefinition:
    """The asset `features/development` or `features/test`."""

    def matrix(
        step: Step, examples: pa.Table, feature_definitions: FeatureDefinitions, **tables: pa.Table
    ) -> pd.DataFrame:
        rows = examples.to_pandas()
        rows = rows[rows["split"].isin(splits)].reset_index(drop=True)
        return feature_matrix(case.spec, feature_definitions, raw_tables(tables), rows)

    matrix.__doc__ = f"The feature matrix of the {' and '.join(splits)} rows, every value known at the row's cutoff."
    ins = {"examples": "examples", "feature_definitions": "feature_definitions", **raw_inputs(case)}
    return asset(case, f"features/{part}", stage="features", kinds={"pandas"}, ins=ins)(matrix)
