"""Every primitive's SQL gives what featuretools' own function gives, also for missing, zero or infinite values."""

import math
from typing import Any

import featuretools as ft
import featuretools.primitives as P  # noqa: N812
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.compiler.compile import compile_features, compute
from ml.primitives.catalogue import AGGREGATIONS, TRANSFORMS, literal
from tests.support.ordered_n_most_common import OrderedNMostCommon

pytestmark = pytest.mark.filterwarnings("ignore")

CUTOFF = pd.Timestamp("2024-06-15 12:30:00")
INFINITY = float("inf")
ROWS: dict[str, tuple[str, list[Any]]] = {
    "x": ("Double", [-7.5, 0.0, 2.5, None, 1e17, -1.0, INFINITY, 4.0, 7.0, -INFINITY, 0.1, 5.0]),
    "y": ("Double", [2.0, 0.0, -2.0, 1.0, 3.0, None, 2.0, INFINITY, 0.0, INFINITY, 0.3, 5.0]),
    "whole": ("IntegerNullable", [3, None, 0, -2, 3, 7, 1, 0, None, 2, 3, 5]),
    "time": ("Datetime", [
        "2024-02-29 23:59:59.999999", "2023-02-28", None, "1969-12-31 04:00", "2024-12-31 23:00", "2024-01-01",
        "2000-03-01 06:30:30", "1900-02-28 12:00", "2024-06-15 12:30", "2025-03-31 18:00", "2021-01-03 20:15",
        "2024-09-30 09:00",
    ]),
    "other": ("Datetime", [
        "2024-02-29 23:59:59.999999", None, None, "1970-12-31", "2024-06-21", "2024-09-22", "2024-09-23", "2024-12-20",
        "2024-12-21", "2024-03-20", "2024-03-21", "2023-10-01",
    ]),
    "yes": ("BooleanNullable", [True, False, None, True, True, False, False, None, None, True, False, True]),
    "no": ("BooleanNullable", [True, True, True, False, None, False, None, False, None, True, False, True]),
    "sure": ("Boolean", [True, False] * 6),
    "kind": ("Categorical", ["a", None, "b", "c", "a", "O'Hara", "", "a", "b", None, "c", "a"]),
    "like": ("Categorical", ["a", None, "c", None, "b", "O'Hara", "", "a", "b", "a", "c", "c"]),
    "text": ("NaturalLanguage", [
        "This is a string", "", None, "no-spaces", "two  blanks\tand\na line", "... ! ,", "it's 5 o'clock", "é 漢字",
        " x ", "a.b, c.", "[a] ^b\\ -c-", "\r",
    ]),
}  # fmt: skip

Case = tuple[Any, list[str]]
_TWO_NUMBERS = [["x", "y"], ["y", "x"], ["x", "x"], ["whole", "x"]]
_SCALARS = (2.5, 0, -2)


def cases() -> dict[str, list[Case]]:
    """For each transform, its variants and the columns each is applied to."""
    times = [
        P.Year, P.Quarter, P.Month, P.Week, P.Day, P.DayOfYear, P.DaysInMonth, P.Weekday, P.NthWeekOfMonth, P.Hour,
        P.Minute, P.Second, P.PartOfDay, P.Season, P.IsWeekend, P.IsLeapYear, P.IsMonthStart, P.IsMonthEnd,
        P.IsQuarterStart, P.IsQuarterEnd, P.IsYearStart, P.IsYearEnd, P.IsLunchTime, P.IsWorkingHours, P.TimeSince,
    ]  # fmt: skip
    one_number = [P.Absolute, P.Negate, P.SquareRoot, P.NaturalLogarithm, P.Sine, P.Cosine, P.Tangent]
    two_numbers = [P.AddNumeric, P.SubtractNumeric, P.MultiplyNumeric, P.DivideNumeric, P.ModuloNumeric]
    ordered = [P.GreaterThan, P.GreaterThanEqualTo, P.LessThan, P.LessThanEqualTo]
    applied: list[tuple[list[Any], list[list[str]]]] = [
        (times, [["time"], ["other"]]),
        (one_number, [["x"], ["y"], ["whole"]]),
        (two_numbers, _TWO_NUMBERS),
        (ordered, [*_TWO_NUMBERS, ["time", "other"]]),
        ([P.Equal, P.NotEqual], [*_TWO_NUMBERS, ["time", "other"], ["kind", "like"], ["whole", "whole"]]),
        ([P.And, P.Or, P.MultiplyBoolean], [["yes", "no"], ["no", "yes"], ["sure", "yes"]]),
        ([P.MultiplyNumericBoolean], [["x", "sure"], ["x", "yes"]]),
        ([P.Not], [["yes"], ["sure"]]),
        ([P.IsNull], [["x"], ["kind"], ["time"], ["yes"], ["text"]]),
        ([P.NumCharacters, P.NumWords], [["text"]]),
        ([P.Age], [["birth"]]),
    ]
    primitives = [(kind(), columns) for kinds, choices in applied for kind in kinds for columns in choices]
    scalar = [
        P.AddNumericScalar, P.SubtractNumericScalar, P.ScalarSubtractNumericFeature, P.MultiplyNumericScalar,
        P.DivideNumericScalar, P.DivideByFeature, P.ModuloNumericScalar, P.ModuloByFeature, P.GreaterThanScalar,
        P.GreaterThanEqualToScalar, P.LessThanScalar, P.LessThanEqualToScalar, P.EqualScalar, P.NotEqualScalar,
    ]  # fmt: skip
    primitives += [(kind(value), [column]) for kind in scalar for value in _SCALARS for column in ("x", "y")]
    primitives += [(kind(value), [column]) for kind in scalar[-6:] for value in (3, 0) for column in ("whole",)]
    primitives += [(kind("a"), ["kind"]) for kind in (P.EqualScalar, P.NotEqualScalar)]
    primitives += [(kind(None), ["x"]) for kind in (P.EqualScalar, P.NotEqualScalar)]
    primitives += [(P.IsIn(values), ["kind"]) for values in (["a", "O'Hara"], [], None, ["zz"])]
    primitives += [(P.IsIn([2.5, float("nan")]), ["x"]), (P.IsIn([3, 5]), ["whole"])]
    primitives += [(P.TimeSince(unit), ["time"]) for unit in ("days", "years", "months", "hours", "minutes")]
    primitives += [(P.IsLunchTime(6), ["time"]), (P.IsWorkingHours(4, 6), ["time"])]
    return {
        name: [case for case in primitives if case[0].name == name]
        for name in sorted({case[0].name for case in primitives})
    }


def entity_set() -> ft.EntitySet:
    values = {name: values for name, (_, values) in ROWS.items()}
    frame = pd.DataFrame({"id": range(len(values["x"])), **values, "birth": values["time"]})
    for column in ("time", "other", "birth"):
        frame[column] = pd.to_datetime(frame[column], format="ISO8601")
    types = {name: kind for name, (kind, _) in ROWS.items()} | {"birth": "Datetime", "id": "Integer"}
    entities = ft.EntitySet("rows")
    entities.add_dataframe(
        dataframe_name="rows",
        dataframe=frame,
        index="id",
        logical_types=types,
        semantic_tags={"birth": "date_of_birth"},
    )
    return entities


def assert_same(expected: pd.Series, actual: pd.Series, name: str) -> None:
    """Numbers to nine digits, all else exactly, and missing where missing."""
    expected = expected.astype(object)  # a nullable float may hold NaN, which only then counts as missing
    assert list(expected.isna()) == list(actual.isna()), f"{name}: {list(expected)} but {list(actual)}"
    left, right = expected[expected.notna()], actual[actual.notna()]
    if pd.api.types.is_bool_dtype(right) or set(map(type, right)) <= {bool}:
        assert list(left.astype(bool)) == list(right.astype(bool)), name
    elif pd.api.types.is_numeric_dtype(right):
        np.testing.assert_allclose(right.astype(float), left.astype(float), rtol=1e-9, atol=1e-12, err_msg=name)
    else:
        assert list(left.astype(object)) == list(right.astype(object)), name


def frames(entities: ft.EntitySet) -> dict[str, pa.Table]:
    return {
        frame.ww.name: pa.Table.from_pandas(pd.DataFrame(frame), preserve_index=False) for frame in entities.dataframes
    }


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_a_transform_equals_featuretools_function(name: str) -> None:
    entities = entity_set()
    frame = entities["rows"]
    chosen = cases()[name]
    features = [
        ft.Feature([ft.Feature(frame.ww[column]) for column in columns], primitive=primitive)
        for primitive, columns in chosen
    ]
    labels = pa.table({"instance": frame["id"].to_numpy(), "cutoff": [CUTOFF.to_pydatetime()] * len(frame)})

    query = compile_features(entities, features, at_cutoff="included")
    values = compute(query, frames(entities), labels).to_pandas()

    for feature, (primitive, columns) in zip(features, chosen, strict=True):
        settings = {"time": CUTOFF} if primitive.uses_calc_time else {}
        expected = pd.Series(primitive.get_function()(*(frame[column] for column in columns), **settings))
        assert_same(expected.reset_index(drop=True), values[feature.get_name()], feature.get_name())


GROUPS: dict[str, list[tuple[Any, ...]]] = {
    # amount, kind, flag, seconds
    "none": [],
    "one": [(2.5, "a", True, 1)],
    "two": [(0.1, "b", False, 3), (0.2, "a", None, 3)],
    "missing": [(None, None, None, 5), (None, None, None, 7)],
    "constant": [(0.1, "a", False, 1), (0.1, "a", False, 11), (0.1, "a", False, 21)],
    "large": [(1e6 + 0.5, "b", True, 1), (1e6 - 0.25, "c", True, 801), (1e6, "c", None, 99_999), (None, "b", True, 9)],
    "infinite": [(INFINITY, "a", True, 1), (1.0, None, True, 3), (2.0, "a", True, 5), (-3.0, "b", False, 7)],
    "mixed": [(float(n % 7) - 2.125, "abcd"[n * n % 4], n % 3 == 0, 2 * (n * 37 % 50) + 1) for n in range(40)],
}  # fmt: skip


def groups() -> ft.EntitySet:
    rows = [
        {"parent": name, "amount": amount, "kind": kind, "flag": flag, "sure": bool(flag), "time": seconds}
        for name, members in GROUPS.items()
        for amount, kind, flag, seconds in members
    ]
    events = pd.DataFrame(rows).assign(id=range(len(rows)))
    events["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(events["time"], "s")
    entities = ft.EntitySet("groups")
    parents = pd.DataFrame({"parent": list(GROUPS)})
    entities.add_dataframe(dataframe_name="parents", dataframe=parents, index="parent")
    entities.add_dataframe(
        dataframe_name="events",
        dataframe=events,
        index="id",
        time_index="time",
        logical_types={"amount": "Double", "kind": "Categorical", "flag": "BooleanNullable", "sure": "Boolean"},
    )
    entities.add_relationship("parents", "parent", "events", "parent")
    return entities


def aggregations() -> dict[str, list[Case]]:
    applied = [
        (["count"], [["id"]]),
        (["num_unique", "mode", "entropy"], [["kind"]]),
        (["sum", "mean", "std", "variance", "skew", "median", "min", "max"], [["amount"]]),
        (["num_true", "percent_true", "any", "all"], [["flag"], ["sure"]]),
        (["first", "last"], [["amount"], ["kind"], ["id"]]),
        (["time_since_first", "time_since_last", "avg_time_between", "n_unique_days"], [["time"]]),
        (["trend"], [["amount", "time"]]),
    ]
    kinds = P.get_aggregation_primitives()
    primitives = [(kinds[name](), columns) for names, choices in applied for name in names for columns in choices]
    primitives += [(OrderedNMostCommon(n), ["kind"]) for n in (2, 5)]
    primitives += [
        (P.Entropy(base=2), ["kind"]),
        (P.Mean(skipna=False), ["amount"]),
        (P.AvgTimeBetween("hours"), ["time"]),
    ]
    return {
        name: [case for case in primitives if case[0].name == name]
        for name in sorted({case[0].name for case in primitives})
    }


@pytest.mark.parametrize("name", sorted(AGGREGATIONS))
def test_an_aggregation_equals_featuretools_function(name: str) -> None:
    entities = groups()
    events = entities["events"]
    features = [
        ft.Feature(
            [ft.Feature(events.ww[column]) for column in columns], parent_dataframe_name="parents", primitive=primitive
        )
        for primitive, columns in aggregations()[name]
    ]
    expected = ft.calculate_feature_matrix(features, entities, cutoff_time=CUTOFF)

    query = compile_features(entities, features, at_cutoff="included")
    labels = pa.table({"instance": list(expected.index), "cutoff": [CUTOFF.to_pydatetime()] * len(expected)})
    values = compute(query, frames(entities), labels).to_pandas()

    for column in query.names:
        # All times are odd seconds after midnight, so that featuretools' trend is per second.
        scale = 86_400 if name == "trend" else 1
        assert_same(
            (expected[column] * scale if scale > 1 else expected[column]).reset_index(drop=True), values[column], column
        )


@pytest.mark.slow
@settings(max_examples=50, deadline=None, derandomize=True)
@given(values=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20), data=st.data())
@pytest.mark.parametrize("scale", [1.0, 1e-200])
def test_a_sum_loses_nothing_and_knows_no_order(scale: float, values: list[float], data: st.DataObject) -> None:
    values = [value * scale for value in values]
    entities = groups()
    features = [
        ft.Feature(ft.Feature(entities["events"].ww["amount"]), parent_dataframe_name="parents", primitive=primitive)
        for primitive in (P.Sum, P.Mean, P.Std)
    ]
    query = compile_features(entities, features, at_cutoff="included")
    labels = pa.table({"instance": ["one"], "cutoff": [CUTOFF.to_pydatetime()]})

    def computed(amounts: list[float]) -> list[Any]:
        events = {"id": range(len(amounts)), "parent": ["one"] * len(amounts), "amount": amounts}
        events["time"] = [CUTOFF.to_pydatetime()] * len(amounts)
        row = compute(query, {"parents": pa.table({"parent": ["one"]}), "events": pa.table(events)}, labels)
        return [row[name][0].as_py() for name in query.names]

    total = computed(values)

    assert computed(data.draw(st.permutations(values))) == total
    largest = max(map(abs, values))
    assert total[0] == pytest.approx(math.fsum(values), rel=1e-15, abs=max(largest * 2.0**-85, 1e-290))


def test_the_promised_number_of_primitives_has_sql() -> None:
    assert len(AGGREGATIONS) >= 20
    assert len(TRANSFORMS) >= 35
    assert set(cases()) == set(TRANSFORMS)
    assert set(aggregations()) == set(AGGREGATIONS)


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"),
        (float("nan"), "NULL"),
        (pd.NaT, "NULL"),
        (pd.NA, "NULL"),
        (np.int64(3), "3"),
        (True, "TRUE"),
        (0.1, "'0.1'::DOUBLE"),
        ("nan", "'nan'"),
        ("O'Hara", "'O''Hara'"),
        (pd.Timestamp("2024-02-29 12:00"), "TIMESTAMP '2024-02-29 12:00:00'"),
    ],
)
def test_a_scalar_becomes_its_literal(value: Any, sql: str) -> None:
    assert literal(value) == sql


def test_a_value_without_literal_is_refused_by_its_type() -> None:
    with pytest.raises(TypeError, match=r"type list .* use text, a number or a time"):
        literal([1])
