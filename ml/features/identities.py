"""The audit of features together: columns that add up to the target, or multiply to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ml.declaration.use_case import UseCaseSpec
from ml.features.definitions import FeatureDefinitions
from ml.features.sums import HOLDS, Sum, find_sum
from ml.tables.findings import Finding, of_each
from ml.tasks.targets import TARGET, with_alone
from ml.tasks.task import Task
from ml.tasks.transforms import number_of

TOGETHER = "no_features_together_give_the_target"
ROWS = 20_000  # training rows in which a formula is tried
LEVELS = 20  # of a category with up to so many, each is a column of 0 and 1
CLASSES = 5  # that are looked at, the most frequent ones
DIGITS = 6  # behind the point that a target may have, to be one that was rounded
ROUNDED = 2.5  # units of the target's last digit that it may be off, for its parts may have been rounded too
EXACT = 1e-6  # of the spread of a target that was not rounded
NEAR = 0.01  # of the spread, at most


def no_identity(spec: UseCaseSpec, definitions: FeatureDefinitions, train: pd.DataFrame) -> Finding:
    """Find formulas of the target, or of each of several, from training rows with their targets.

    A formula is a sum of features with constant factors, or a product of powers of them; it gives the target, or of
    classes whether a row is of one, up to rounding. One feature that gives it is left to the check of single ones,
    unless it gives one of many classes.
    """
    targets = spec.examples.targets
    if targets:
        return of_each({name: _no_identity(spec, definitions, with_alone(train, name), name) for name in targets})
    declared = spec.examples.one_target or TARGET
    return _no_identity(spec, definitions, train, number_of(declared) if spec.task == "regression" else declared)


def _no_identity(spec: UseCaseSpec, definitions: FeatureDefinitions, train: pd.DataFrame, declared: str) -> Finding:
    from threadpoolctl import threadpool_limits

    task = Task.of(spec.task, train[TARGET])
    rows = train.sample(min(len(train), ROWS), random_state=spec.seed)
    columns, least = _columns(rows, definitions), 1 if task.kind == "multiclass" else 2
    with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"):
        formulas = [
            formula
            for name, y in _targets(declared, task, rows[TARGET])
            if (formula := _formula(columns, name, y, task))
        ]
    return Finding(
        TOGETHER,
        f"no sum and no product of {len(definitions.features)} features is the target in {len(rows):,} training rows",
        tuple(formula.text for formula in formulas if formula.columns >= least),
        "where they tell what is yet to happen, say in known_at when their columns become known, or leave them out by "
        f"ignore; else say audit.warn: [{TOGETHER}]",
        tuple({"formula": formula.text} for formula in formulas),
    )


@dataclass(frozen=True)
class _Formula:
    """A formula of so many columns, in words."""

    columns: int
    text: str

    @classmethod
    def of(cls, target: str, formula: str, fit: Sum) -> _Formula:
        where = f"in {fit.holds:,} of the {fit.rows:,} training rows where these have values"
        return cls(len(fit.places), f"{target} = {formula} {where}")


def _targets(declared: str, task: Task, target: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what a formula may give, with its name: the target, or for each of many classes whether it is that one."""
    if task.kind != "multiclass":
        yield declared if declared.isidentifier() else f"({declared})", task.labels(target).astype("float64")
        return
    for label in target.value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:CLASSES]:
        yield f"({declared} = {label})", (target == label).to_numpy("float64")


def _columns(rows: pd.DataFrame, definitions: FeatureDefinitions) -> pd.DataFrame:
    """Return numbers, NaN where there is none, and for each level of a category whether it is that one."""
    columns = {}
    for feature in definitions.features:
        values = rows[feature.name]
        if feature.type == "numeric":
            columns[feature.name] = values.to_numpy("float64", na_value=np.nan)
        elif len(levels := sorted(values.dropna().unique(), key=str)) <= LEVELS:
            is_level = {level: (values == level).to_numpy("float64", na_value=0) for level in levels}
            columns |= {f"({feature.name} = {level})": column for level, column in is_level.items()}
    frame = pd.DataFrame(columns, dtype="float64")
    return frame.where(np.isfinite(frame))


def _formula(columns: pd.DataFrame, target: str, y: np.ndarray, task: Task) -> _Formula | None:
    if task.kind == "regression":
        rounded = ROUNDED * _last_digit(y)
        return _sum(columns, target, y, rounded) or _product(columns, target, y, rounded)
    return _sum(columns, target, y, 0.0)


def _sum(columns: pd.DataFrame, target: str, y: np.ndarray, rounded: float) -> _Formula | None:
    """Return the formula by which columns add up to a target."""
    spread = float(np.std(y))
    allowed = min(max(rounded, EXACT * spread), NEAR * spread)
    fit = find_sum(columns.to_numpy(), y, np.full(len(y), allowed), NEAR * spread)
    if fit is None:
        return None
    terms = [
        (factor, f"{columns.columns[place]}" if _is_one(factor) else f"{abs(factor):.4g} * {columns.columns[place]}")
        for place, factor in zip(fit.places, fit.factors, strict=True)
    ]
    terms += [(fit.added, f"{abs(fit.added):.4g}")] if abs(fit.added) > allowed else []
    text = "".join(f" {'-' if factor < 0 else '+'} {term}" for factor, term in terms)
    return _Formula.of(target, text.removeprefix(" + ").strip(), fit)


def _product(columns: pd.DataFrame, target: str, y: np.ndarray, rounded: float) -> _Formula | None:
    """Return the formula by which powers of columns multiply to a target, with its signs and zeros."""
    other, X = y != 0, columns.to_numpy()
    logs, sizes = np.log(np.abs(y[other])), np.where(X[other] == 0, np.nan, np.abs(X[other]))
    allowed = np.maximum(rounded / np.abs(y[other]), EXACT)
    fit = find_sum(np.log(sizes), logs, allowed, NEAR * float(np.std(logs))) if other.any() else None
    if fit is None:
        return None
    product = np.exp(fit.added) * _powers(X[:, fit.places], fit.factors)
    known = ~np.isnan(product)
    sign = -1 if (product[known] * y[known] < 0).mean() > 0.5 else 1
    holds = np.abs(sign * product - y)[known] <= np.maximum(rounded, NEAR * np.abs(y[known]))
    if holds.mean() < HOLDS:
        return None
    powers = [
        (power, str(columns.columns[place]) + ("" if _is_one(power) else f"^{abs(power):.4g}"))
        for place, power in zip(fit.places, fit.factors, strict=True)
    ]
    over, under = ([term for power, term in powers if (power < 0) == below] for below in (False, True))
    factor = sign * np.exp(fit.added)
    first = [f"{factor:.4g}"] if abs(factor - 1) > NEAR or not over else []
    text = " / ".join([" * ".join([*first, *over]), *under])
    return _Formula.of(target, text, replace(fit, holds=int(holds.sum()), rows=len(holds)))


def _powers(X: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Return the product of columns [n_rows, n_columns] to some powers, NaN where it does not exist."""
    with np.errstate(divide="ignore"):
        product: np.ndarray = np.prod(np.sign(X) ** np.round(powers) * np.abs(X) ** powers, axis=1)
    return np.where(np.isfinite(product), product, np.nan)


def _is_one(factor: float) -> bool:
    return bool(abs(abs(factor) - 1) < 5e-5)


def _last_digit(y: np.ndarray) -> float:
    """Return what the last decimal digit of numbers counts, 0 where they have more than a rounded number has."""
    for digits in range(DIGITS + 1):
        scaled = y * 10**digits
        if np.all(np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(np.abs(scaled), 1)):
            return float(10.0**-digits)
    return 0.0
