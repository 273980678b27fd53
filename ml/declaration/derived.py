"""Facts that follow from a declaration and that results depend on, apart from the checks of `use_case`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.declaration.relationships import Link

if TYPE_CHECKING:
    from ml.declaration.use_case import UseCaseSpec


def samples(spec: UseCaseSpec) -> str:
    """Return the tables of which a sample is read, as a sentence has them; an empty text where there are none."""
    return ", ".join(f"tables.{name}.sample is {table.sample}" for name, table in spec.tables.items() if table.sample)


def keys(spec: UseCaseSpec) -> list[str]:
    """Return the key columns of the examples' table."""
    return spec.tables[spec.examples.table].keys


def key(spec: UseCaseSpec) -> str | None:
    """Return the key column of the examples' table; None where it has several, of which none names a row alone."""
    columns = keys(spec)
    return columns[0] if len(columns) == 1 else None


def grouped(spec: UseCaseSpec) -> bool:
    """Return whether rows belong to groups that may not be in two splits, as those of a key do in a random split."""
    return kept_whole(spec) is not None or _by_key(spec)


def kept_whole(spec: UseCaseSpec) -> str | None:
    """Return the column whose values may not be in two splits: that of the split, or else that of the ranking.

    None where there is neither, and where a random split of a query's rows keeps those of a key together.
    """
    return spec.examples.split.group or (None if _by_key(spec) else spec.examples.ranked_within)


def _by_key(spec: UseCaseSpec) -> bool:
    """Return whether the split keeps the rows of a key together."""
    return spec.examples.split.group is None and spec.examples.split.grouped(repeated=spec.examples.query is not None)


def links(spec: UseCaseSpec) -> list[Link]:
    """Return the relationships, read."""
    return [link for text in spec.relationships if (link := Link.read(text))]


def lookups(spec: UseCaseSpec) -> list[Link]:
    """Return the relationships that start at the examples' table."""
    return [link for link in links(spec) if link.child == spec.examples.table]


def looked_up_by(spec: UseCaseSpec) -> set[str]:
    """Return the columns of the examples' table by which rows of the past and of other tables are found."""
    groups = {column for history in spec.features.histories for group in history.groups for column in group}
    pointed_at = {
        column for link in links(spec) if link.parent == spec.examples.table for column in link.parent_columns
    }
    return groups | pointed_at | {column for link in lookups(spec) for column in link.child_columns}


def of_the_past(spec: UseCaseSpec) -> bool:
    """Return whether features depend on when an example is asked."""
    dated = any(spec.tables[link.parent].moment is not None for link in lookups(spec))
    return bool(dated or spec.features.histories or spec.features.synthesis)


def foreign_keys(spec: UseCaseSpec, table: str) -> set[str]:
    """Return the columns of a table that name a row of another, unless logical_types says what they hold."""
    named = {column for link in links(spec) if link.child == table for column in link.child_columns}
    return named - spec.tables[table].logical_types.keys()


def times_of(spec: UseCaseSpec, table: str) -> set[str]:
    """Return the columns of a table that must be times because examples and features use them as such."""
    if table != spec.examples.table:
        return set()
    return {*spec.features.calendar, *([spec.examples.cutoff_column] if spec.examples.cutoff_column else [])}
