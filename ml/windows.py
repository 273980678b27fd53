"""Aggregates over the past of a key: for each row, of the events in the window that ends at the row's own cutoff.

Values are computed on integers: a column's numbers times a power of ten (its scale), so that sums are exact. A result
then depends on the events in the window alone: not on the order in which they are added up, on threads, on the other
rows that are asked for, or on whether a window is summed or had as the difference of two running sums.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.sql import DataError, connection, quoted

Aggregation = Literal[
    "count", "sum", "mean", "std", "min", "max", "median", "first", "last", "num_unique", "time_since_last"
]
AtCutoff = Literal["excluded", "included"]
LARGEST = 2**41  # of a scaled value: the squares of four million of them then fit 128 bits
MOST_DIGITS = 9
_RUNNING = {"count", "sum", "mean", "std"}
# What an aggregate needs of a column: how many values, their sum, the sum of their squares, the first and last event's.
_PARTS = {"sum": "s", "mean": "cs", "std": "csq", "first": ["first"], "last": ["last"]}
_TOTALS = {
    "c": "cast(count({0}) over w as bigint)",
    "s": "cast(sum({0}) over w as bigint)",
    "q": "sum(cast({0} as hugeint) * {0}) over w",
    "first": "first_value({0}) over together",
    "last": "last_value({0}) over together",
}
_FRAMED = {"min": "min({})", "max": "max({})", "median": "median({})", "num_unique": "count(distinct {})"}


@dataclass(frozen=True)
class Window:
    """One aggregate; `column` is None for a count of events and the time since the last one.

    `seconds` is how far the window reaches back from the cutoff; None: over all of the past.
    """

    name: str
    aggregation: Aggregation
    column: str | None
    seconds: int | None


def scale_of(values: pa.ChunkedArray) -> int:
    """How many decimal digits behind the point a column is kept with.

    As few as hold every value exactly, at most six; if none do, as many as fit the largest value, at most nine: what
    is smaller is then rounded.
    """
    numbers = np.unique(np.abs(pc.cast(values.drop_null(), pa.float64()).to_numpy()))
    largest = float(numbers[-1]) if len(numbers) else 0.0
    fitting = [digits for digits in range(MOST_DIGITS + 1) if largest * 10**digits < LARGEST]
    exact = [d for d in fitting if d <= 6 and (np.round(numbers * 10**d) / 10**d == numbers).all()]
    return (exact[:1] or fitting[-1:] or [0])[0]


def scaled_sql(column: str, scale: int) -> str:
    """A column as whole numbers, in SQL."""
    return f"cast(round(cast({quoted(column)} as double) * {10**scale}) as bigint) as {quoted(column)}"


def check_range(where: str, events: pa.Table, scales: Mapping[str, int]) -> None:
    """Raises DataError if a scaled value is too large to be added up exactly."""
    for column, scale in scales.items():
        largest = pc.max(pc.abs(events[column])).as_py() or 0
        if largest >= LARGEST:
            raise DataError(
                f"{where}, column {column!r}: {largest / 10**scale:g} is too large to be added up exactly with {scale} "
                f"decimal digits, which {LARGEST / 10**scale:g} would be: correct it, or compute it in another unit"
            )


def windows(
    events: pa.Table,
    rows: pa.Table,
    keys: Sequence[str],
    time: str,
    scales: Mapping[str, int],
    wanted: Sequence[Window],
    at_cutoff: AtCutoff = "excluded",
    threads: int | None = None,
) -> pa.Table:
    """One float64 column for each of `wanted`, one row for each of `rows`, in its order.

    `events` holds `_row` (text, unique), the keys, `time` and scaled int64 columns. `rows` holds the keys and `cutoff`.
    An event counts if its keys equal the row's and cutoff - window <= time < cutoff (<= if the cutoff is included);
    missing keys equal nothing. Of no events the count and the sum are 0 and everything else is missing; the sample
    standard deviation needs two.
    """
    query = _Query(tuple(keys), time, dict(scales), tuple(wanted), ">" if at_cutoff == "excluded" else ">=")
    with connection(threads) as con:
        con.register("event", events)
        con.register("asked", rows)
        for name, select in query.tables():
            con.execute(f"create temp table {name} as {select}")
        return con.sql(query.result()).to_arrow_table()


@dataclass(frozen=True)
class _Query:
    """The SQL of some windows. `later` compares a cutoff with an event that it may see."""

    keys: tuple[str, ...]
    time: str
    scales: dict[str, int]
    wanted: tuple[Window, ...]
    later: str

    @property
    def columns(self) -> dict[str, int]:
        """The value columns, numbered."""
        return {name: number for number, name in enumerate(sorted({w.column for w in self.wanted if w.column}))}

    def tables(self) -> Iterator[tuple[str, str]]:
        """Name and query of every table that the result needs, in order."""
        keys, time = ", ".join(map(quoted, self.keys)), quoted(self.time)
        present = " and ".join(f"{quoted(key)} is not null" for key in self.keys)
        values = "".join(f", {quoted(column)} as v{number}" for column, number in self.columns.items())
        yield (
            "numbers",
            f"select row_number() over () as k, {keys} from (select distinct {keys} from event where {present})",
        )
        dated = f"from event join numbers using ({keys}) where {time} is not null"
        yield "e", f"select k, epoch_us({time}) as t, _row{values} {dated}"
        asked = "select row_number() over () as row, * from asked"
        yield "l", f"select a.row, k, epoch_us(cutoff) as cut from ({asked}) a left join numbers using ({keys})"
        yield "p", self._totals()
        # One join for all moments: each sorts the totals anew.
        moments = " union all ".join(
            f"select row, k, {at} as at, '{name}' as moment from l" for name, at in self._moments().items()
        )
        yield (
            "totals",
            f"select m.row, moment, p.* exclude (k) from ({moments}) m asof left join p on m.k = p.k and m.at > p.t",
        )
        for name, start in self._starts().items():
            yield name, f"select l.row, p.* exclude (k) from l asof left join p on l.k = p.k and {start} <= p.t"
        for name, frame in self._frames().items():
            yield name, self._framed(frame)

    def result(self) -> str:
        """The query of the values themselves."""
        values = ", ".join(f"cast({self._value(each)} as double) as {quoted(each.name)}" for each in self.wanted)
        then = {name: f"(select * from totals where moment = '{name}')" for name in self._moments()}
        tables = then | {name: name for name in [*self._starts(), *self._frames()]}
        joins = "".join(f" join {table} as {name} using (row)" for name, table in tables.items())
        return f"select {values} from l{joins} order by l.row"

    def _totals(self) -> str:
        """For each key and time the totals up to it, and the values of the first and the last event of that time.

        Events of one time have equal rows: a window without a frame ends with the last of them.
        """
        parts = {(part, self.columns[str(w.column)]) for w in self.wanted for part in _PARTS.get(w.aggregation, ())}
        totals = "".join(f", {_TOTALS[part].format(f'v{v}')} as {part}{v}" for part, v in sorted(parts))
        window = "w as (partition by k order by t)"
        if {"first", "last"} & {part for part, _ in parts}:
            whole = "rows between unbounded preceding and unbounded following"
            window += f", together as (partition by k, t order by _row {whole})"
        return f"select k, t, cast(count(*) over w as bigint) as n{totals} from e window {window}"

    def _moments(self) -> dict[str, str]:
        """The moments before which the totals are asked for: the cutoff, and the start of each window."""
        starts = {each.seconds: _reach(each) for each in self.wanted if each.aggregation in _RUNNING and each.seconds}
        now = "cut" if self.later == ">" else "cut + 1"
        return {"now": now} | {f"before_{seconds}": f"cut - {reach}" for seconds, reach in starts.items()}

    def _starts(self) -> dict[str, str]:
        """The start of each window whose first event is asked for."""
        return {
            f"from_{each.seconds}": f"l.cut - {_reach(each)}" for each in self.wanted if each.aggregation == "first"
        }

    def _frames(self) -> dict[str, list[Window]]:
        """A table for each window over which something is computed that running totals do not give."""
        framed = [each for each in self.wanted if each.aggregation in _FRAMED]
        return {f"frame_{each.seconds}": [e for e in framed if e.seconds == each.seconds] for each in framed}

    def _framed(self, wanted: list[Window]) -> str:
        asked = {(each.aggregation, self.columns[str(each.column)]) for each in wanted}
        values = "".join(f", {_FRAMED[name].format(f'v{v}')} over w as {name}{v}" for name, v in sorted(asked))
        nothing = "".join(f", null as v{number}" for number in self.columns.values())
        events = (
            f"select null as row, k, t, 1 as one{''.join(f', v{number}' for number in self.columns.values())} from e"
        )
        both = f"{events} union all select row, k, cut, null{nothing} from l"
        end = 1 if self.later == ">" else 0
        window = f"partition by k order by t range between {_reach(wanted[0])} preceding and {end} preceding"
        framed = f"select row, count(one) over w as n{values} from ({both}) window w as ({window})"
        return f"select * from ({framed}) where row is not null"

    def _value(self, each: Window) -> str:
        number = self.columns[each.column] if each.column else 0
        scale = 10 ** self.scales[each.column] if each.column else 1
        if each.aggregation in _RUNNING:
            return self._running(each, number, scale)
        if each.aggregation in _FRAMED:
            value = f"frame_{each.seconds}.{each.aggregation}{number}"
            if each.aggregation == "num_unique":
                return f"case when frame_{each.seconds}.n > 0 then {value} end"
            return f"cast({value} as double) / {scale}"
        if each.aggregation == "first":
            found = f"from_{each.seconds}"
            return f"case when l.cut {self.later} {found}.t then cast({found}.first{number} as double) / {scale} end"
        inside = f"now.t >= l.cut - {_reach(each)}"
        if each.aggregation == "last":
            return f"case when {inside} then cast(now.last{number} as double) / {scale} end"
        return f"case when {inside} then (l.cut - now.t) / 1e6 end"

    def _running(self, each: Window, number: int, scale: int) -> str:
        """From the totals at the cutoff less those at the window's start."""

        def total(part: str) -> str:
            start = "" if each.seconds is None else f" - coalesce(before_{each.seconds}.{part}, 0)"
            return f"(coalesce(now.{part}, 0){start})"

        if each.aggregation == "count":
            return total("n")
        n, total_sum, squares = total(f"c{number}"), total(f"s{number}"), total(f"q{number}")
        if each.aggregation == "sum":
            return f"cast({total_sum} as double) / {scale}"
        if each.aggregation == "mean":
            return f"cast({total_sum} as double) / nullif({n} * {scale}, 0)"
        spread = f"cast({n} * {squares} - cast({total_sum} as hugeint) * {total_sum} as double)"
        return f"case when {n} > 1 then sqrt({spread} / ({n} * ({n} - 1))) / {scale} end"


def _reach(each: Window) -> int:
    """How far a window reaches back, in microseconds; all of the past is thirty thousand years."""
    return 10**18 if each.seconds is None else each.seconds * 10**6
