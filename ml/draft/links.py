"""Relationships between the tables of a draft: columns whose values are keys of another table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from ml.base.sql import quoted
from ml.declaration.relationships import Link
from ml.draft.facts import TABLE
from ml.draft.table import DraftTable

HELD = 0.95  # of a column's different values that the other table must have
ALIKE = 10  # different values, from which on chance does not make all of them keys of another table
VALUES = 10_000  # different ones that are looked up


@dataclass(frozen=True)
class DraftLink(Link):
    """A relationship, and the share of the child's different values that the parent has."""

    held: float


def links_of(tables: Sequence[DraftTable], main: str) -> Iterator[DraftLink]:
    """Yield the relationships: columns named like a key of another table, whose values are among those of it.

    All that lead to one table lead to one of its keys, the likeliest that any leads to. Of two tables with the same key
    neither leads to the other, but for the table `main`, which the examples are of.
    """
    for parent in tables:
        others = [table for table in tables if table is not parent]
        by_key = (
            [link for child in others for link in _link(child, parent, key, child.name == main)] for key in parent.keys
        )
        yield from next(filter(None, by_key), [])


def _link(child: DraftTable, parent: DraftTable, key: tuple[str, ...], by_own: bool) -> Iterator[DraftLink]:
    """Yield the relationship of two tables by a key, if there is one that a declaration can name."""
    choices = [[name for name in child.facts if _is_named_so(name, part, parent.name, key)] for part in key]
    for columns in product(*choices):
        is_written = all(re.fullmatch(r"\w+", name) for name in (*columns, *key))
        if not is_written or len(set(columns)) < len(columns) or (columns == child.key and not by_own):
            continue
        if (held := _held(child, columns, parent, key)) >= HELD:
            yield DraftLink(child.name, columns, parent.name, key, held)
            return


def likely_links(one: DraftTable, other: DraftTable) -> Iterator[DraftLink]:
    """Yield relationships of two tables, either way, that values alone tell: nothing is named alike."""
    for child, parent in ((one, other), (other, one)):
        for (key,) in (key for key in parent.keys if len(key) == 1):
            for name, facts in child.facts.items():
                is_written = re.fullmatch(r"\w+", name) and re.fullmatch(r"\w+", key)
                if not is_written or facts.distinct < ALIKE or facts.kind not in ("text", "whole") or facts.counts_rows:
                    continue
                if (held := _held(child, (name,), parent, (key,))) >= HELD:
                    yield DraftLink(child.name, (name,), parent.name, (key,), held)


def _is_named_so(column: str, part: str, table: str, key: tuple[str, ...]) -> bool:
    """Return whether a column is named as a part of a key is, or as the table: movieId, movie_id, movie."""
    name, singular = _plain(column), _plain(table).removesuffix("s")
    by_table = {singular, f"{singular}id", f"{singular}key", f"{singular}{_plain(part)}"} if len(key) == 1 else set()
    return name in {_plain(part), *by_table}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _held(child: DraftTable, columns: Sequence[str], parent: DraftTable, key: Sequence[str]) -> float:
    """Return the share of different values that are keys of the parent; 0 where the two are of two kinds."""
    for column, part in zip(columns, key, strict=True):
        kinds = {child.facts[column].kind, parent.facts[part].kind}
        if len(kinds) > 1 and kinds != {"whole", "number"}:
            return 0.0
    present = " and ".join(f"{quoted(column)} is not null" for column in columns)
    asked = child.opened.sql(
        f"select x from (select distinct {_texts(columns)} as x from {TABLE} where {present}) order by hash(x) "
        f"limit {VALUES}"
    ).to_arrow_table()
    parent.opened.register("asked", asked)
    ((values, known),) = parent.opened.execute(
        f"select count(*), count_if(x in (select {_texts(key)} from {TABLE})) from asked"
    ).fetchall()
    parent.opened.unregister("asked")
    return known / values if values else 0.0


def _texts(names: Sequence[str]) -> str:
    """Return SQL of one value of several columns."""
    return f"[{', '.join(f'cast({quoted(name)} as varchar)' for name in names)}]"
