"""The check of a declaration against its data: what a run would stop at, and what it would be worth a look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from ml.base.sql import DataError, connection
from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.draft.facts import TABLE, facts_of, useless
from ml.examples.audit import WARNS, audit_examples
from ml.examples.build import make_examples
from ml.examples.known import unused_past
from ml.features.define import define_features
from ml.tables.audit import audit_table
from ml.tables.findings import AuditError, Finding
from ml.tables.sources import load_table

SAMPLE = 10_000  # rows of each table that are looked at first
LOOKED_AT = 1_000_000  # rows of a table that columns are judged by


@dataclass(frozen=True)
class Remark:
    """A sentence about a declaration and its data; a run stops at what is `wrong`, and else it is worth a look."""

    place: str
    text: str
    wrong: bool


def check(use_case: str, spec: UseCaseSpec, rows: int | None) -> Iterator[Remark]:
    """Yield remarks on a declaration and the first `rows` of each of its tables, or all of them.

    Of some rows only what is true of each is asked; of all of them also what examples, splits and features they make.
    """
    tables: dict[str, pa.Table] = {}
    for name, declared in spec.tables.items():
        try:
            table = load_table(use_case, name, declared, spec.times_of(name), rows)
        except AuditError as error:
            yield from (Remark(name, f"{finding.check}: {finding.reason}", True) for finding in error.findings)
        except DataError as error:
            yield Remark(name, str(error), True)
        else:
            tables[name] = table
            yield from _of_table(name, declared, table, spec)
    if rows is None and len(tables) == len(spec.tables):
        yield from _of_examples(use_case, spec, tables)
    if advice := unused_past(spec):
        yield Remark("features.history", advice, False)


def _of_table(name: str, declared: Table, table: pa.Table, spec: UseCaseSpec) -> Iterator[Remark]:
    for finding in audit_table(table, declared):
        yield from _remarks(name, finding, blocks=finding.check not in declared.audit.warn)
    used = {link.child_column for link in spec.links if link.child == name}
    used |= {link.parent_column for link in spec.links if link.parent == name}
    for column, text in useless_columns(table, {*declared.keys, *declared.ignore, *declared.times, *used}):
        yield Remark(name, f"column {column!r} {text}: list it under ignore", False)


def useless_columns(table: pa.Table, left_out: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the columns of a table that tell nothing, and why; those that are `left_out` are not asked about."""
    names = [name for name in table.column_names if name not in left_out]
    if not names:
        return
    with connection() as opened:
        opened.register("source", table.select(names).slice(0, LOOKED_AT))
        opened.execute(f"create table {TABLE} as from source")
        yield from useless(facts_of(opened))


def _of_examples(use_case: str, spec: UseCaseSpec, tables: Mapping[str, pa.Table]) -> Iterator[Remark]:
    """Yield remarks on examples and features; leaks are looked for by a run, which knows all values."""
    try:
        examples = make_examples(use_case, spec, tables)
    except DataError as error:
        yield Remark("examples", str(error), True)
    else:
        for finding in audit_examples(spec, tables, examples):
            yield from _remarks("examples", finding, blocks=finding.check not in {*spec.audit.warn, *WARNS})
    try:
        define_features(use_case, spec, tables)
    except DataError as error:
        yield Remark("features", str(error), True)


def _remarks(place: str, finding: Finding, blocks: bool) -> Iterator[Remark]:
    if not finding.passed:
        yield Remark(place, f"{finding.check}: {finding.reason}", blocks)
