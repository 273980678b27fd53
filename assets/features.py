"""What the features are, and their values."""

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.data import raw_inputs, raw_tables
from assets.step import Case, Step, asset
from ml.feature_definitions import FeatureDefinitions, define_features
from ml.features import feature_matrix


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
