"""Slices: test rows that have a value or a range of values in common, judged apart."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from ml.evaluation.slice_names import range_names, unlike, value_names
from ml.intervals.bootstrap import Estimate, Resampling, estimate, estimates, resampled_values
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.metrics import Metric

PARTS = 4  # of a column of numbers or times, of about equally many rows
FEW_VALUES = 10  # up to which each number is a value of its own
MISSING, OTHERS = "missing", "other values"  # in brackets, as no value of the column is called


class Compared(BaseModel):
    """Candidate and champion on the `rows` of a slice that the champion has not learned from.

    `difference` is the candidate's score less the champion's, better being positive. A score is NaN where the metric
    says nothing of these rows, as of one class alone the ROC does.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    candidate: Estimate
    champion: Estimate
    difference: Estimate


class Slice(BaseModel):
    """Test rows that have something in common, such as `origin = JFK`, and how well they are answered.

    `score` is the use case's metric on all of them; `against_champion` is there where a champion is compared. A slice
    was `declared`, `found` by the search for the worst, or both. Of one found, `deficit` is by how much the score is
    worse than on all test rows, or than on lists as long where rows are ranked within groups, and `p_value` how likely
    one at least as great is by chance, corrected for all that were looked at.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    value: str
    rows: int
    score: Estimate
    against_champion: Compared | None = None
    declared: bool = True
    found: bool = False
    deficit: float | None = None
    p_value: float | None = None

    @property
    def name(self) -> str:
        return f"{self.column} = {self.value}"


@dataclass(frozen=True)
class Part:
    """The positions of the rows of one slice; `rest` says that they have no value in common but are what is left."""

    column: str
    value: str
    positions: np.ndarray
    rest: bool = False


def parts(column: str, values: pd.Series, smallest: int) -> list[Part]:
    """Cut a column into slices, in the order of its values; what has fewer than `smallest` rows is put together.

    No two have the same name.
    """
    codes, names = _coded(values)
    counts = np.bincount(codes, minlength=len(names))
    large = [Part(column, names[code], np.flatnonzero(codes == code)) for code in np.flatnonzero(counts >= smallest)]
    small = np.flatnonzero((counts < smallest) & (counts > 0))
    rest = np.flatnonzero(np.isin(codes, small))
    if len(small) == 1 and len(rest) >= 2:
        return [*large, Part(column, names[small[0]], rest)]
    return [*large, Part(column, unlike(f"{len(small)} {OTHERS}", names), rest, rest=True)] if len(rest) else large


def _coded(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return the code of each row's value, and the names that the codes stand for, in their order."""
    missing = values.isna().to_numpy()
    present = values[~missing]
    numbers = pd.api.types.is_numeric_dtype(present.dtype) and not pd.api.types.is_bool_dtype(present.dtype)
    times = pd.api.types.is_datetime64_any_dtype(present.dtype)
    if (numbers or times) and present.nunique() > FEW_VALUES:
        codes_of_present, names = _ranges(present)
    else:
        distinct = sorted(present.unique(), key=lambda value: (str(type(value)), value))
        codes_of_present = pd.Categorical(present, categories=distinct).codes.astype(int)
        names = value_names(distinct)
    codes = np.full(len(values), len(names))
    codes[~missing] = codes_of_present
    return codes, [*names, unlike(MISSING, names)] if missing.any() else names


def _ranges(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Cut values into ranges of about equally many rows, each named by the least and the greatest value in it."""
    times = pd.api.types.is_datetime64_any_dtype(values.dtype)
    numbers = (values.astype("int64") if times else values).to_numpy(dtype=float)
    edges = np.unique(np.quantile(np.sort(numbers), np.arange(1, PARTS) / PARTS, method="inverted_cdf"))
    codes = np.unique(np.searchsorted(edges, numbers), return_inverse=True)[1]
    ranges = values.groupby(codes)
    return codes, range_names(list(ranges.min()), list(ranges.max()))


def judge_slice(
    metric: str,
    y: np.ndarray,
    candidate: np.ndarray,
    champion: np.ndarray | None,
    part: Part,
    fair: np.ndarray,
    resampling: Resampling,
    counting: Counting = EQUALLY,
) -> Slice:
    """Score the rows of a slice; of both models those that are `fair` [n_rows], on the same resamples."""
    at = part.positions
    both = at[fair[at]]
    compared = None
    if champion is not None:
        compared = _compared(metric, y[both], candidate[both], champion[both], resampling.at(both), counting.at(both))
    if compared is not None and compared.rows == len(at):
        score = compared.candidate
    else:
        measured = Metric.named(metric).prepare(y[at], candidate[at], counting.at(at))
        score = estimates(y[at], {"": measured}, resampling.at(at))[""]
    return Slice(column=part.column, value=part.value, rows=len(at), score=score, against_champion=compared)


_UNKNOWN = Estimate(value=float("nan"), low=float("nan"), high=float("nan"))


def _compared(
    metric: str,
    y: np.ndarray,
    candidate: np.ndarray,
    champion: np.ndarray,
    resampling: Resampling,
    counting: Counting,
) -> Compared:
    if len(y) == 0:
        return Compared(rows=0, candidate=_UNKNOWN, champion=_UNKNOWN, difference=_UNKNOWN)
    rule, ones = Metric.named(metric), np.ones(len(y))
    measured = {"candidate": rule.prepare(y, candidate, counting), "champion": rule.prepare(y, champion, counting)}
    values = resampled_values(y, measured, resampling)
    exact = {name: float(function(ones)) for name, function in measured.items()}
    apart = rule.sign * (values["candidate"] - values["champion"])
    return Compared(
        rows=len(y),
        candidate=estimate(exact["candidate"], values["candidate"], resampling),
        champion=estimate(exact["champion"], values["champion"], resampling),
        difference=estimate(rule.sign * (exact["candidate"] - exact["champion"]), apart, resampling),
    )


def columns_of(names: Collection[str], matrix: pd.DataFrame, source: pa.Table, keys: list[str]) -> dict[str, pd.Series]:
    """Look up columns' values of the rows of a feature matrix: by key in the examples' table, else among features."""
    of_source = [name for name in names if name in source.column_names and [name] != keys]
    frame = source.select(list(dict.fromkeys([*keys, *of_source]))).to_pandas().set_index(keys, drop=len(keys) == 1)
    at_key = frame.reindex(matrix[keys[0]] if len(keys) == 1 else pd.MultiIndex.from_frame(matrix[keys]))
    return {name: (at_key if name in of_source else matrix)[name].reset_index(drop=True) for name in names}
