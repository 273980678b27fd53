"""Source tables as snapshots."""

import dagster as dg

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.step import Step
from ml.base.table_file import TableFile
from ml.declaration.part import without_secrets
from ml.provenance.coordinates import Loaded
from ml.provenance.source import running
from ml.tables.audit import audit_table, table_checks
from ml.tables.sources import pinned, write_table
from ml.tables.statistics import statistics


def raw(case: Case, table: str) -> dg.AssetsDefinition:
    """Return the asset of one source table."""
    declared = case.spec.tables[table]

    def snapshot(step: Step) -> TableFile:
        spec = step.case.spec
        declared = pinned(step.case.name, table, spec.tables[table])
        if version := declared.source.version_read:
            source = without_secrets(declared.source.named)
            step.also_loaded(f"{declared.source.key} version", Loaded(source, version, coordinates=""))
        written = write_table(step.case.name, table, declared, spec.times_of(table), step.folder)
        step.show(statistics=dg.MetadataValue.md(statistics(written)))
        step.audit(*audit_table(written, declared))
        return written

    snapshot.__doc__ = f"The table {table} as it is at its source, checked, as an immutable snapshot."
    module = declared.source.module
    return asset(
        case,
        f"raw/{table}",
        stage="data",
        kinds={"parquet"},
        reads=reads.raw(table, table == case.spec.examples.table),
        always=True,
        grows=True,
        code=[module] if module and module in running().modules else [],
        audit={check: check not in declared.audit.warn for check in table_checks(declared)},
    )(snapshot)
