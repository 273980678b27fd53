"""featuretools' primitives as DuckDB SQL: expressions for transforms, aggregates and what is derived from them.

Inputs and results are SQL in which a missing value is NULL, never NaN; times are TIMESTAMP in UTC; arithmetic is that
of DOUBLE. "and", "or", "not" of a missing value are missing, as in pandas' nullable booleans; with NaN in a plain
column featuretools follows Python, where NaN is true. The remainder of a division by zero is missing, as for floats.

A sum (and so a mean, a deviation, an entropy, a slope) runs over the values in ascending order with Kahan's
compensation: it depends on the values alone, not on threads, nor on the order of the rows, nor on other groups.

Where featuretools leaves a value undefined, this is what holds here:

- trend is a slope per day; featuretools takes days, hours, minutes or seconds, whichever fits a group's first time.
- mode and n_most_common order equally frequent values by the value; featuretools leaves the order of the latter open.
- first and last of a table without a time index go by its index; featuretools takes the order of the frame.
- entropy of no value at all is missing; featuretools gives 0 or NaN, depending on the column's type.
"""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# featuretools' own lengths, in seconds: a month is 365 / 12 days and a year about 365 days.
SECONDS = {
    "years": 31_540_000,
    "months": 2_628_000,
    "days": 86_400,
    "hours": 3_600,
    "minutes": 60,
    "seconds": 1,
    "milliseconds": 1e-3,
    "nanoseconds": 1e-9,
}
MICROSECONDS_PER_DAY = 86_400_000_000
CUTOFF = "__cutoff"  # the column in which every relation of the compiler has its rows' cutoff


def literal(value: Any) -> str:
    """A Python, numpy or pandas scalar as SQL; None, NaN and NaT are NULL. Raises TypeError for anything else."""
    if hasattr(value, "item"):
        value = value.item()
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if str(value) in ("None", "nan", "NaT", "<NA>"):
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"'{value!r}'::DOUBLE"
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    raise TypeError(f"a value of type {type(value).__name__} ({value!r}) has no SQL here; use text, a number or a time")


def number(expression: str) -> str:
    return f"nullif({expression}, 'nan'::DOUBLE)"


def double(expression: str) -> str:
    return f"CAST({expression} AS DOUBLE)"


def seconds(unit: str) -> str:
    if unit not in SECONDS:
        raise TypeError(f"{unit!r} is no unit of time; there are {sorted(SECONDS)}")
    return double(str(SECONDS[unit]))


# (the primitive, with its settings; its inputs) -> an expression
Transform = Callable[[Any, tuple[str, ...]], str]

_HOURS = {
    "dawn": (4, 5),
    "early morning": (6, 7),
    "late morning": (8, 9, 10),
    "noon": (11, 12, 13),
    "afternoon": (14, 15, 16),
    "evening": (17, 18, 19),
    "night": (20, 21, 22),
    "midnight": (23, 0, 1, 2, 3),
}
_PART_OF_DAY = " ".join(f"WHEN hour({{0}}) IN {hours} THEN '{part}'" for part, hours in _HOURS.items())
_DAY = "strftime({0}, '%m-%d')"
_WEEK_OF_MONTH = "ceil((day({0}) + isodow(date_trunc('month', {0})) % 7) / 7.0)"
# Between blanks, at least one sign that is no punctuation.
_WORD = f"[^ \\n\\t]*[^ \\n\\t{''.join(chr(92) + sign for sign in string.punctuation)}][^ \\n\\t]*".replace("'", "''")

# Calendar parts of a time; {0} is the time.
_CALENDAR = {
    "year": "year({0})",
    "quarter": "quarter({0})",
    "month": "month({0})",
    "week": "week({0})",
    "day": "day({0})",
    "day_of_year": "dayofyear({0})",
    "days_in_month": "day(last_day({0}))",
    "weekday": "isodow({0}) - 1",
    "nth_week_of_month": _WEEK_OF_MONTH,
    "hour": "hour({0})",
    "minute": "minute({0})",
    "second": "second({0})",
    "part_of_day": f"CASE {_PART_OF_DAY} END",
    "season": (
        f"CASE WHEN {_DAY} BETWEEN '03-21' AND '06-20' THEN 'spring' WHEN {_DAY} BETWEEN '06-21' AND '09-22' "
        f"THEN 'summer' WHEN {_DAY} BETWEEN '09-23' AND '12-20' THEN 'fall' WHEN {{0}} IS NOT NULL THEN 'winter' END"
    ),
}
# Questions about a time; the answer for a missing time is no, as in featuretools.
_IS_WHEN = {
    "is_weekend": "isodow({0}) > 5",
    "is_leap_year": "dayofyear(make_date(year({0}), 12, 31)) = 366",
    "is_month_start": "day({0}) = 1",
    "is_month_end": "CAST({0} AS DATE) = last_day({0})",
    "is_quarter_start": "day({0}) = 1 AND month({0}) IN (1, 4, 7, 10)",
    "is_quarter_end": "CAST({0} AS DATE) = last_day({0}) AND month({0}) IN (3, 6, 9, 12)",
    "is_year_start": "dayofyear({0}) = 1",
    "is_year_end": "month({0}) = 12 AND day({0}) = 31",
}
# The remainder has the divisor's sign, as in Python; SQL gives it the dividend's.
_MODULO = "CASE WHEN {x} % {y} <> 0 AND ({x} % {y} < 0) <> ({y} < 0) THEN {x} % {y} + {y} ELSE {x} % {y} END"
# Arithmetic on DOUBLE; dividing by zero gives an infinity or, for 0 / 0, nothing.
_ARITHMETIC = {
    "absolute": "abs({0})",
    "negate": "-({0})",
    "square_root": "sqrt({0})",
    "natural_logarithm": "ln({0})",
    "sine": "sin({0})",
    "cosine": "cos({0})",
    "tangent": "tan({0})",
    "add_numeric": "{0} + {1}",
    "subtract_numeric": "{0} - {1}",
    "multiply_numeric": "{0} * {1}",
    "multiply_numeric_boolean": "{0} * {1}",
    "divide_numeric": "{0} / {1}",
    "modulo_numeric": _MODULO.format(x="{0}", y="{1}"),
}
# The same with the primitive's setting `value` as one operand.
_SCALAR_ARITHMETIC = {
    "add_numeric_scalar": "{0} + {value}",
    "subtract_numeric_scalar": "{0} - {value}",
    "scalar_subtract_numeric_feature": "{value} - {0}",
    "multiply_numeric_scalar": "{0} * {value}",
    "divide_numeric_scalar": "{0} / {value}",
    "divide_by_feature": "{value} / {0}",
    "modulo_numeric_scalar": _MODULO.format(x="{0}", y="{value}"),
    "modulo_by_feature": _MODULO.format(x="{value}", y="{0}"),
}
_COMPARISONS = {
    "greater_than": ">",
    "greater_than_equal_to": ">=",
    "less_than": "<",
    "less_than_equal_to": "<=",
    "equal": "=",
    "not_equal": "<>",
}
_OTHERS = {
    "is_null": "{0} IS NULL",
    "not": "NOT {0}",
    "and": "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN {0} AND {1} END",
    "or": "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN {0} OR {1} END",
    "multiply_boolean": "{0} AND {1}",
    "num_characters": "length({0})",
}


def _template(text: str) -> Transform:
    return lambda primitive, inputs: text.format(*inputs)


def _question(text: str) -> Transform:
    return lambda primitive, inputs: f"coalesce({text.format(*inputs)}, FALSE)"


def _arithmetic(text: str) -> Transform:
    return lambda primitive, inputs: number(text.format(*map(double, inputs)))


def _scalar_arithmetic(text: str) -> Transform:
    return lambda primitive, inputs: number(text.format(*map(double, inputs), value=double(literal(primitive.value))))


def _comparison(sign: str) -> Transform:
    return lambda primitive, inputs: f"{inputs[0]} {sign} {inputs[1]}"


def _scalar_comparison(sign: str) -> Transform:
    return lambda primitive, inputs: f"{inputs[0]} {sign} {literal(primitive.value)}"


def _time_since(primitive: Any, inputs: tuple[str, ...]) -> str:
    return f"(epoch_us({CUTOFF}) - epoch_us({inputs[0]})) / 1e6 / {seconds(primitive.unit)}"


def _age(primitive: Any, inputs: tuple[str, ...]) -> str:
    return f"floor((epoch_us({CUTOFF}) - epoch_us({inputs[0]})) / {MICROSECONDS_PER_DAY}.0::DOUBLE) / 365"


def _is_in(primitive: Any, inputs: tuple[str, ...]) -> str:
    """A missing value in the list stands for all of them; in featuretools that depends on the column's type."""
    values = [literal(value) for value in primitive.list_of_outputs or []]
    known = [value for value in values if value != "NULL"]
    missing = f"{inputs[0]} IS NULL" if len(known) < len(values) else "FALSE"
    return f"coalesce({inputs[0]} IN ({', '.join(known)}), FALSE) OR {missing}" if known else missing


def _num_words(primitive: Any, inputs: tuple[str, ...]) -> str:
    return f"len(regexp_extract_all({inputs[0]}, '{_WORD}'))"


def _is_lunch_time(primitive: Any, inputs: tuple[str, ...]) -> str:
    return f"coalesce(hour({inputs[0]}) = {int(primitive.lunch_hour)}, FALSE)"


def _is_working_hours(primitive: Any, inputs: tuple[str, ...]) -> str:
    between = f"hour({inputs[0]}) BETWEEN {int(primitive.start_hour)} AND {int(primitive.end_hour)}"
    return f"coalesce({between}, FALSE)"


TRANSFORMS: Mapping[str, Transform] = {
    **{name: _template(text) for name, text in (_CALENDAR | _OTHERS).items()},
    **{name: _question(text) for name, text in _IS_WHEN.items()},
    **{name: _arithmetic(text) for name, text in _ARITHMETIC.items()},
    **{name: _scalar_arithmetic(text) for name, text in _SCALAR_ARITHMETIC.items()},
    **{name: _comparison(sign) for name, sign in _COMPARISONS.items()},
    **{f"{name}_scalar": _scalar_comparison(sign) for name, sign in _COMPARISONS.items()},
    "time_since": _time_since,
    "age": _age,
    "isin": _is_in,
    "num_words": _num_words,
    "is_lunch_time": _is_lunch_time,
    "is_working_hours": _is_working_hours,
}
# What a comparison with a missing value is in numpy's types; in pandas' nullable types it is missing.
COMPARISONS: Mapping[str, bool] = {
    f"{name}{scalar}": name == "not_equal" for name in _COMPARISONS for scalar in ("", "_scalar")
}


@dataclass
class Group:
    """One GROUP BY: the aggregates it computes, and the values derived from them, each once for all primitives."""

    aggregates: dict[str, str] = field(default_factory=dict)
    derived: list[dict[str, str]] = field(default_factory=lambda: [{}, {}])

    def aggregate(self, sql: str) -> str:
        """The name of an aggregate's column."""
        return self.aggregates.setdefault(sql, f"a{len(self.aggregates)}")

    def derive(self, sql: str, step: int = 0) -> str:
        """The name of a column computed from aggregates and, in step 1, from what was derived in step 0."""
        return self.derived[step].setdefault(sql, f"{'de'[step]}{len(self.derived[step])}")

    def select(self, keys: list[str], source: str, results: Mapping[str, str]) -> str:
        """The query: keys and named results of every group in `source` ("FROM ... WHERE ...")."""
        named = ", ".join(keys)
        aggregates = [f"{sql} AS {name}" for sql, name in self.aggregates.items()]
        query = f"SELECT {', '.join([named, *aggregates])} {source} GROUP BY {named}"
        for step in filter(None, self.derived):
            query = f"SELECT *, {', '.join(f'{sql} AS {name}' for sql, name in step.items())} FROM ({query})"
        columns = [f"{sql} AS {name}" for name, sql in results.items()]
        return f"SELECT {', '.join([named, *columns])} FROM ({query})"


# (the GROUP BY, the primitive, its inputs) -> one expression for each output
Aggregation = Callable[[Group, Any, tuple[str, ...]], list[str]]

# Within a group, rows go by time and then by index, as in an EntitySet; one binary key is faster than a row of both.
_ORDER = "create_sort_key(__time, 'ASC NULLS FIRST', __id, 'ASC NULLS FIRST')"


def _plain(text: str) -> Aggregation:
    return lambda group, primitive, inputs: [group.aggregate(text.format(*inputs))]


def _values(group: Group, x: str) -> str:
    return group.aggregate(f"list_sort(list({double(x)}) FILTER ({x} IS NOT NULL))")


def _total(values: str) -> str:
    """The sum of a sorted list; Kahan's compensation turns an infinity into NaN, so then it is the ends that count."""
    ends = f"{values}[1] + {values}[-1]"
    return f"coalesce({number(f'list_aggregate({values}, {chr(39)}fsum{chr(39)})')}, {number(ends)})"


def _mean(group: Group, x: str) -> str:
    values = _values(group, x)
    return group.derive(f"{_total(values)} / len({values})")


def _moment(group: Group, x: str, power: int) -> str:
    """The sum of a power of the distances from the mean: two passes, as a sum of squares loses the digits."""
    mean, values = _mean(group, x), _values(group, x)
    distances = " * ".join([f"(v - {mean})"] * power)
    return group.derive(f"list_aggregate(list_transform({values}, lambda v: {distances}), 'fsum')", step=1)


def _variance(group: Group, x: str) -> str:
    values = _values(group, x)
    return number(f"CASE WHEN len({values}) > 1 THEN {_moment(group, x, 2)} / (len({values}) - 1) END")


def _skew(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    """pandas' unbiased skewness; like it, takes moments below 1e-14 for zero."""
    count = f"len({_values(group, inputs[0])})"
    second, third = _moment(group, inputs[0], 2), _moment(group, inputs[0], 3)
    zeroed = f"CASE WHEN abs({third}) < 1e-14 THEN 0 ELSE {third} END"
    skew = f"{count} * sqrt({count} - 1.0::DOUBLE) / ({count} - 2) * ({zeroed}) / pow({second}, 1.5)"
    return [f"CASE WHEN {count} < 3 THEN NULL WHEN {second} < 1e-14 THEN 0 ELSE {number(skew)} END"]


def _sum(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    return [_total(_values(group, inputs[0]))]


def _mean_of(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    mean = _mean(group, inputs[0])
    if primitive.skipna:
        return [mean]
    return [f"CASE WHEN len({_values(group, inputs[0])}) = {group.aggregate('count(*)')} THEN {mean} END"]


def _median(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    values = _values(group, inputs[0])
    return [number(f"({values}[(len({values}) + 1) // 2] + {values}[len({values}) // 2 + 1]) / 2")]


def _variance_of(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    return [_variance(group, inputs[0])]


def _std(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    return [f"sqrt({_variance(group, inputs[0])})"]


def _percent_true(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    """A missing value counts as false."""
    return [f"{group.aggregate(f'count(*) FILTER ({inputs[0]})')} / {group.aggregate('count(*)')}"]


def _ranking(group: Group, x: str) -> str:
    """Values from the most frequent to the least; of equally frequent ones the smallest comes first."""
    entries = f"map_entries({group.aggregate(f'histogram({x})')})"
    ranked = f"list_transform({entries}, lambda e: {{'n': -CAST(e.value AS BIGINT), 'v': e.key}})"
    return group.derive(f"list_sort({ranked})")


def _mode(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    return [f"{_ranking(group, inputs[0])}[1].v"]


def _n_most_common(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    ranking = _ranking(group, inputs[0])
    return [f"{ranking}[{place}].v" for place in range(1, primitive.number_output_features + 1)]


def _entropy(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    """In nats, or in units of the primitive's base; a missing value is a value like any other unless it is dropped."""
    counts = f"coalesce(map_values({group.aggregate(f'histogram({inputs[0]})')}), [])"
    if not primitive.dropna:
        missing = group.aggregate(f"count(*) - count({inputs[0]})")
        counts = f"list_concat({counts}, CASE WHEN {missing} > 0 THEN [{missing}] ELSE [] END)"
    counts = group.derive(f"list_sort(list_transform({counts}, lambda n: {double('n')}))")
    total = group.derive(f"list_aggregate({counts}, 'sum')", step=1)
    entropy = f"0 - list_aggregate(list_transform({counts}, lambda n: n / {total} * ln(n / {total})), 'fsum')"
    return [f"({entropy}) / ln({double(literal(primitive.base))})" if primitive.base else entropy]


def _time_since_end(end: str) -> Aggregation:
    def time_since(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
        cutoff, last = group.aggregate(f"any_value({CUTOFF})"), group.aggregate(f"{end}({inputs[0]})")
        return [f"(epoch_us({cutoff}) - epoch_us({last})) / 1e6 / {seconds(primitive.unit)}"]

    return time_since


def _avg_time_between(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    first, last, count = (group.aggregate(f"{name}({inputs[0]})") for name in ("min", "max", "count"))
    between = f"(epoch_us({last}) - epoch_us({first})) / ({count} - 1) / 1e6 / {seconds(primitive.unit)}"
    return [f"CASE WHEN {count} > 1 THEN {between} END"]


def _trend(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    """The slope of least squares, per day; nothing below three points, 0 where all times are equal."""
    y, time = inputs
    day = f"(epoch_us({time}) - epoch_us({CUTOFF})) / {MICROSECONDS_PER_DAY}.0::DOUBLE"
    pairs = f"list({{'t': {day}, 'y': {double(y)}}}) FILTER ({y} IS NOT NULL AND {time} IS NOT NULL)"
    points = group.aggregate(f"list_sort({pairs})")
    means = [
        group.derive(f"list_aggregate(list_transform({points}, lambda p: p.{axis}), 'favg')") for axis in ("t", "y")
    ]

    def products(axis: str, mean: str) -> str:
        product = f"(p.t - {means[0]}) * (p.{axis} - {mean})"
        return f"list_aggregate(list_transform({points}, lambda p: {product}), 'fsum')"

    slope = number(f"{products('y', means[1])} / {products('t', means[0])}")
    return [f"CASE WHEN len({points}) < 3 THEN NULL WHEN {points}[1].t = {points}[-1].t THEN 0 ELSE {slope} END"]


AGGREGATIONS: Mapping[str, Aggregation] = {
    "count": _plain("count({0})"),
    "sum": _sum,
    "mean": _mean_of,
    "std": _std,
    "variance": _variance_of,
    "skew": _skew,
    "median": _median,
    "min": _plain("min({0})"),
    "max": _plain("max({0})"),
    "num_unique": _plain("count(DISTINCT {0})"),
    "num_true": _plain("count(*) FILTER ({0})"),
    "percent_true": _percent_true,
    "any": _plain("coalesce(bool_or({0}), FALSE)"),
    "all": _plain("coalesce(bool_and({0}), TRUE)"),
    "first": _plain("arg_min_null({0}, " + _ORDER + ")"),
    "last": _plain("arg_max_null({0}, " + _ORDER + ")"),
    "mode": _mode,
    "n_most_common": _n_most_common,
    "entropy": _entropy,
    "n_unique_days": _plain("count(DISTINCT CAST({0} AS DATE))"),
    "time_since_first": _time_since_end("min"),
    "time_since_last": _time_since_end("max"),
    "avg_time_between": _avg_time_between,
    "trend": _trend,
}
