"""The examples: rows to learn from."""

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from assets.stages.inputs import raw_inputs, raw_tables
from ml.base.text import markdown_table
from ml.examples.audit import WARNS, audit_examples, example_checks
from ml.examples.build import make_examples


def examples(case: Case) -> dg.AssetsDefinition:
    """Return the asset `examples`."""
    ins = raw_inputs(case)
    if case.spec.examples.query is None:
        ins = {name: source for name, source in ins.items() if source == f"raw/{case.spec.examples.table}"}
    audit = {check: check not in {*case.spec.audit.warn, *WARNS} for check in example_checks(case.spec)}

    @asset(case, "examples", stage="data", kinds={"duckdb"}, reads=reads.EXAMPLES, ins=ins, audit=audit)
    def examples(step: Step, **tables: pa.Table) -> pa.Table:
        """One row per example: entity key, cutoff time, target, split."""
        spec, sources = step.case.spec, raw_tables(tables)
        rows = make_examples(step.case.name, spec, sources)
        step.audit(*audit_examples(spec, sources, rows))
        splits: dict[str, pd.DataFrame] = dict(iter(rows.to_pandas().groupby("split")))
        task = spec.task_of(splits["train"])
        table = [{"split": name, "rows": len(part), **task.summary_of(part)} for name, part in splits.items()]
        step.show(splits=dg.MetadataValue.md(markdown_table(table)))
        step.metrics({f"{name} rows": float(len(part)) for name, part in splits.items()})
        return rows

    return examples
