"""Slices: test rows that have a value or a range of values in common, judged apart."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from ml.bootstrap import Estimate, Resampling, estimate, estimates, resampled
from ml.metrics import METRICS
from ml.spec import UseCaseSpec
from ml.sql import DataError

PARTS = 4  # of a column of numbers or times, of about equally many rows
FEW_VALUES = 10  # up to which each number is a value of its own
MISSING, OTHERS = "missing", "other values"


class Slice(BaseModel):
    """Test rows that have something in common, such as `origin = JFK`, and how well they are answered.

    `score` is the use case's metric on them; `found` says whether the slice was looked for, and not declared. Of a
    slice found, `deficit` is by how much the score is worse than on all rows, and `p_value` how likely one at least as
    great is by chance, corrected for all that were looked at.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    value: str
    rows: int
    score: Estimate
    found: bool = False
    deficit: float | None = None
    p_value: float | None = None

    @property
    def name(self) -> str:
        return f"{self.column} = {self.value}"


@dataclass(frozen=True)
class Part:
    """The positions of the rows of one slice."""

    column: str
    value: str
    positions: np.ndarray


@dataclass(frozen=True)
class Judged:
    """The candidate's score on a slice, the champion's, and how much better the candidate is, with intervals."""

    candidate: Estimate
    champion: Estimate | None = None
    difference: Estimate | None = None


def parts(column: str, values: pd.Series, smallest: int) -> list[Part]:
    """The slices of a column, in the order of its values; what has fewer than `smallest` rows is put together."""
    codes, names = _coded(values)
    counts = np.bincount(codes, minlength=len(names))
    large = [Part(column, names[code], np.flatnonzero(codes == code)) for code in np.flatnonzero(counts >= smallest)]
    small = np.flatnonzero((counts < smallest) & (counts > 0))
    rest = np.flatnonzero(np.isin(codes, small))
    if len(small) == 1 and len(rest) >= 2:
        return [*large, Part(column, names[small[0]], rest)]
    return [*large, Part(column, f"{OTHERS} ({len(small)})", rest)] if len(rest) else large


def _coded(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The code of each row's value, and what the codes stand for, in their order."""
    missing = values.isna().to_numpy()
    known = values[~missing]
    numbers = pd.api.types.is_numeric_dtype(known.dtype) and not pd.api.types.is_bool_dtype(known.dtype)
    times = pd.api.types.is_datetime64_any_dtype(known.dtype)
    if (numbers or times) and known.nunique() > FEW_VALUES:
        of_known, names = _ranges(known)
    else:
        distinct = sorted(known.unique(), key=lambda value: (str(type(value)), value))
        of_known = pd.Categorical(known, categories=distinct).codes.astype(int)
        names = [_said(value) for value in distinct]
    codes = np.full(len(values), len(names))
    codes[~missing] = of_known
    return codes, [*names, MISSING] if missing.any() else names


def _ranges(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Ranges of about equally many rows, each named by the least and the greatest value in it."""
    found = values.to_numpy()
    edges = np.unique(np.quantile(np.sort(found).astype(float), np.arange(1, PARTS) / PARTS, method="inverted_cdf"))
    codes = np.unique(np.searchsorted(edges, found.astype(float)), return_inverse=True)[1]
    each = values.groupby(codes)
    return codes, [f"{_said(low)} to {_said(high)}" for low, high in zip(each.min(), each.max(), strict=True)]


def _said(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    return str(value)


def judge_slice(
    metric: str,
    y: np.ndarray,
    candidate: np.ndarray,
    champion: np.ndarray | None,
    part: Part,
    fair: np.ndarray,
    how: Resampling,
) -> Judged:
    """The metric on the rows of a slice; of both models on those that are `fair` [n_rows], on the same resamples."""
    rule, at = METRICS[metric], part.positions
    both = at[fair[at]]
    if champion is None or len(both) < len(at):
        alone = estimates(y[at], {"": rule.prepare(y[at], candidate[at])}, how)[""]
        if champion is None or len(both) == 0:
            return Judged(alone)
    measured = {"candidate": rule.prepare(y[both], candidate[both]), "champion": rule.prepare(y[both], champion[both])}
    values, ones = resampled(y[both], measured, how), np.ones(len(both))
    exact = {name: float(function(ones)) for name, function in measured.items()}
    found = {name: estimate(exact[name], values[name], how) for name in exact}
    of_candidate = found["candidate"] if len(both) == len(at) else alone
    if np.isnan(exact["champion"]):
        return Judged(of_candidate)
    apart = rule.sign * (values["candidate"] - values["champion"])
    difference = estimate(rule.sign * (exact["candidate"] - exact["champion"]), apart, how)
    return Judged(of_candidate, found["champion"], difference)


def columns_of(names: Collection[str], matrix: pd.DataFrame, source: pa.Table, key: str) -> dict[str, pd.Series]:
    """The named columns' values of the rows of a feature matrix: by key from the examples' table, else features."""
    of_source = [name for name in names if name in source.column_names and name != key]
    at_key = source.select([key, *dict.fromkeys(of_source)]).to_pandas().set_index(key).reindex(matrix[key])
    return {name: (at_key if name in of_source else matrix)[name].reset_index(drop=True) for name in names}


def require_slice_columns(where: str, spec: UseCaseSpec, allowed: Collection[str]) -> None:
    """Raises DataError if evaluation.slices or evaluation.sensitive name what is no column and no feature."""
    named = {"evaluation.slices": spec.evaluation.slices, "evaluation.sensitive": spec.evaluation.sensitive}
    for place, columns in named.items():
        if missing := sorted(set(columns) - set(allowed)):
            raise DataError(
                f"{where}: {place} names {missing}, which are neither columns of the table nor features; allowed: "
                f"{', '.join(sorted(allowed))}"
            )
