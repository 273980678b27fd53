"""The columns of its own row that an example knows at its cutoff."""

import pyarrow as pa

from ml.base.expressions import columns_of, sources_of
from ml.base.lineage import columns_behind
from ml.declaration.use_case import UseCaseSpec
from ml.tasks.targets import TARGET
from ml.tasks.transforms import number_of


def known_columns(spec: UseCaseSpec, table: pa.Table) -> list[str]:
    """Return the columns of the examples' table that are known at the cutoff and do not belong to the target.

    That of the cutoff is, for it says when a row is asked about; that of the weights is not, for it says how much an
    example counts.
    """
    declared, own = spec.tables[spec.examples.table], own_columns(spec)
    hidden = {*declared.known_later, *declared.ignore, *declared.derived, spec.examples.weight_column}
    in_target = target_columns(spec)

    def is_known(name: str) -> bool:
        return name not in hidden and name.lower() not in in_target and (own is None or name in own)

    return [name for name in table.column_names if name == spec.examples.cutoff_column or is_known(name)]


def own_columns(spec: UseCaseSpec) -> set[str] | None:
    """Return the columns of its own row that an example may know at its cutoff; None: all that are not known later.

    A row that `known_at` says becomes known after its time is not known before; of a query, whose cutoffs are not in
    the declaration, each row has been checked to be known at its cutoff.
    """
    examples, declared = spec.examples, spec.tables[spec.examples.table]
    cutoff = {examples.cutoff_column} if examples.cutoff_column else set()
    if examples.known is not None:
        return {*examples.known, *cutoff}
    becomes_known = declared.moment != declared.time and examples.query is None and examples.timed
    return set(cutoff) if becomes_known and not _is_asked_when_known(spec) else None


def _is_asked_when_known(spec: UseCaseSpec) -> bool:
    """Return whether the cutoff is the very moment from which on the row is known."""
    moment = spec.tables[spec.examples.table].moment
    at_moment = moment is not None and spec.examples.cutoff_column == moment
    return at_moment and not spec.examples.cutoff_before


def target_columns(spec: UseCaseSpec) -> set[str]:
    """Return the columns of the examples' table that the target, or some of several, is made of, in lower case."""
    return set[str]().union(*_columns_by_target(spec))


def _columns_by_target(spec: UseCaseSpec) -> list[set[str]]:
    """Return the columns of the examples' table that each target is made of, in lower case.

    Where a query gives it, those are none by which it finds rows, or of which it makes the cutoff too.
    """
    examples, declared = spec.examples, spec.tables[spec.examples.table]
    if examples.query is None:
        expressions = examples.targets.values() or [number_of(examples.one_target or "null")]
        return [sources_of(columns_of(expression), declared.derived) for expression in expressions]
    of_rows = columns_behind(examples.query, "cutoff", examples.table) | {name.lower() for name in spec.keys}
    behind = [columns_behind(examples.query, name, examples.table) for name in examples.targets or [TARGET]]
    return [sources_of(columns - of_rows, declared.derived) for columns in behind]


def target_known_from(spec: UseCaseSpec) -> str | None:
    """Return the time from which on the target of a row is known, as known_at says; None where it does not.

    Where whole rows become known at the cutoff, as they are asked about, the target is not yet among what is known.
    """
    declared, in_target = spec.tables[spec.examples.table], target_columns(spec)
    if not in_target:
        return None
    if times := target_times(spec):
        return times[0]
    later = isinstance(declared.known_at, str) and declared.moment != declared.time
    return declared.moment if later and not _is_asked_when_known(spec) else None


def target_times(spec: UseCaseSpec) -> list[str]:
    """Return the times of known_at from which on columns of the target are known, or what is computed of them."""
    return _times_of(spec, target_columns(spec))


def _times_of(spec: UseCaseSpec, columns: set[str]) -> list[str]:
    """Return the times of known_at from which on some columns are known, or what is computed of them."""
    declared = spec.tables[spec.examples.table]
    telling = columns | {name.lower() for name in declared.made_of(columns)}
    return [time for time, names in declared.known_from.items() if telling & {name.lower() for name in names}]


def has_past(spec: UseCaseSpec) -> bool:
    """Return whether the target of earlier rows could be in a history, for their table has one."""
    tables = {history.table for history in spec.features.histories}
    return spec.examples.table in tables and bool(target_columns(spec))


def unused_past(spec: UseCaseSpec) -> str | None:
    """Say what to write so that a history uses the target of earlier rows; None if it does, or cannot."""
    whole_row = target_known_from(spec) is not None and not target_times(spec)
    unused = [columns for columns in _columns_by_target(spec) if columns and not _times_of(spec, columns)]
    if not has_past(spec) or whole_row or not unused:
        return None
    name, declared = spec.examples.table, spec.tables[spec.examples.table]
    derived = {column.lower() for column in declared.derived}
    columns = ", ".join(sorted(set[str]().union(*unused) - derived))
    line, instead = f"1d: [{columns}]", "or a time column in place of 1d, from which on it is known"
    if isinstance(declared.known_at, str):
        advice = f"write in tables.{name} time: {declared.known_at}, known_at: {{{line}}}, {instead}"
    elif declared.known_at:
        advice = f"add to tables.{name}.known_at {line}, {instead}"
    else:
        advice = f"write in tables.{name} known_at: {{{line}}}, {instead}"
    return f"the target of earlier rows ({columns}) is in no history, for nothing says when it is known: {advice}"
