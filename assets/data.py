"""Source tables as snapshots, and the examples."""

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.step import Case, Step, asset
from ml.examples.audit import audit_examples, example_checks
from ml.examples.build import make_examples
from ml.provenance.source import running
from ml.tables.audit import audit_table, table_checks
from ml.tables.sources import load_table
from ml.tables.statistics import statistics
from ml.tasks.metrics import Task


def raw_inputs(case: Case) -> dict[str, str]:
    """Every raw table as an input named `raw_<table>`."""
    return {f"raw_{name}": f"raw/{name}" for name in case.spec.tables}


def raw_tables(inputs: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The raw tables among an asset's inputs, by their own names."""
    return {name.removeprefix("raw_"): value for name, value in inputs.items() if name.startswith("raw_")}


def raw(case: Case, table: str) -> dg.AssetsDefinition:
    """The asset of one source table."""
    declared = case.spec.tables[table]
    audit = {check: check not in declared.audit.warn for check in table_checks(declared)}

    def snapshot(step: Step) -> pa.Table:
        loaded = load_table(case.name, table, declared, case.spec.times_of(table))
        step.show(statistics=dg.MetadataValue.md(statistics(loaded)))
        step.audit(*audit_table(loaded, declared))
        return loaded

    snapshot.__doc__ = f"The table {table} as it is at its source, checked, as an immutable snapshot."
    reader = str(declared.source.python).partition(":")[0]
    code = [reader] if reader in running().modules else []
    return asset(
        case, f"raw/{table}", stage="data", kinds={"parquet"}, always=True, grows=True, code=code, audit=audit
    )(snapshot)


def examples(case: Case) -> dg.AssetsDefinition:
    """The asset `examples`."""

    ins = raw_inputs(case)
    if case.spec.examples.query is None:
        ins = {name: source for name, source in ins.items() if source == f"raw/{case.spec.examples.table}"}

    audit = {check: check not in case.spec.audit.warn for check in example_checks(case.spec)}

    @asset(case, "examples", stage="data", kinds={"duckdb"}, ins=ins, audit=audit)
    def examples(step: Step, **tables: pa.Table) -> pa.Table:
        """One row per example: entity key, cutoff time, target, split."""
        made = make_examples(case.name, case.spec, raw_tables(tables))
        step.audit(*audit_examples(case.spec, raw_tables(tables), made))
        targets = dict(iter(made.to_pandas().groupby("split")["target"]))
        task = Task.of(case.spec.task, targets["train"])
        table = [{"split": name, "rows": len(each), **task.summary(each)} for name, each in targets.items()]
        step.show(splits=dg.MetadataValue.md(str(pd.DataFrame(table).to_markdown(index=False))))
        step.metrics({f"{name} rows": float(len(each)) for name, each in targets.items()})
        return made

    return examples
