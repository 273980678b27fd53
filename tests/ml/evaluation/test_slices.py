"""Slices: what they are made of, and how they are judged."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.base.sql import DataError
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.slices import Part, columns_of, judge_slice, parts
from ml.features.define import require_slice_columns
from ml.intervals.bootstrap import Resampling
from ml.tasks.metrics import score

HOW = Resampling(resamples=100)
VALUES = st.one_of(
    st.lists(st.one_of(st.none(), st.sampled_from("abcde")), min_size=1, max_size=80),
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(0, 5)), min_size=1, max_size=80),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=80),
)


@given(values=VALUES, smallest=st.integers(1, 20))
def test_every_row_is_in_exactly_one_slice_of_a_column(values: list[Any], smallest: int) -> None:
    found = parts("column", pd.Series(values, dtype=None if None not in values else object), smallest)

    assert sorted(np.concatenate([part.positions for part in found]).tolist()) == list(range(len(values)))
    assert sum(len(part.positions) < smallest for part in found) <= 1


@given(values=VALUES, smallest=st.integers(1, 20))
def test_no_two_slices_of_a_column_have_the_same_name(values: list[Any], smallest: int) -> None:
    found = [part.value for part in parts("column", pd.Series(values, dtype=object), smallest)]

    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (
            np.linspace(40.7128, 40.7139, 12).round(4),
            ["40.7128 to 40.713", "40.7131 to 40.7133", "40.7134 to 40.7136", "40.7137 to 40.7139"],
        ),
        ([100.11, 100.12] * 3, ["100.11", "100.12"]),
        ([12345.1, 12345.2, 9999.99] * 3, ["9999.99", "12345.1", "12345.2"]),
        (list(pd.date_range("2024-01-01", periods=2, freq="h")) * 3, ["2024-01-01 00:00", "2024-01-01 01:00"]),
        (
            pd.date_range("2024-01-01", periods=12, freq="s"),
            [f"2024-01-01 00:00:{low:02} to 2024-01-01 00:00:{low + 2:02}" for low in (0, 3, 6, 9)],
        ),
        (
            pd.date_range("2024-01-01", periods=12, freq="D", tz="Europe/Berlin"),
            [f"2024-01-{low:02} to 2024-01-{low + 2:02}" for low in (1, 4, 7, 10)],
        ),
        (["missing", None] * 3, ["missing", "(missing)"]),
        (["(missing)", None] * 3, ["(missing)", "((missing))"]),
        ([1, "1"] * 3, ["1", "'1'"]),
    ],
)
def test_names_have_the_digits_that_tell_slices_apart(values: Any, names: list[str]) -> None:
    assert [part.value for part in parts("column", pd.Series(values), smallest=3)] == names


def test_a_value_that_is_called_like_what_is_left_is_no_rest() -> None:
    found = parts("column", pd.Series(["(2 other values)"] * 3 + ["a", "b"]), smallest=3)

    assert [(part.value, part.rest) for part in found] == [("(2 other values)", False), ("((2 other values))", True)]


def test_numbers_are_cut_at_quantiles_and_named_by_their_ends() -> None:
    found = parts("distance", pd.Series(np.arange(1, 101)), smallest=10)

    assert [part.value for part in found] == ["1 to 25", "26 to 50", "51 to 75", "76 to 100"]
    assert [len(part.positions) for part in found] == [25] * 4


def test_times_are_cut_at_quantiles_and_named_by_days() -> None:
    found = parts("at", pd.Series(pd.date_range("2024-01-01", periods=40, freq="D")), smallest=5)

    assert found[0].value == "2024-01-01 to 2024-01-10"
    assert len(found) == 4


def test_few_numbers_are_values_of_their_own_and_what_is_missing_is_one() -> None:
    found = parts("floors", pd.Series([1.0, 2.0, 2.0, np.nan, np.nan, 1.0]), smallest=2)

    assert [(part.value, part.positions.tolist()) for part in found] == [
        ("1", [0, 5]),
        ("2", [1, 2]),
        ("(missing)", [3, 4]),
    ]


def test_values_with_too_few_rows_are_put_together() -> None:
    found = parts("carrier", pd.Series(list("aaaabc")), smallest=3)

    assert [(part.value, len(part.positions)) for part in found] == [("a", 4), ("(2 other values)", 2)]


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 600).astype("int8")
    return y, 0.6 * y + 0.4 * random.random(600), 0.1 * y + 0.9 * random.random(600)


def test_a_slice_is_judged_on_its_own_rows_and_the_better_model_is_ahead(rows: Any) -> None:
    y, better, worse = rows
    at, everything = np.arange(100, 300), np.ones(600, dtype=bool)

    found = judge_slice("brier", y, better, worse, Part("x", "1", at), everything, HOW)

    both = found.against_champion
    assert both is not None
    assert both.candidate == found.score
    assert (both.rows, found.rows) == (200, 200)
    assert found.score.value == score("brier", y[at], better[at])
    assert both.champion.value == score("brier", y[at], worse[at])
    assert both.difference.value == pytest.approx(both.champion.value - both.candidate.value)
    assert 0 < both.difference.low < both.difference.value < both.difference.high


def test_models_are_compared_on_the_rows_alone_that_the_champion_has_not_seen(rows: Any) -> None:
    y, better, worse = rows
    at, fair = np.arange(100, 300), np.arange(600) < 200

    found = judge_slice("brier", y, better, worse, Part("x", "1", at), fair, HOW)

    both = found.against_champion
    assert both is not None
    assert (both.rows, found.rows) == (100, 200)
    assert found.score.value == score("brier", y[at], better[at])
    assert both.candidate.value == score("brier", y[100:200], better[100:200])
    assert both.champion.value == score("brier", y[100:200], worse[100:200])
    assert both.difference.value == pytest.approx(both.champion.value - both.candidate.value)


def test_where_the_champion_has_seen_every_row_none_is_compared(rows: Any) -> None:
    y, better, worse = rows

    found = judge_slice("brier", y, better, worse, Part("x", "1", np.arange(50)), np.zeros(600, dtype=bool), HOW)

    assert found.against_champion is not None
    assert found.against_champion.rows == 0
    assert np.isnan(found.against_champion.difference.value)
    assert not np.isnan(found.score.value)


def test_the_candidates_interval_is_the_same_whether_there_is_a_champion_or_not(rows: Any) -> None:
    y, better, worse = rows
    part, everything = Part("x", "1", np.arange(100, 300)), np.ones(600, dtype=bool)

    alone = judge_slice("roc_auc", y, better, None, part, everything, HOW)

    assert alone.score == judge_slice("roc_auc", y, better, worse, part, everything, HOW).score
    assert alone.against_champion is None


def test_where_a_metric_is_undefined_both_models_have_none(rows: Any) -> None:
    y, better, worse = rows
    one_class = np.flatnonzero(y == 1)[:50]

    found = judge_slice("roc_auc", y, better, worse, Part("x", "1", one_class), np.ones(600, dtype=bool), HOW)

    assert found.against_champion is not None
    assert np.isnan([found.score.value, found.against_champion.champion.value]).all()
    assert found.against_champion.rows == 50


def test_values_come_from_the_examples_table_by_key_or_are_features() -> None:
    matrix = pd.DataFrame({"id": [3, 1, 3, 9], "HOUR(at)": [5, 6, 7, 8]})
    source = pa.table({"id": [1, 2, 3], "origin": ["JFK", "LGA", "EWR"]})

    found = columns_of(["origin", "HOUR(at)"], matrix, source, ["id"])

    assert found["origin"].fillna("nothing").tolist() == ["EWR", "JFK", "EWR", "nothing"]
    assert found["HOUR(at)"].tolist() == [5, 6, 7, 8]


def test_an_unknown_column_is_refused_with_the_allowed_ones() -> None:
    spec = UseCaseSpec.model_validate(
        {
            "description": "Which?",
            "tables": {"rows": {"source": {"path": "rows.csv"}, "key": "id"}},
            "examples": {"table": "rows", "target": "y = 1", "split": {"validation_share": 0.2, "test_share": 0.2}},
            "models": {"logistic": {}},
            "evaluation": {"slices": ["x"], "sensitive": ["sex"]},
        }
    )

    with pytest.raises(DataError, match=r"evaluation.sensitive names \['sex'\].*allowed: id, x, y"):
        require_slice_columns("here", spec, {"id", "x", "y"})
