"""A target that is added up from features, or multiplied, is named with its formula before anything is trained."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.features.identities import TOGETHER, no_identity
from ml.tables.findings import Finding
from ml.tasks.task import Kind
from tests.ml.features.test_audit import definitions, spec


def found(rows: pd.DataFrame, task: Kind = "regression") -> Finding:
    rows = rows.assign(id=range(len(rows)))
    return no_identity(spec(task), definitions(rows), rows)


def drawn(count: int = 600, seed: int = 0) -> tuple[dict[str, np.ndarray], np.random.Generator]:
    """Features that have nothing to do with any target, of which one is a word and one has gaps."""
    random = np.random.default_rng(seed)
    columns = {f"noise {number}": random.normal(size=count) for number in range(5)}
    columns["gaps"] = np.where(random.random(count) < 0.3, np.nan, random.normal(size=count))
    columns["word"] = random.choice(["a", "b", "c"], count).astype(object)
    return columns, random


def counts(random: np.random.Generator, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    return random.poisson(20, count).astype(float), random.poisson(150, count).astype(float)


def test_a_sum_of_columns_is_named_with_its_rows() -> None:
    columns, random = drawn()
    casual, registered = counts(random)

    finding = found(
        pd.DataFrame({**columns, "casual": casual, "registered": registered, "target": casual + registered})
    )

    assert finding.check == TOGETHER
    assert finding.faults == ("y = casual + registered in 600 of the 600 training rows where these have values",)
    assert "known_at" in finding.remedy


def sums(shape: str) -> tuple[pd.DataFrame, str]:
    """A target that follows from some columns, and their formula."""
    columns, random = drawn()
    a, b = counts(random)
    c = random.normal(size=600)
    large = 1e5 + 1000 * random.normal(size=600)
    rare, rarer = random.random(600) < 0.1, random.random(600) < 0.03

    def gaps(column: np.ndarray) -> np.ndarray:
        return np.where(random.random(600) < 0.15, np.nan, column)

    made: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
        "difference of two that are nearly equal": (
            a.round(2), {"revenue": large + a, "cost": large}, "revenue - cost"
        ),
        "mean": ((a + b) / 2, {"a": a, "b": b}, "0.5 * a + 0.5 * b"),
        "three and a constant": (a + 2 * b - c + 7, {"a": a, "b": b, "c": c}, "a + 2 * b - c + 7"),
        "rounded": (np.round(a * 1.19 + b, 2), {"a": a, "b": b}, "1.19 * a + b"),
        "of rounded parts": (
            np.round(large * 0.3 + c * 100, 2), {"a": np.round(large * 0.3, 2), "b": np.round(c * 100, 2)}, "a + b"
        ),
        "beside copies of them": (a + b, {"a": a, "b": b, "a again": a, "both": a + 0.01 * c}, " + b"),
        "in 32 bits": (a + c, {"a": a, "c": c.astype("float32")}, "a + c"),
        "far from zero": (a + large, {"a": a, "large": large + 1e6}, "a + large - 1e+06"),
        "of a flag and a number": (np.where(b > 150, a + 50, a), {"a": a, "flag": (b > 150)}, "a + 50 * flag"),
        "of a word and a number": (
            a + 40.0 * (columns["word"] == "b"), {"a": a}, "40 * (word = b) + a"
        ),
        "where one has gaps": (a + b, {"a": np.where(c > 0.5, np.nan, a), "b": b}, "a + b"),
        "but for corrected rows": (np.where(c > 2, 500.0, a + b), {"a": a, "b": b}, "a + b"),
        "product": ((a + 1) * b, {"a": a + 1, "b": b}, "a * b"),
        "rounded product": (np.round((a + 1) * (2 + c**2), 2), {"a": a + 1, "b": 2 + c**2}, "a * b"),
        "quotient": (b / (a + 1), {"a": a + 1, "b": b}, "b / a"),
        "product with signs and zeros": (3 * (a - 20) * c, {"a": a - 20, "c": c}, "3 * a * c"),
        "negative product": (-a * b, {"a": a, "b": b}, "-1 * a * b"),
        "of which most rows are zero": (a * rare + b * rarer, {"a": a * rare, "b": b * rarer}, "a + b"),
        "of a constant but for a few rows": (5 + a * rarer, {"a": a * rarer + c, "c": c}, "a - c + 5"),
        "with gaps in all columns": (
            a + b - c,
            {"a": gaps(a), "b": gaps(b), "c": gaps(c)} | {f"n {n}": gaps(random.normal(size=600)) for n in range(9)},
            "a + b - c",
        ),
    }  # fmt: skip
    target, parts, formula = made[shape]
    return pd.DataFrame({**columns, **parts, "target": target}), formula


@pytest.mark.parametrize(
    "shape",
    [
        "difference of two that are nearly equal",
        "mean",
        "three and a constant",
        "rounded",
        "of rounded parts",
        "beside copies of them",
        "in 32 bits",
        "far from zero",
        "of a flag and a number",
        "of a word and a number",
        "where one has gaps",
        "but for corrected rows",
        "product",
        "rounded product",
        "quotient",
        "product with signs and zeros",
        "negative product",
        "of which most rows are zero",
        "of a constant but for a few rows",
        "with gaps in all columns",
    ],
)
def test_whatever_the_columns_are_the_formula_is_found(shape: str) -> None:
    rows, formula = sums(shape)

    assert formula in found(rows).reason


def test_a_sum_is_found_among_as_many_columns_as_there_are_rows() -> None:
    random = np.random.default_rng(0)
    columns = {f"noise {number}": random.normal(size=400) for number in range(390)}
    a, b = counts(random, 400)

    assert "a + b" in found(pd.DataFrame({**columns, "a": a, "b": b, "target": a + b})).reason


def test_a_class_that_columns_add_up_to_is_named() -> None:
    columns, random = drawn()
    came, went = random.integers(0, 4, 600), random.integers(0, 2, 600)
    binary = pd.DataFrame({**columns, "all": came + went, "came": came, "target": went})
    classes = random.choice(["lost", "drawn", "won"], 600)
    flags = {f"is {name}": (classes == name).astype(float) for name in ("drawn", "won")}
    many = pd.DataFrame({**columns, **flags, "target": classes})

    assert "y = all - came in 600" in found(binary, "binary").reason
    assert "(y = lost) = - is drawn - is won + 1 in 600" in found(many, "multiclass").reason
    assert "(y = won) = is won in 600" in found(many, "multiclass").reason


@pytest.mark.parametrize("count", [40, 100, 600, 3000])
@pytest.mark.parametrize("seed", range(3))
def test_what_has_an_error_of_its_own_is_no_identity(count: int, seed: int) -> None:
    columns, random = drawn(count, seed)
    a, b = counts(random, count)
    error = random.normal(size=count)
    line = a + b + 0.05 * np.std(a + b) * error  # R² 0.9975
    ranks = np.clip(np.round(3 + error), 1, 5)
    rows = pd.DataFrame({**columns, "a": a, "b": b})

    for target in (line, np.round(line), ranks, error, np.exp(error) * a * b):
        assert found(rows.assign(target=target)).passed
    assert found(rows.assign(target=(a + b + 30 * error > 170).astype("int8")), "binary").passed


@pytest.mark.parametrize("share", [0.01, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("count", [100, 600, 3000])
def test_what_is_nearly_always_the_same_is_no_identity(share: float, count: int) -> None:
    columns, random = drawn(count)
    rare = random.random(count) < share
    rare[:6] = [True, True, True, False, False, False]  # some of each class
    classes = np.where(rare, random.choice(["b", "c"], count), "a")
    rows = pd.DataFrame({**columns, "sparse": rare[::-1] * random.normal(size=count)})

    assert found(rows.assign(target=classes), "multiclass").passed
    assert found(rows.assign(target=rare.astype("int8")), "binary").passed
    assert found(rows.assign(target=np.where(rare, random.exponential(size=count), 0.0))).passed
    assert found(rows.assign(target=np.where(rare, random.poisson(2, count), 7.0))).passed


@pytest.mark.parametrize("scale", [1e300, 1e-300, 1e150, 1.0])
def test_numbers_of_any_size_are_no_reason_to_fail_or_to_find_what_is_not_there(scale: float) -> None:
    columns, random = drawn()
    a, b = counts(random)
    rows = pd.DataFrame({**columns, "a": a * scale, "b": b, "none": np.nan, "all": np.inf, "same": 1.0})

    assert found(rows.assign(target=random.normal(size=600))).passed
    assert found(rows.assign(target=random.normal(size=600) * scale)).passed
    assert found(rows.assign(target=(random.random(600) < 0.5).astype("int8")), "binary").passed


def test_one_column_that_gives_the_target_is_left_to_the_check_of_single_ones() -> None:
    columns, random = drawn()
    a, _ = counts(random)

    assert found(pd.DataFrame({**columns, "a": a, "target": 2 * a + 1})).passed


def test_the_finding_is_the_same_twice_and_of_many_rows_a_sample_is_looked_at() -> None:
    columns, random = drawn(30_000)
    a, b = counts(random, 30_000)
    rows = pd.DataFrame({**columns, "a": a, "b": b, "target": a + b})

    findings = [found(rows) for _ in range(2)]

    assert findings[0] == findings[1]
    assert "of the 20,000 training rows" in findings[0].reason
