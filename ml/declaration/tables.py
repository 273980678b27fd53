"""The declaration of the tables, and of the rows to learn from."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from ml.base.expressions import in_order, query_sql, row_sql, sources_of
from ml.base.sql import quoted
from ml.declaration.audit import TableAudit
from ml.declaration.part import Duration, Part, duration, is_duration
from ml.declaration.sources.catalogue import Source
from ml.declaration.splits.catalogue import Split
from ml.tasks.counting import GROUP
from ml.tasks.row_weights import BALANCED, WEIGHT
from ml.tasks.targets import NAME, TARGET, target_column
from ml.tasks.transforms import number_of

LogicalType = Literal["category", "number", "boolean", "time", "text"]
ROW_NUMBER = "row_number"
SILENCE = ("heard_within", "not_ready_after", "timezone")  # what is said of a service's history, and decides no feature
OF_EXAMPLES = ("cutoff", TARGET, "split", WEIGHT, GROUP)  # columns that examples have beside their keys, in lower case
_CUTOFF = re.compile(r'^\s*(\w+|"(?:[^"]|"")+")\s*(?:-\s*([1-9]\d*[smhd])\s*)?$')


class Table(Part):
    """One source table."""

    source: Source = Field(description="Where the rows come from.")
    key: str | list[str] = Field(
        description="The column, or columns, that identify a row; checked to be unique. `row_number` where there is "
        "none: the place of the row, from 1 on, if no column has that name."
    )
    time: str | None = Field(None, description="The column that says when a row happened; it must parse as a time.")
    computed: dict[str, str] = Field(
        default_factory=dict, description="Columns made from others, as SQL expressions: {late: arr_delay > 30}."
    )
    known_at: str | dict[str, list[str]] = Field(
        default_factory=dict,
        description="When a row becomes known, if not at its time: a time column, or a delay after `time` such as 6h. "
        "Or only some of its columns: {time column or delay: [columns known from then on]}.",
    )
    logical_types: dict[str, LogicalType] = Field(
        default_factory=dict,
        description="What columns hold where their values do not tell: {zip_code: category, paid: boolean}. Of a text "
        "the words count, {review: text}, of a category only which one it is.",
    )
    interesting_values: dict[str, list[bool | int | float | str]] = Field(
        default_factory=dict,
        description="Values of which features.synthesis.where makes features of their own: {status: [returned, paid]}.",
    )
    valid_for: Duration | None = Field(
        None, description="How long a row of a table with `time` counts as the latest one, such as 6h, once known."
    )
    heard_within: Duration | None = Field(
        None,
        exclude_if=lambda limit: limit is None,  # so that what declares none is recorded as ever
        description="How long a service may have heard of no row before a cutoff without a warning, such as 2h; what "
        "was usual for the rows of the snapshots if absent.",
    )
    not_ready_after: Duration | None = Field(
        None,
        exclude_if=lambda limit: limit is None,
        description="After how long without a row, by the clock of `timezone`, a service is not ready any more.",
    )
    timezone: str | None = Field(
        None,
        exclude_if=lambda zone: zone is None,
        description="The time zone of the table's times where they have none, such as Europe/Berlin; UTC if absent. "
        "Only the age of what a service has heard goes by it.",
    )
    sample: str | None = Field(
        None,
        description="The share of the rows that is read, for a first look: 10%. By the hash of the key, the same rows "
        "each time; what is made of it is never promoted.",
    )
    ignore: list[str] = Field(default_factory=list, description="Columns that are left out of every feature.")
    audit: TableAudit = Field(default_factory=TableAudit, description="What its columns must be, or the run stops.")

    @field_validator("computed")
    @classmethod
    def _check_expressions(cls, computed: dict[str, str]) -> dict[str, str]:
        for expression in computed.values():
            row_sql(expression)
        in_order(computed)
        return computed

    @field_validator("sample")
    @classmethod
    def _check_sample(cls, sample: str | None) -> str | None:
        if sample is not None and not (re.match(r"^\d+(\.\d+)?%$", sample) and 0 < float(sample[:-1]) < 100):
            raise ValueError(f"{sample!r} is no share of the rows: write more than 0% and less than 100%, such as 10%")
        return sample

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str | None) -> str | None:
        try:
            return name and ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{name!r} is no time zone: write one as Europe/Berlin or UTC") from None

    @model_validator(mode="after")
    def _silences_grow(self) -> "Table":
        given = [name for name in ("heard_within", "not_ready_after") if getattr(self, name) is not None]
        if given and not self.moment and not self.known_from:
            raise ValueError(f"{given} are about rows that come in time: declare the time of a row, or known_at")
        if self.heard_within and self.not_ready_after and duration(self.heard_within) > duration(self.not_ready_after):
            raise ValueError(
                f"not_ready_after {self.not_ready_after!r} is shorter than heard_within {self.heard_within!r}, after "
                "which a service only warns; make it the longer one"
            )
        return self

    @model_serializer(mode="wrap")
    def _recorded(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a sample that is not asked for: so a declaration from before there were any is equal."""
        fields: dict[str, Any] = handler(self)
        return {name: value for name, value in fields.items() if name != "sample" or value is not None}

    @model_validator(mode="after")
    def _times_are_no_results(self) -> "Table":
        if computed := sorted((self.times - {self.time}) & set(self.computed)):
            raise ValueError(f"{computed} are computed, but known_at must name columns of the source")
        if clash := sorted(name for name in self.source.times if self.logical_types.get(name, "time") != "time"):
            raise ValueError(f"{clash} are times by source.dates or source.unit, and something else by logical_types")
        delays = sorted(filter(is_duration, self._known_at))
        for delay in delays:
            duration(delay)
        if self.time is None and delays:
            raise ValueError(f"known_at: {delays} are delays after `time`, and no time is declared")
        return self

    @property
    def keys(self) -> list[str]:
        return [self.key] if isinstance(self.key, str) else list(self.key)

    @property
    def _known_at(self) -> list[str]:
        return [self.known_at] if isinstance(self.known_at, str) else list(self.known_at)

    @property
    def sampled(self) -> float:
        """The share of the rows that is read."""
        return float(self.sample[:-1]) / 100 if self.sample else 1.0

    @property
    def times(self) -> set[str]:
        """The columns that hold times: those of the source, and `time`, which may be computed."""
        return {name for name in self._known_at if not is_duration(name)} | ({self.time} if self.time else set())

    @property
    def named(self) -> set[str]:
        """The columns that the declaration needs, but for what it says of them in `audit`."""
        named = {*self.keys, *self.known_later, *self.ignore, *self.times, *self.logical_types}
        named |= set(self.source.by_column)
        return named | set(self.interesting_values)

    @property
    def texts(self) -> set[str]:
        """The columns of which the words count."""
        return {name for name, kind in self.logical_types.items() if kind == "text"} - set(self.ignore)

    @property
    def moment(self) -> str | None:
        """The time column from which on a row is known; None: always."""
        return self._column_of(self.known_at) if isinstance(self.known_at, str) else self.time

    @property
    def known_from(self) -> dict[str, list[str]]:
        """Columns that become known later than the row, by the time column from which on they are known."""
        if isinstance(self.known_at, str):
            return {}
        return {self._column_of(time): columns for time, columns in self.known_at.items()}

    @property
    def known_later(self) -> set[str]:
        """Columns whose value is not known when the row happens: the times themselves, and all computed of any."""
        later = set(self.known_from) | {column for columns in self.known_from.values() for column in columns}
        later |= {self.moment} if self.moment and self.moment != self.time else set()
        return later | self.made_of(later)

    def made_of(self, columns: Iterable[str]) -> set[str]:
        """Return the columns that are computed of some of these, directly or not."""
        origins = {name.lower() for name in columns}
        return {name for name in self.derived if origins & (sources_of([name], self.derived) - {name.lower()})}

    @property
    def derived(self) -> dict[str, str]:
        """Columns that the source does not have, as SQL expressions: those declared, and times after a delay.

        Each comes after those that it is computed of.
        """
        delays = filter(is_duration, self._known_at)
        seconds = {delay: int(duration(delay).total_seconds()) for delay in delays}
        times = {
            self._column_of(each): f"{quoted(str(self.time))} + interval {s} seconds" for each, s in seconds.items()
        }
        return in_order({**times, **self.computed})

    def _column_of(self, known_at: str) -> str:
        return f"{self.time}+{known_at}" if is_duration(known_at) else known_at


def _by_name(targets: list[str] | dict[str, str]) -> dict[str, str]:
    return dict(targets) if isinstance(targets, dict) else {name: quoted(name) for name in targets}


def _check_names(names: list[str]) -> None:
    """Raise ValueError for names that several targets cannot have: each is part of columns, keys and metrics."""
    if len(names) < 2:
        raise ValueError(f"{names} are not several targets: write one as a text, such as target: churned")
    if wrong := [name for name in names if not re.fullmatch(NAME, name)]:
        raise ValueError(
            f"{wrong} are no names of targets, of up to 100 letters a to z, digits and _: write behind a name what it "
            "is, such as {late: days > 30}"
        )
    lower = [name.lower() for name in names]
    if twice := sorted({name for name in names if lower.count(name.lower()) > 1}):
        raise ValueError(f"{twice} are targets of one name, but for its case at most; give each its own")


class Examples(Part):
    """The rows that are examples, the question about them, and its moment."""

    table: str = Field(description="The table whose rows are the examples, or are asked about at several times.")
    query: str | None = Field(
        None,
        description="A SQL query over the tables that gives the table's key, `cutoff` and `target`, instead of the "
        "three below: for examples that ask about the same row at several times. Where the target is null, the row is "
        "no example, but may be scored.",
    )
    where: str | None = Field(None, description="A SQL condition; rows that do not meet it are no examples.")
    cutoff: str | None = Field(
        None, description="When the prediction is made: a time column, or one less a duration (departure - 2h)."
    )
    target: str | list[str] | dict[str, str] | None = Field(
        None,
        description="A SQL expression that is never null: true for the positive class of a binary task, the class of a "
        "multiclass one, the number of a regression. Of `ln(price)` (log, log2, log1p, sqrt) "
        "the transform is learned, and `price` answered. Several targets of a binary task are a list of columns, or "
        "expressions by name: {churn: plan = 'none', late: days > 30}.",
    )
    known: list[str] | None = Field(
        None,
        description="The columns of its own row that an example knows at its cutoff; nothing else of the row is then a "
        "feature. If absent: all but those of the target and those that known_at names; none where known_at says that "
        "the whole row becomes known later.",
    )
    weights: str | None = Field(
        None,
        exclude_if=lambda weights: weights is None,  # so that what declares none is recorded as ever
        description="How much each row counts: a column of the table, above 0, in training and metrics alike; or "
        "`balanced`, by which each class counts the same in training. Such a column is no feature.",
    )
    ranked_within: str | None = Field(
        None,
        exclude_if=lambda column: column is None,  # so that what declares none is recorded as ever
        description="The column of the table by which rows are ranked among each other, such as a query, a user or a "
        "day, or `cutoff`: metrics such as ndcg_at_10 are means over its values, intervals draw these as wholes, and "
        "splits keep them so. Such a column is no feature by itself.",
    )
    split: Split = Field(description="How the examples are divided into train, validation and test.")

    @field_validator("where")
    @classmethod
    def _check_condition(cls, condition: str | None) -> str | None:
        if condition is not None:
            row_sql(condition)
        return condition

    @field_validator("target", mode="before")
    @classmethod
    def _check_texts(cls, target: object) -> object:
        """Refuse names and expressions that are no texts, such as `no`, which YAML reads as false."""
        several = [*target, *target.values()] if isinstance(target, dict) else target
        if isinstance(several, list) and (wrong := [value for value in several if not isinstance(value, str)]):
            raise ValueError(f'{wrong} are no texts, as names and expressions are; write them in quotes: "no"')
        return target

    @field_validator("target")
    @classmethod
    def _check_target(cls, target: str | list[str] | dict[str, str] | None) -> str | list[str] | dict[str, str] | None:
        if isinstance(target, str):
            row_sql(number_of(target))
        elif target is not None:
            _check_names(list(target))
            for expression in _by_name(target).values():
                row_sql(expression)
        return target

    @field_validator("query")
    @classmethod
    def _check_query(cls, query: str | None) -> str | None:
        if query is not None:
            query_sql(query)
        return query

    @field_validator("cutoff")
    @classmethod
    def _check_cutoff(cls, text: str | None) -> str | None:
        if text is not None and not _CUTOFF.match(text):
            raise ValueError(
                f"{text!r} is not a cutoff: write a time column, or a time column - a duration such as 2h; a name that "
                "is not of letters, digits and _ alone in double quotes: '\"Order Date\" - 2h'"
            )
        if text is not None and (match := _CUTOFF.match(text)) and match[2]:
            duration(match[2])
        return text

    @model_validator(mode="after")
    def _query_or_target(self) -> "Examples":
        given = [name for name in ("where", "cutoff", "target") if getattr(self, name) is not None]
        if self.query is not None and given and not (given == ["target"] and isinstance(self.target, list)):
            raise ValueError(
                f"examples.query says everything; leave out {', '.join(given)}. Of several targets, target lists the "
                "query's columns"
            )
        if self.query is None and self.target is None:
            raise ValueError("examples needs a target, or a query that gives key, cutoff and target")
        return self

    @property
    def targets(self) -> dict[str, str]:
        """The SQL expressions of several targets, by name, over the table or the query; none where there is one."""
        return {} if self.target is None or isinstance(self.target, str) else _by_name(self.target)

    @property
    def target_columns(self) -> list[str]:
        """The columns of examples and feature matrices that hold the target, or each of several."""
        return [target_column(name) for name in self.targets] or [TARGET]

    @property
    def one_target(self) -> str | None:
        """The SQL expression of the target; None where a query gives it, and of several."""
        return self.target if isinstance(self.target, str) else None

    @property
    def weight_column(self) -> str | None:
        """The column of the examples' table that says how much rows count, in metrics too."""
        return None if self.weights == BALANCED else self.weights

    @property
    def timed(self) -> bool:
        """True where each example has a cutoff."""
        return self.query is not None or self.cutoff is not None

    @property
    def cutoff_column(self) -> str | None:
        match = _CUTOFF.match(self.cutoff) if self.cutoff else None
        if match is None:
            return None
        return match[1][1:-1].replace('""', '"') if match[1].startswith('"') else match[1]

    @property
    def cutoff_before(self) -> timedelta:
        """The time between the prediction and the time in the cutoff's column, which comes later."""
        match = _CUTOFF.match(self.cutoff) if self.cutoff else None
        return duration(match[2]) if match and match[2] else timedelta(0)
