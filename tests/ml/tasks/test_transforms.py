"""A transform has an exact way back, is named by a call of one column, and counts what it does not allow."""

import numpy as np
import pytest

from ml.tasks.transforms import TRANSFORMS, applied, learned_as, number_of


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_number_comes_back_as_it_was(name: str) -> None:
    y = np.random.default_rng(0).lognormal(3, 4, 1000)

    assert TRANSFORMS[name].inverse(TRANSFORMS[name].forward(y)) == pytest.approx(y, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ln", 3 * np.log(2)), ("log", np.log10(8)), ("log2", 3), ("log1p", np.log(9)), ("sqrt", 8**0.5)],
)
def test_a_transform_is_the_function_of_duckdb(name: str, expected: float) -> None:
    assert TRANSFORMS[name].forward(np.array([8.0])) == pytest.approx([expected])


def test_a_root_below_zero_is_one_of_zero() -> None:
    assert TRANSFORMS["sqrt"].inverse(np.array([-2.0, 3.0])).tolist() == [0.0, 9.0]


@pytest.mark.parametrize(
    ("name", "y", "problem"),
    [
        ("ln", [1.0, 0.0, -2.0], "is not above 0 in 2 of 3 rows"),
        ("log1p", [0.0, -1.0], "is not above -1 in 1 of 2 rows"),
        ("sqrt", [0.0, -1.0], "is not 0 or more in 1 of 2 rows"),
        ("log1p", [0.0, 5.0], None),
    ],
)
def test_numbers_that_have_no_transform_are_counted(name: str, y: list[float], problem: str | None) -> None:
    assert TRANSFORMS[name].problem(np.array(y)) == problem


@pytest.mark.parametrize("text", ["ln(price)", " LN( price ) ", 'log1p("my price")', "sqrt(x)"])
def test_a_call_of_one_column_is_a_transform(text: str) -> None:
    found = applied(text)

    assert found is not None
    assert number_of(text) == found[1]
    assert learned_as(text) == TRANSFORMS[found[0]]


@pytest.mark.parametrize(
    "text", [None, "price", "ln(price) + 1", "ln(1 + price)", "log(2, price)", "abs(x)", "ln(a)*ln(b)"]
)
def test_anything_else_is_learned_as_it_is(text: str | None) -> None:
    assert learned_as(text) is None
    assert number_of(text or "x") == (text or "x")
