"""featuretools' transforms as SQL: one expression for each, over the columns of one row."""

import string
from collections.abc import Callable, Mapping
from typing import Any

from ml.primitives.values import CUTOFF, MICROSECONDS_PER_DAY, double, literal, number, seconds

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
    """Return whether a value is in the primitive's list, where a missing value stands for all of them.

    In featuretools that depends on the column's type.
    """
    values = [literal(value) for value in primitive.list_of_outputs or []]
    listed = [value for value in values if value != "NULL"]
    missing = f"{inputs[0]} IS NULL" if len(listed) < len(values) else "FALSE"
    return f"coalesce({inputs[0]} IN ({', '.join(listed)}), FALSE) OR {missing}" if listed else missing


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
