"""What the features are, and their values."""

from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.data import raw_inputs, raw_tables
from assets.step import Case, Step, asset
from ml.features.audit import ALONE, feature_checks, no_feature_alone
from ml.features.define import define_features
from ml.features.definitions import FeatureDefinitions
from ml.features.history_check import coverage
from ml.features.leaks import NO_LEAK, no_leak
from ml.features.matrix import feature_matrix
from ml.features.synthesis_query import query_of
from ml.tables.statistics import statistics

SAMPLE = 400  # rows that the test for leaks looks at


def feature_definitions(case: Case) -> dg.AssetsDefinition:
    """The asset `feature_definitions`."""

    @asset(case, "feature_definitions", stage="features", kinds={"python"}, ins=raw_inputs(case))
    def feature_definitions(step: Step, **tables: pa.Table) -> FeatureDefinitions:
        """What deep feature synthesis decided to compute, as featuretools' own JSON."""
        made = define_features(case.name, case.spec, raw_tables(tables))
        names = pd.DataFrame([feature.model_dump() for feature in made.features])[["name", "kind", "type", "lookup"]]
        step.show(features=len(names), names=dg.MetadataValue.md(names.to_markdown(index=False)))
        if any(feature.kind == "synthesis" for feature in made.features):
            step.show(query=dg.MetadataValue.md(f"```sql\n{query_of(case.spec, made).sql}\n```"))
        return made

    return feature_definitions


def features(case: Case, part: str, splits: list[str]) -> dg.AssetsDefinition:
    """The asset `features/development` or `features/test`."""

    audit = {check: check not in case.spec.audit.warn for check in feature_checks(case.spec, splits)}

    def matrix(
        step: Step, examples: pa.Table, feature_definitions: FeatureDefinitions, **tables: pa.Table
    ) -> pd.DataFrame:
        rows, sources = examples.to_pandas(), raw_tables(tables)
        rows = rows[rows["split"].isin(splits)].reset_index(drop=True)
        reached = coverage(case.name, case.spec, sources, rows["cutoff"])
        step.show(rows_with_less_history_than_a_window=_table(reached))
        if NO_LEAK in audit:
            sample = rows.sample(min(len(rows), SAMPLE), random_state=case.spec.seed)
            step.audit(no_leak(case.spec, feature_definitions, sources, sample))
        made_of = feature_definitions.sources(case.spec.examples.table)
        step.metadata["dagster/column_lineage"] = _lineage(case, made_of)
        step.columns |= {name: "from " + ", ".join(map(".".join, columns)) for name, columns in made_of.items()}
        made = feature_matrix(case.spec, feature_definitions, sources, rows)
        if ALONE in audit:
            step.audit(no_feature_alone(case.spec, feature_definitions, made[made["split"] == "train"]))
        step.show(statistics=dg.MetadataValue.md(statistics(pa.Table.from_pandas(made, preserve_index=False))))
        return made

    matrix.__doc__ = f"The feature matrix of the {' and '.join(splits)} rows, every value known at the row's cutoff."
    ins = {"examples": "examples", "feature_definitions": "feature_definitions", **raw_inputs(case)}
    return asset(case, f"features/{part}", stage="features", kinds={"duckdb"}, ins=ins, audit=audit)(matrix)


def _table(rows: list[dict[str, Any]]) -> dg.MetadataValue:
    return dg.MetadataValue.md(str(pd.DataFrame(rows).to_markdown(index=False)) if rows else "there are no windows")


def _lineage(case: Case, made_of: dict[str, list[tuple[str, str]]]) -> dg.TableColumnLineage:
    """Which columns of the raw tables feed which feature."""
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(case.key(f"raw/{table}"), column) for table, column in sources]
            for name, sources in made_of.items()
        }
    )
