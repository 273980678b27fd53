"""Parts: the pieces of a plan, each as `plan.json` says it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Literal

import msgspec

ColumnType = Literal["time", "text", "number", "flag"]
SqlType = Literal["BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN", "TIMESTAMP"]

#: What featuretools' transform primitive of the same name yields for one time.
CALENDAR: dict[str, Callable[[dt.datetime], float]] = {
    "minute": lambda time: time.minute,
    "hour": lambda time: time.hour,
    "weekday": lambda time: time.weekday(),
    "is_weekend": lambda time: time.weekday() >= 5,
    "day": lambda time: time.day,
    "day_of_year": lambda time: time.timetuple().tm_yday,
    "week": lambda time: time.isocalendar().week,
    "month": lambda time: time.month,
    "quarter": lambda time: (time.month + 2) // 3,
    "year": lambda time: time.year,
}

#: What a window feature may compute: of the events themselves, and of the values of one column of theirs.
ROW_AGGREGATIONS = frozenset({"count", "time_since_last"})
COLUMN_AGGREGATIONS = frozenset({"first", "last", "max", "mean", "median", "min", "num_unique", "std", "sum"})

LONGEST_WINDOW_S = 10_000_000_000  # three centuries; what reaches further back is all of the history
MOST_DIGITS = 18  # of a scale: above, 10**scale is no int64


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of the plan; a key that this service does not know is an error, never skipped."""


class Cutoff(Part, frozen=True):
    """The time up to which a prediction may know things: `column` less `before_s` seconds."""

    column: str
    before_s: float


class ColumnFeature(Part, frozen=True, tag_field="kind", tag="column"):
    """A value of the record itself."""

    name: str
    column: str


class CalendarFeature(Part, frozen=True, tag_field="kind", tag="calendar"):
    """A part of a time of the record, such as its hour."""

    name: str
    column: str
    primitive: str


class LookupFeature(Part, frozen=True, tag_field="kind", tag="lookup"):
    """A value of the lookup's row for this record."""

    name: str
    lookup: str
    column: str


class WindowFeature(Part, frozen=True, omit_defaults=True, tag_field="kind", tag="window"):
    """An aggregate over a key's events in the `window_s` seconds before the cutoff, or before it at all."""

    name: str
    lookup: str
    aggregation: str
    column: str | None = None
    window_s: float | None = None


class SynthesisFeature(Part, frozen=True, tag_field="kind", tag="synthesis"):
    """A value that the query of the synthesis returns: a DOUBLE if it is numeric, a VARCHAR if categorical."""

    name: str
    type: Literal["numeric", "categorical"]


class StaticLookup(Part, frozen=True, tag_field="kind", tag="static"):
    """One row per key, the same at all times."""

    file: str
    on: list[str]
    keys: list[str]


class LatestLookup(Part, frozen=True, tag_field="kind", tag="latest"):
    """Per key the last row before the cutoff (or at it, if included), and no older than `valid_for_s` seconds.

    Where a row becomes known at another time than it `happened`, the last is that which happened last of those known.
    """

    file: str
    on: list[str]
    keys: list[str]
    time: str
    valid_for_s: float | None = None
    at_cutoff: Literal["excluded", "included"] = "included"
    happened: str | msgspec.UnsetType = msgspec.UNSET


class WindowLookup(Part, frozen=True, tag_field="kind", tag="window"):
    """Events of keys: a file with `_row`, the text that names an event, and fixed-point values of int64.

    A column's real values are those stored over 10**scale. The file holds all events from `since` on; one at the very
    time of the cutoff counts if that is "included".
    """

    file: str
    on: list[str]
    keys: list[str]
    time: str
    scales: dict[str, int]
    at_cutoff: Literal["excluded", "included"]
    since: dt.datetime


class View(Part, frozen=True):
    """The events of `file`, as a query over a table `event` that holds what was sent."""

    file: str
    query: str


class EventTable(Part, frozen=True):
    """A table whose rows may be sent as events; `key` is the column that names one, or the several that do together."""

    record: dict[str, ColumnType]
    key: str | list[str]
    views: list[View]

    @property
    def keys(self) -> list[str]:
        """The columns that name a row."""
        return [self.key] if isinstance(self.key, str) else self.key


class Source(Part, frozen=True, omit_defaults=True):
    """A time of a table by which features see its rows, in `file`; `before` is the last one up to the first cutoff.

    That none is heard of for more than `within_s` seconds before a cutoff is unusual; for more than `not_ready_after_s`
    before the present on the clock of `timezone`, nobody should be answered.
    """

    table: str
    time: str
    file: str
    before: dt.datetime | None = None
    within_s: float | None = None
    not_ready_after_s: float | None = None
    timezone: str = "UTC"


class LabelColumn(Part, frozen=True):
    """A column of the record, and the type that the query knows it by."""

    column: str
    type: SqlType


class SynthesisTable(Part, frozen=True):
    """A table that the query reads: a file of exactly these columns.

    `key` is the column by which a row that is sent takes the place of an earlier one; a table without takes none.
    """

    file: str
    columns: dict[str, SqlType]
    key: str | None = None


class Link(Part, frozen=True):
    """One step from an asked record to the rows that its features are made of.

    It reaches the rows of `table` whose `column` equals `value`: without `parent` that is "instance" or a label of the
    record, otherwise a column of the rows that the link at position `parent`, an earlier one, has reached.
    """

    table: str
    column: str
    value: str
    parent: int | None = None


class Synthesis(Part, frozen=True):
    """The synthesized features: a query over `tables` and the table `__labels` with a row for each asked record.

    Of a table that links reach the query sees the reached rows, of any other all rows.
    """

    query: str
    instance: LabelColumn
    labels: dict[str, LabelColumn] = {}
    tables: dict[str, SynthesisTable] = {}
    links: list[Link] = []


Feature = ColumnFeature | CalendarFeature | LookupFeature | WindowFeature | SynthesisFeature
RowLookup = StaticLookup | LatestLookup
Lookup = RowLookup | WindowLookup
