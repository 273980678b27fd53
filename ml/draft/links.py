"""Relationships between the tables of a draft: columns whose values are keys of another table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ml.base.sql import quoted
from ml.draft.facts import TABLE
from ml.draft.table import DraftTable

HELD = 0.95  # of a column's different values that the other table must have
VALUES = 10_000  # different ones that are looked up


@dataclass(frozen=True)
class DraftLink:
    """A relationship, and the share of the child's different values that the parent has."""

    child: str
    child_column: str
    parent: str
    parent_column: str
    held: float

    @property
    def text(self) -> str:
        """The relationship as a declaration has it."""
        return f"{self.child}.{self.child_column} -> {self.parent}.{self.parent_column}"


def links_of(tables: Sequence[DraftTable]) -> Iterator[DraftLink]:
    """Yield the relationships: a column named like the key of another table, whose values are among those of it."""
    for parent in tables:
        keys = [key[0] for key in parent.keys if len(key) == 1]
        for child in tables:
            if child is parent:
                continue
            for column in child.facts:
                key = next((key for key in keys if _is_named_so(column, key, parent.name)), None)
                if key is None or child.key == (column,):
                    continue
                if (held := _held(child, column, parent, key)) >= HELD:
                    yield DraftLink(child.name, column, parent.name, key, held)
                    break


def _is_named_so(column: str, key: str, table: str) -> bool:
    """Return whether a column is named as the key of a table is, or as the table: movieId, movie_id, movie."""
    name, singular = _plain(column), _plain(table).removesuffix("s")
    return name == _plain(key) or name in {singular, f"{singular}id", f"{singular}key", f"{singular}{_plain(key)}"}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _held(child: DraftTable, column: str, parent: DraftTable, key: str) -> float:
    """Return the share of a column's different values that are keys of the parent; 0 where the two are of two kinds."""
    kinds = {child.facts[column].kind, parent.facts[key].kind}
    if len(kinds) > 1 and kinds != {"whole", "number"}:
        return 0.0
    x = quoted(column)
    asked = child.opened.sql(
        f"select distinct {x} as x from {TABLE} where {x} is not null order by hash(x) limit {VALUES}"
    ).to_arrow_table()
    parent.opened.register("asked", asked)
    ((values, known),) = parent.opened.execute(
        f"select count(*), count_if(x in (select cast({quoted(key)} as varchar) from {TABLE})) "
        "from (select cast(x as varchar) as x from asked)"
    ).fetchall()
    parent.opened.unregister("asked")
    return known / values if values else 0.0
