"""The feature matrix: values as known at each row's cutoff."""

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from assets.stages.inputs import raw_inputs, raw_tables
from ml.base.text import markdown_table
from ml.features.audit import ALONE, feature_checks, no_feature_alone
from ml.features.definitions import FeatureDefinitions
from ml.features.history_check import coverage
from ml.features.identities import TOGETHER, no_identity
from ml.features.leaks import NO_LEAK, no_leak, sampled
from ml.features.matrix import feature_matrix
from ml.tables.statistics import statistics

SAMPLE = 400  # rows that the test for leaks looks at


def features(case: Case, part: str, splits: list[str]) -> dg.AssetsDefinition:
    """Return the asset `features/development` or `features/test`."""
    audit = {check: check not in case.spec.audit.warn for check in feature_checks(case.spec, splits)}

    def matrix(
        step: Step, examples: pa.Table, feature_definitions: FeatureDefinitions, **tables: pa.Table
    ) -> pd.DataFrame:
        spec, rows, sources = step.case.spec, examples.to_pandas(), raw_tables(tables)
        rows = rows[rows["split"].isin(splits)].reset_index(drop=True)
        short = markdown_table(coverage(step.case.name, spec, sources, rows["cutoff"])) or "there are no windows"
        step.show(rows_with_less_history_than_a_window=dg.MetadataValue.md(short))
        if NO_LEAK in audit:
            sample = sampled(rows, SAMPLE, spec.seed)
            step.audit(no_leak(spec, feature_definitions, sources, sample))
        made_of = feature_definitions.sources(spec.examples.table)
        step.metadata["dagster/column_lineage"] = _lineage(step.case, made_of)
        step.columns |= {name: "from " + ", ".join(map(".".join, columns)) for name, columns in made_of.items()}
        values = feature_matrix(spec, feature_definitions, sources, rows)
        train = values[values["split"] == "train"]
        judges = {ALONE: no_feature_alone, TOGETHER: no_identity}
        step.audit(*(judge(spec, feature_definitions, train) for check, judge in judges.items() if check in audit))
        step.show(statistics=dg.MetadataValue.md(statistics(pa.Table.from_pandas(values, preserve_index=False))))
        return values

    matrix.__doc__ = f"The feature matrix of the {' and '.join(splits)} rows, every value known at the row's cutoff."
    ins = {"examples": "examples", "feature_definitions": "feature_definitions", **raw_inputs(case)}
    return asset(
        case,
        f"features/{part}",
        stage="features",
        kinds={"duckdb"},
        reads=reads.features(splits),
        ins=ins,
        audit=audit,
    )(matrix)


def _lineage(case: Case, made_of: dict[str, list[tuple[str, str]]]) -> dg.TableColumnLineage:
    """Return which columns of the raw tables feed which feature."""
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(case.key(f"raw/{table}"), column) for table, column in sources]
            for name, sources in made_of.items()
        }
    )
