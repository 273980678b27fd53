"""featuretools' aggregations as SQL: what they need of a group of rows, and the expressions of their values.

A sum runs over whole numbers: a group's values as fractions of a power of two above all of them, in steps of 2^-96.
Whole numbers add up to the same in any order, and the error is below that of any sum of floats.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ml.primitives.values import CUTOFF, MICROSECONDS_PER_DAY, double, literal, number, seconds

_ONE = f"{2**96}e0"  # a group's largest value is at most this; 2^28 cubes of twice as much still fit 128 bits
# Within a group, rows go by time and then by index, as in an EntitySet; one binary key is faster than a row of both.
_ORDER = "create_sort_key(__time, 'ASC NULLS FIRST', __id, 'ASC NULLS FIRST')"


@dataclass
class Group:
    """The aggregates of one grouping of rows and what is derived from them, each once for all primitives.

    They come in three steps. What belongs to a step may use the columns of all steps before; what is derived in it, its
    own aggregates, too. A step with aggregates is one more pass over the rows.
    """

    aggregates: list[dict[str, str]] = field(default_factory=lambda: [{}, {}, {}])
    derived: list[dict[str, str]] = field(default_factory=lambda: [{}, {}, {}])
    picked: dict[str, dict[str, str]] = field(default_factory=dict)

    def aggregate(self, sql: str, step: int = 0) -> str:
        """Return the name of an aggregate's column."""
        return self.aggregates[step].setdefault(sql, f"__a{step}_{len(self.aggregates[step])}")

    def derive(self, sql: str, step: int = 0) -> str:
        """Return the name of a column computed from others."""
        return self.derived[step].setdefault(sql, f"__d{step}_{len(self.derived[step])}")

    def pick(self, end: str, x: str) -> str:
        """Return the value in the row that is the first ("min") or the last ("max") one.

        One aggregate finds the values of all columns.
        """
        values = self.picked.setdefault(end, {})
        return f"__{end}.{values.setdefault(x, f'v{len(values)}')}"

    def select(self, keys: list[str], rows: str, results: Mapping[str, str], relation: Callable[[str], str]) -> str:
        """Return the relation of keys and named results of every group of `rows`; `relation` gives a query a name."""
        named, computed = ", ".join(keys), ""
        for end, picked in self.picked.items():
            row = ", ".join(f"'{name}': {x}" for x, name in picked.items())
            self.aggregates[0][f"arg_{end}({{{row}}}, {_ORDER})"] = f"__{end}"
        for aggregates, derived in zip(self.aggregates, self.derived, strict=True):
            if aggregates or not computed:
                source = f"{rows} JOIN {computed} USING ({named})" if computed else rows
                columns = ", ".join([named, *_named(aggregates)])
                passed = relation(f"SELECT {columns} FROM {source} GROUP BY {named}")
                computed = f"({computed} JOIN {passed} USING ({named}))" if computed else passed
            if derived:
                computed = relation(f"SELECT *, {', '.join(_named(derived))} FROM {computed}")
        values = [f"{sql} AS {name}" for name, sql in results.items()]
        return relation(f"SELECT {', '.join([named, *values])} FROM {computed}")


def _named(columns: Mapping[str, str]) -> list[str]:
    return [f"{sql} AS {name}" for sql, name in columns.items()]


@dataclass(frozen=True)
class _Numbers:
    """A group's values of an expression."""

    group: Group
    value: str

    @property
    def count(self) -> str:
        return self.group.aggregate(f"count({self.value})")

    @property
    def ends(self) -> tuple[str, str]:
        return self.group.aggregate(f"min({self.value})"), self.group.aggregate(f"max({self.value})")

    @property
    def unit(self) -> str:
        """The power of two that makes fractions of the values; missing if one of them is infinite."""
        low, high = self.ends
        power = f"pow(2.0::DOUBLE, -ceil(log2(greatest(-{low}, {high}, 1e-300::DOUBLE))))"
        return self.group.derive(f"CASE WHEN isfinite({low}) AND isfinite({high}) THEN {power} END")

    @property
    def fraction(self) -> str:
        return f"{self.value} * {self.unit}"

    def added(self, fraction: str, step: int) -> str:
        """Return the sum of an expression of fractions."""
        return f"{double(self.group.aggregate(f'sum(CAST({fraction} * {_ONE} AS HUGEINT))', step))} / {_ONE}"

    @property
    def total(self) -> str:
        """The sum of the values; with infinite ones, that of the least and the greatest."""
        low, high = self.ends
        finite = f"{self.added(self.fraction, 1)} / {self.unit}"
        return self.group.derive(f"coalesce({finite}, {number(f'{low} + {high}')})", step=1)

    @property
    def distance(self) -> str:
        """A value's distance from the mean, as a fraction."""
        mean = self.group.derive(f"{self.added(self.fraction, 1)} / {self.count}", step=1)
        return f"({self.fraction} - {mean})"

    def moment(self, power: int) -> str:
        """Return the sum of a power of the distances from the mean.

        It takes two passes, as a sum of squares loses the digits.
        """
        return self.added(" * ".join([self.distance] * power), 2) + f" / {self.unit}" * power


# (the group, the primitive, its inputs) -> one expression for each output
Aggregation = Callable[[Group, Any, tuple[str, ...]], list[str]]


def _plain(text: str) -> Aggregation:
    return lambda group, primitive, inputs: [group.aggregate(text.format(*inputs))]


def _sum(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    return [_Numbers(group, double(inputs[0])).total]


def _mean(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    numbers = _Numbers(group, double(inputs[0]))
    mean = f"{numbers.total} / {numbers.count}"
    return [mean if primitive.skipna else f"CASE WHEN {numbers.count} = {group.aggregate('count(*)')} THEN {mean} END"]


def _variance(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    numbers = _Numbers(group, double(inputs[0]))
    return [number(f"CASE WHEN {numbers.count} > 1 THEN {numbers.moment(2)} / ({numbers.count} - 1) END")]


def _std(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    return [f"sqrt({_variance(group, primitive, inputs)[0]})"]


def _skew(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    """Return pandas' unbiased skewness; like it, take moments below 1e-14 for zero."""
    numbers = _Numbers(group, double(inputs[0]))
    count, second, third = numbers.count, *(group.derive(numbers.moment(power), step=2) for power in (2, 3))
    zeroed = f"CASE WHEN abs({third}) < 1e-14 THEN 0 ELSE {third} END"
    skew = f"{count} * sqrt({count} - 1.0::DOUBLE) / ({count} - 2) * ({zeroed}) / pow({second}, 1.5)"
    return [f"CASE WHEN {count} < 3 THEN NULL WHEN {second} < 1e-14 THEN 0 ELSE {number(skew)} END"]


def _median(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    x = inputs[0]
    values = group.aggregate(f"list_sort(list({double(x)}) FILTER ({x} IS NOT NULL))")
    return [number(f"({values}[(len({values}) + 1) // 2] + {values}[len({values}) // 2 + 1]) / 2")]


def _end(end: str) -> Aggregation:
    return lambda group, primitive, inputs: [group.pick(end, inputs[0])]


def _percent_true(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    """Return the share of true values, of which a missing one counts as false."""
    return [f"{group.aggregate(f'count(*) FILTER ({inputs[0]})')} / {group.aggregate('count(*)')}"]


def _ranking(group: Group, x: str) -> str:
    """Return the values from the most frequent to the least; of equally frequent ones the smallest comes first."""
    entries = f"map_entries({group.aggregate(f'histogram({x})')})"
    ranked = f"list_transform({entries}, lambda e: {{'n': -CAST(e.value AS BIGINT), 'v': e.key}})"
    return group.derive(f"list_sort({ranked})")


def _mode(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    return [f"{_ranking(group, inputs[0])}[1].v"]


def _n_most_common(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    ranking = _ranking(group, inputs[0])
    return [f"{ranking}[{place}].v" for place in range(1, primitive.number_output_features + 1)]


def _entropy(group: Group, primitive: Any, inputs: tuple[str, ...]) -> list[str]:
    """Return the entropy in nats, or in units of the primitive's base.

    A missing value is a value like any other unless it is dropped.
    """
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
    """Return the slope of least squares, per day; nothing below three points, 0 where all times are equal."""
    y, time = inputs
    values = _Numbers(group, f"CASE WHEN {time} IS NOT NULL THEN {double(y)} END")
    times = _Numbers(group, f"CASE WHEN {y} IS NOT NULL THEN {double(f'epoch_us({time}) - epoch_us({CUTOFF})')} END")
    together = values.added(f"{times.distance} * {values.distance}", 2)
    slope = f"({together}) / ({times.added(f'{times.distance} * {times.distance}', 2)})"
    per_day = f"{slope} * {times.unit} / {values.unit} * {double(str(MICROSECONDS_PER_DAY))}"
    first, last = times.ends
    return [f"CASE WHEN {values.count} < 3 THEN NULL WHEN {first} = {last} THEN 0 ELSE {number(per_day)} END"]


AGGREGATIONS: Mapping[str, Aggregation] = {
    "count": _plain("count({0})"),
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "variance": _variance,
    "skew": _skew,
    "median": _median,
    "min": _plain("min({0})"),
    "max": _plain("max({0})"),
    "num_unique": _plain("count(DISTINCT {0})"),
    "num_true": _plain("count(*) FILTER ({0})"),
    "percent_true": _percent_true,
    "any": _plain("coalesce(bool_or({0}), FALSE)"),
    "all": _plain("coalesce(bool_and({0}), TRUE)"),
    "first": _end("min"),
    "last": _end("max"),
    "mode": _mode,
    "n_most_common": _n_most_common,
    "entropy": _entropy,
    "n_unique_days": _plain("count(DISTINCT CAST({0} AS DATE))"),
    "time_since_first": _time_since_end("min"),
    "time_since_last": _time_since_end("max"),
    "avg_time_between": _avg_time_between,
    "trend": _trend,
}
