"""Records: those that a caller sent, checked against the plan, with every problem in one answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from service.plan.document import Plan
from service.plan.parts import ColumnType

Value = dt.datetime | str | float | None

EPOCH = dt.datetime(1970, 1, 1)
MICROSECOND = dt.timedelta(microseconds=1)
SECOND_US = 1_000_000
ANY_US = -(2**63)
FLOAT32_MAX = 3.4028234663852886e38  # the model computes in float32, where anything above is infinite
SHOWN_CHARACTERS = 100


class Record(msgspec.Struct, frozen=True):
    """One checked record: a value for each column of the plan, its cutoff in microseconds since 1970, and warnings."""

    values: dict[str, Value]
    cutoff_us: int
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Problem:
    """A fault of one record, described so that the caller can mend it."""

    error: str
    record: int
    field: str | None
    given: Any
    allowed: Any

    @property
    def order(self) -> tuple[int, str, str]:
        """The sort key of problems: record, then field."""
        return self.record, self.field or "", self.error


class InvalidRecords(ValueError):
    """The records, or rows, cannot be taken; `problems` says why, sorted."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.order)
        super().__init__(f"{len(problems)} problems, the first: {self.problems[0]}")

    def at(self, indices: Sequence[int]) -> InvalidRecords:
        """Return the same problems, of records that stand at `indices` in another list."""
        return InvalidRecords([replace(problem, record=indices[problem.record]) for problem in self.problems])


class _Refused(ValueError):
    """A value that its column's type does not allow; the message is the error, `allowed` what would do."""

    def __init__(self, error: str, allowed: str) -> None:
        super().__init__(error)
        self.allowed = allowed


def to_us(time: dt.datetime) -> int:
    """Return a time in microseconds since 1970, exactly."""
    return (time - EPOCH) // MICROSECOND


def excerpt(value: Any) -> Any:
    """Return a value as an error repeats it: short, and always encodable as JSON."""
    if isinstance(value, str):
        short = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
        return short.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int | float):
        if abs(value) <= FLOAT32_MAX:
            return value
        return str(value) if isinstance(value, float) else "a huge integer"
    return "an array" if isinstance(value, list) else "an object"


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Refused("not a text", "a string or null")
    return value


def _number(value: Any) -> float:
    if type(value) is not float and type(value) is not int:
        raise _Refused("not a number", "a finite number or null")
    if not abs(value) <= FLOAT32_MAX:
        raise _Refused("not a finite number", "a number from -3.4e38 to 3.4e38 or null")
    return value  # an integer stays one: as a key of a lookup it may need more than 53 bits


def _flag(value: Any) -> float:
    if type(value) is not bool:
        raise _Refused("not a flag", "true, false or null")
    return float(value)


def _time(value: Any) -> dt.datetime:
    allowed = "an ISO 8601 time without an offset, such as 2014-01-15T08:30:00, or null"
    if type(value) is not str:
        raise _Refused("not a time", allowed)
    try:
        time = dt.datetime.fromisoformat(value.replace("\0", "?"))  # Python lets one end a time
    except ValueError:
        raise _Refused("not a time", allowed) from None
    if time.tzinfo is not None:
        raise _Refused(
            "a time with an offset; drop the offset and give the time on the clock of the training data", allowed
        )
    return time


PARSERS: dict[ColumnType, Callable[[Any], Value]] = {"text": _text, "number": _number, "flag": _flag, "time": _time}
SCHEMAS: dict[ColumnType, dict[str, Any]] = {
    "text": {"type": ["string", "null"]},
    "number": {"type": ["number", "null"], "minimum": -FLOAT32_MAX, "maximum": FLOAT32_MAX},
    "flag": {"type": ["boolean", "null"]},
    # of OpenAPI's registry of formats; date-time is RFC 3339's, which demands the offset that this service refuses
    "time": {
        "type": ["string", "null"],
        "format": "date-time-local",
        "description": "ISO 8601 without an offset, on the clock of the training data",
    },
}


class RowReader:
    """Checks rows of known columns, of which some are required, and parses their values.

    What is sound is seen by one look of msgspec at the whole row; only what is not is gone through, to be named.
    """

    def __init__(self, columns: Mapping[str, ColumnType], required: Sequence[str]) -> None:
        self.columns = columns
        self._parsers = [(name, PARSERS[kind], name in required) for name, kind in columns.items()]
        self._sound = _sound_row(columns, required)
        self._absent: dict[str, Value] = dict.fromkeys(columns)
        self._parsed = [(name, PARSERS[kind]) for name, kind in columns.items() if kind in ("time", "flag")]

    def read(self, rows: Sequence[Any]) -> list[dict[str, Value]]:
        """Parse the values of the rows; raises InvalidRecords with the problems of all of them."""
        problems: list[Problem] = []
        values = [self.values(row, index, problems) for index, row in enumerate(rows)]
        if problems:
            raise InvalidRecords(problems)
        return values

    def values(self, row: Any, index: int, problems: list[Problem]) -> dict[str, Value]:
        """Parse the values of one row, as far as they are sound; add what is not to `problems`."""
        try:
            msgspec.convert(row, self._sound)
            values = {**self._absent, **row}
            for name, parse in self._parsed:
                if (value := values[name]) is not None:
                    values[name] = parse(value)
        except (msgspec.ValidationError, ValueError):
            return self._values(row, index, problems)
        return values

    def _values(self, row: Any, index: int, problems: list[Problem]) -> dict[str, Value]:
        if not isinstance(row, dict):
            problems.append(Problem("not a record", index, None, excerpt(row), "an object"))
            return {}
        if not row.keys() <= self.columns.keys():
            problems.append(self._unknown(row, index))
        values: dict[str, Value] = {}
        for name, parse, required in self._parsers:
            value = row.get(name)
            if value is not None:
                try:
                    values[name] = parse(value)
                except _Refused as refused:
                    problems.append(Problem(str(refused), index, name, excerpt(value), refused.allowed))
            elif required:
                allowed = f"a value of type {self.columns[name]}"
                problems.append(Problem("required, and missing or null", index, name, None, allowed))
            else:
                values[name] = None
        return values

    def _unknown(self, row: Mapping[str, Any], index: int) -> Problem:
        unknown = sorted(row.keys() - self.columns.keys())
        names = [excerpt(name) for name in unknown[:SHOWN_CHARACTERS]]
        return Problem("unknown columns", index, None, names, sorted(self.columns))


def _sound_row(columns: Mapping[str, ColumnType], required: Sequence[str]) -> Any:
    """Return msgspec's type of a row without problems; a time may still be none."""
    sound: dict[ColumnType, Any] = {
        "text": str,
        "time": str,
        "flag": bool,
        # a greater integer is gone through: no bound of msgspec's is above int64
        "number": Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
        | Annotated[float, Meta(ge=-FLOAT32_MAX, le=FLOAT32_MAX)],
    }
    fields = {f"column_{position}": name for position, name in enumerate(columns)}
    types: list[Any] = [
        (field, sound[columns[name]]) if name in required else (field, sound[columns[name]] | None, None)
        for field, name in fields.items()
    ]
    return msgspec.defstruct("Row", types, rename=fields, forbid_unknown_fields=True, kw_only=True)


class RecordReader:
    """Checks records against a plan and parses their values; `warn` says of a sound one what is unusual in it.

    `earliest_us` is the first time of the cutoff's column that the Bento's history serves; any, where it has none.
    """

    def __init__(self, plan: Plan, warn: Callable[[Mapping[str, Any]], Sequence[str]] = lambda _: ()) -> None:
        self.plan = plan
        self._warn = warn
        self._rows = RowReader({**plan.key, **plan.record}, plan.required)
        self._before_us = round(plan.cutoff.before_s * SECOND_US) if plan.cutoff else 0
        first = plan.first_cutoff
        self._first_us = None if first is None else to_us(first)
        self.earliest_us = ANY_US if self._first_us is None else self._first_us + self._before_us

    def read(self, records: Sequence[Any]) -> list[Record]:
        """Parse records; raises InvalidRecords with the problems of all of them."""
        problems: list[Problem] = []
        parsed = [self._read(record, index, problems) for index, record in enumerate(records)]
        if problems:
            raise InvalidRecords(problems)
        return parsed

    def _read(self, record: Any, index: int, problems: list[Problem]) -> Record:
        before = len(problems)
        values = self._rows.values(record, index, problems)
        if len(problems) > before:
            return Record(values, 0)
        return Record(values, self._cutoff_us(values, index, problems), self._warn(record))

    def _cutoff_us(self, values: Mapping[str, Value], index: int, problems: list[Problem]) -> int:
        if self.plan.cutoff is None:
            return 0
        column = self.plan.cutoff.column
        time = values[column]
        assert isinstance(time, dt.datetime)  # the plan's own check: the cutoff's column is a required time
        cutoff_us = to_us(time) - self._before_us
        if self._first_us is not None and cutoff_us < self._first_us:
            first = EPOCH + self._first_us * MICROSECOND
            earliest = first + self._before_us * MICROSECOND
            error = f"before this Bento's history, which serves cutoffs from {first.isoformat()} on"
            problems.append(Problem(error, index, column, time.isoformat(), f"{earliest.isoformat()} or later"))
        return cutoff_us


def record_schema(plan: Plan, example: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the JSON Schema of one record."""
    properties = columns_schema(dict(sorted(plan.record.items())), plan.required)
    for name in sorted(plan.key.keys() - properties.keys()):
        properties[name] = {"description": "says which row it is, and is no feature", **SCHEMAS[plan.key[name]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A record of {plan.use_case}",
        "type": "object",
        "properties": properties,
        "required": sorted(plan.required),
        "additionalProperties": False,
        "examples": [] if example is None else [dict(example)],
    }


def columns_schema(columns: Mapping[str, ColumnType], required: Sequence[str]) -> dict[str, Any]:
    """Return the JSON Schema of each column's values, which are not null where they are required."""
    return {name: _not_null(SCHEMAS[kind]) if name in required else SCHEMAS[kind] for name, kind in columns.items()}


def _not_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "type": schema["type"][0]}
