"""Relationships: which row of another table a row belongs to."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

_COLUMNS = r"(\w+|\(\s*\w+(?:\s*,\s*\w+)+\s*\))"
_TEXT = re.compile(rf"^\s*(\w+)\.{_COLUMNS}\s*->\s*(\w+)\.{_COLUMNS}\s*$")


@dataclass(frozen=True)
class Link:
    """One relationship: columns of the child, one most often, name a row of the parent."""

    child: str
    child_columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> "Link | None":
        """The relationship `child.column -> parent.column`, or of columns `(a, b)`; None if the text is none."""
        match = _TEXT.match(text)
        if match is None:
            return None
        child, parent = (tuple(part.strip(" ()") for part in match[at].split(",")) for at in (2, 4))
        return cls(match[1], child, match[3], parent) if len(child) == len(parent) else None

    @property
    def child_column(self) -> str:
        """The column of the child, where it is one."""
        return self.child_columns[0]

    @property
    def parent_column(self) -> str:
        """The column of the parent, where it is one."""
        return self.parent_columns[0]

    def __str__(self) -> str:
        child, parent = (columns[0] if len(columns) == 1 else f"({', '.join(columns)})" for columns in self._both)
        return f"{self.child}.{child} -> {self.parent}.{parent}"

    @property
    def _both(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.child_columns, self.parent_columns


def ambiguous(links: Iterable[Link]) -> Iterator[str]:
    """Yield what is wrong with relationships together: a table led to twice from one, or from itself in a cycle."""
    pairs = [(link.child, link.parent) for link in links]
    for child, parent in sorted({pair for pair in pairs if pairs.count(pair) > 1}):
        yield f"lead from {child!r} to {parent!r} twice; declare {parent!r} again under another name"
    parents: dict[str, set[str]] = {}
    for child, parent in pairs:
        parents.setdefault(child, set()).add(parent)
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        yield f"form a cycle: {' -> '.join(reversed(error.args[1]))}; leave one of them out"
