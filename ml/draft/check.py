"""The check of a declaration against its data: what a run would stop at, and what it would be worth a look."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from ml.base.sql import DataError, connection
from ml.declaration.tables import Table
from ml.declaration.use_case import UseCaseSpec
from ml.draft.facts import TABLE, facts_of, parsed_sql, useless
from ml.draft.table import time_of
from ml.examples.audit import WARNS, audit_examples
from ml.examples.build import make_examples
from ml.examples.known import unused_past
from ml.features.define import define_features
from ml.tables.audit import audit_table
from ml.tables.findings import AuditError, Finding
from ml.tables.sources import load_table
from ml.tables.types import is_text

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
    used = {column for link in spec.links if link.child == name for column in link.child_columns}
    used |= {column for link in spec.links if link.parent == name for column in link.parent_columns}
    left_out = {*declared.keys, *declared.ignore, *declared.times, *used}
    meant = {column for column, kind in declared.logical_types.items() if kind == "category"}
    for column, text, remedy in remarkable(table, left_out, declared.texts, meant):
        yield Remark(name, f"column {column!r} {text}: {remedy}", False)


def remarkable(
    table: pa.Table, left_out: set[str], texts: set[str], meant: Collection[str] = ()
) -> Iterator[tuple[str, str, str]]:
    """Yield the columns of a table that tell nothing or are not declared as the texts that they are: why, what to do.

    Those that are `left_out` are not asked about, of `texts` all may be different, and those `meant` as categories may
    look like numbers.
    """
    names = [name for name in table.column_names if name not in left_out]
    if not names:
        return
    with connection() as opened:
        opened.register("source", table.select(names).slice(0, LOOKED_AT))
        opened.execute(f"create table {TABLE} as from source")
        facts = facts_of(opened)
    for column, why in useless(facts, texts):
        yield column, why, "list it under ignore"
    for one in facts:
        is_number = one.kind in ("whole", "number") and one.values and not one.marks
        if is_number and one.name not in meant and is_text(table.schema.field(one.name).type):
            remedy = f"list it under ignore, and compute {parsed_sql(one)}, or say that it is a category"
            yield one.name, "has texts that are numbers, written otherwise than its source says", remedy
        if one.mixed:
            written = " and as ".join(form or "ISO 8601" for form in one.mixed)
            remedy = f"list it under ignore, and compute {time_of(one)}"
            yield one.name, f"has times written as {written}, each of which is a category", remedy
        if one.prose and one.name not in texts:
            remedy = f"write logical_types: {{{one.name}: text}}, or list it under ignore"
            yield one.name, f"is prose of {one.length:.0f} characters on average, each of which is a category", remedy


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
