"""The plan: how a business record becomes the features that the model was trained on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Literal

import msgspec

ColumnType = Literal["time", "text", "number", "flag"]

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


class StaticLookup(Part, frozen=True, tag_field="kind", tag="static"):
    """One row per key, the same at all times."""

    file: str
    on: list[str]
    keys: list[str]


class LatestLookup(Part, frozen=True, tag_field="kind", tag="latest"):
    """Per key the last row at or before the cutoff, and no older than `valid_for_s` seconds."""

    file: str
    on: list[str]
    keys: list[str]
    time: str
    valid_for_s: float | None = None


class DailyLookup(Part, frozen=True, tag_field="kind", tag="daily"):
    """Per key one row for each day from `first` to `last`; where there is none, `defaults`."""

    file: str
    on: list[str]
    keys: list[str]
    time: str
    first: dt.date
    last: dt.date
    defaults: dict[str, float | str | None] = {}


Feature = ColumnFeature | CalendarFeature | LookupFeature
Lookup = StaticLookup | LatestLookup | DailyLookup


class Plan(Part, frozen=True):
    """The whole of `plan.json`."""

    use_case: str
    record: dict[str, ColumnType]
    required: list[str]
    features: list[Feature]
    cutoff: Cutoff | None = None
    lookups: dict[str, Lookup] = {}
    golden: str = "golden.json"

    @property
    def history_start(self) -> dt.date | None:
        """The first day that every daily lookup covers; None: no lookup is daily."""
        return max((lookup.first for lookup in self.lookups.values() if isinstance(lookup, DailyLookup)), default=None)


class BundleError(ValueError):
    """The bundle contradicts itself: it was built wrong, and no request can cure it."""

    def __init__(self, file: str, problems: list[str]) -> None:
        super().__init__(f"{file} cannot be served; build the Bento again:\n" + "\n".join(f"- {p}" for p in problems))


def read_plan(content: bytes) -> Plan:
    """The plan in `content`; raises BundleError with every contradiction that it holds."""
    try:
        plan = msgspec.json.decode(content, type=Plan)
    except msgspec.DecodeError as error:
        raise BundleError("plan.json", [str(error)]) from None
    if problems := sorted([*_cutoff_problems(plan), *_feature_problems(plan), *_lookup_problems(plan)]):
        raise BundleError("plan.json", problems)
    return plan


def _cutoff_problems(plan: Plan) -> list[str]:
    problems = [f"required: {name!r} is not a column" for name in plan.required if name not in plan.record]
    if plan.cutoff is not None:
        column = plan.cutoff.column
        if plan.record.get(column) != "time":
            problems.append(f"cutoff: {column!r} is not a column of type time")
        if column not in plan.required:
            problems.append(f"cutoff: {column!r} is not among the required columns {plan.required}")
    return problems


def _feature_problems(plan: Plan) -> list[str]:
    problems = []
    for feature in plan.features:
        if isinstance(feature, LookupFeature):
            if feature.lookup not in plan.lookups:
                problems.append(f"feature {feature.name!r}: there is no lookup {feature.lookup!r}")
        elif feature.column not in plan.record:
            problems.append(f"feature {feature.name!r}: the record has no column {feature.column!r}")
        elif isinstance(feature, CalendarFeature):
            if plan.record[feature.column] != "time":
                problems.append(f"feature {feature.name!r}: column {feature.column!r} is not a time")
            if feature.primitive not in CALENDAR:
                problems.append(f"feature {feature.name!r}: {feature.primitive!r} is none of {sorted(CALENDAR)}")
        elif plan.record[feature.column] == "time":
            problems.append(f"feature {feature.name!r}: a time cannot be a feature, only its calendar parts")
    return problems


def _lookup_problems(plan: Plan) -> list[str]:
    problems = []
    for name, lookup in plan.lookups.items():
        if missing := [column for column in lookup.on if column not in plan.record]:
            problems.append(f"lookup {name!r}: the record has no columns {missing}")
        if not lookup.on or len(lookup.on) != len(lookup.keys):
            problems.append(f"lookup {name!r}: {lookup.on} cannot be matched with {lookup.keys}")
        if plan.cutoff is None and not isinstance(lookup, StaticLookup):
            problems.append(f"lookup {name!r}: it needs a cutoff, and the plan has none")
    return problems
