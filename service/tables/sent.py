"""Sent rows: many at once, to be put in the place of a file's own before anything is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.plan.document import BundleError


@dataclass(frozen=True)
class Sent:
    """The names of rows that were sent, and what a view makes of them, as a table of Arrow; some may be left out.

    `named` is a column with the names of those that are in the table.
    """

    names: Sequence[str]
    table: Any
    named: Any

    @classmethod
    def of(cls, names: Sequence[str], table: Any, named: Any) -> Sent:
        """Make those of a table, in which a column has the names; raises BundleError if they are others, or twice."""
        import pyarrow as pa
        import pyarrow.compute as pc

        sound = pc.all(pc.is_in(named, value_set=pa.array(names)), min_count=0).as_py()
        if len(named.unique()) < len(named) or not sound:
            raise BundleError("plan.json", ["the names of some events are not those that they were sent by"])
        return cls(names, table, named)

    def merged(self, rows: Any, names: Any) -> Any:
        """Return the rows of a file, whose `names` are a column of texts, and then those that were sent.

        Raises an error of Arrow's where the types of the file cannot hold a value.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        left = rows.filter(pc.invert(pc.is_in(names, value_set=pa.array(self.names, pa.string()))))
        columns = {field.name: _plain(left[field.name]) for field in rows.schema}
        more = [self.table[name].cast(column.type) for name, column in columns.items()]
        parts = [pa.chunked_array([*c.chunks, *m.chunks], c.type) for c, m in zip(columns.values(), more, strict=True)]
        return pa.table(dict(zip(columns, parts, strict=True)))


def _plain(column: Any) -> Any:
    """Return a column with its values themselves, where it has places in a dictionary of them."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
