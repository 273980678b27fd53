"""The definitions of the features."""

import dagster as dg
import pyarrow as pa

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from assets.stages.inputs import raw_inputs, raw_tables
from ml.base.text import markdown_table
from ml.features.define import define_features
from ml.features.definitions import FeatureDefinitions
from ml.features.synthesis_query import query_of

SHOWN = ("name", "kind", "type", "lookup")


def feature_definitions(case: Case) -> dg.AssetsDefinition:
    """Return the asset `feature_definitions`."""

    @asset(
        case,
        "feature_definitions",
        stage="features",
        kinds={"python"},
        reads=reads.FEATURE_DEFINITIONS,
        ins=raw_inputs(case),
    )
    def feature_definitions(step: Step, **tables: pa.Table) -> FeatureDefinitions:
        """The features that deep feature synthesis decided to compute, as featuretools' own JSON."""
        definitions = define_features(step.case.name, step.case.spec, raw_tables(tables))
        rows = [feature.model_dump(include=set(SHOWN)) for feature in definitions.features]
        step.show(features=len(rows), names=dg.MetadataValue.md(markdown_table(rows)))
        if any(feature.kind == "synthesis" for feature in definitions.features):
            sql = query_of(step.case.spec, definitions).sql
            step.show(query=dg.MetadataValue.md(f"```sql\n{sql}\n```"))
        return definitions

    return feature_definitions
