"""Relationships: which row of another table a row belongs to."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

_TEXT = re.compile(r"^\s*(\w+)\.(\w+)\s*->\s*(\w+)\.(\w+)\s*$")


@dataclass(frozen=True)
class Link:
    """One relationship: a column of the child names a row of the parent."""

    child: str
    child_column: str
    parent: str
    parent_column: str

    @classmethod
    def read(cls, text: str) -> "Link | None":
        """The relationship `child.column -> parent.column`; None if the text is none."""
        match = _TEXT.match(text)
        return cls(*match.groups()) if match else None

    def __str__(self) -> str:
        return f"{self.child}.{self.child_column} -> {self.parent}.{self.parent_column}"


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
