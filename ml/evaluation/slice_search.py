"""The slices of test rows on which a model is worst, among all values and ranges of its features.

A slice is one where the use case's metric is worse than on all rows by a size that matters, and by more than chance
explains: a one-sided t-test of the deficit over its bootstrap standard error, whose p-values are corrected for all
slices looked at (Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
Statistics 6). The standard error is at least what as many rows, drawn from all, would have: the slice of a feature that
tells nothing is such a draw, and the rows of a slice that is wrong throughout do not vary among themselves.

Of a metric of the order within groups, or of the first so many rows, a slice is compared with lists of as many rows,
drawn from all: how good an order can be depends on how many rows it has.

So among features that tell nothing a slice is found in at most about one evaluation of twenty. A feature that does tell
something is another matter for a metric that ranks: within a range of it, rows are more alike and harder to rank than
all rows, so that the area under the ROC curve is lower there even of a model without fault. Such a slice is a true
finding of a lower score, not of a fault of the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

import numpy as np
import pandas as pd

from ml.evaluation.drawn_lists import DrawnLists
from ml.evaluation.slices import Part, parts
from ml.intervals.bootstrap import Resampling, independent_draws, resampled_values
from ml.tasks.counting import EQUALLY, Counting
from ml.tasks.metrics import Metric, score

ALPHA = 0.05
LEAST_LOST = 0.1  # share of what the model gains over the baseline that must be lost on a slice to matter
MOST_TESTED = 40  # slices whose standard error is computed: the most striking ones
RESAMPLES = 200  # behind a standard error, which is then known to 5%
LISTS = 4  # that are drawn for each of a slice: what they are worth is then known to half of the error of the slice
SAMPLES = 16  # of as many rows as a slice, which also say how far its metric varies by chance
SAME = 0.3  # share of the rows of both together that two slices have in common, from which on they are one finding


@dataclass(frozen=True)
class WeakSlice:
    """A slice on which the metric is worse than on all rows, or on lists as long, by `deficit`, in its own units."""

    part: Part
    deficit: float
    p_value: float = 1.0


@dataclass(frozen=True)
class Searched:
    """The worst slices, and how many were looked at."""

    findings: tuple[WeakSlice, ...]
    looked_at: int


@dataclass(frozen=True)
class Search:
    """The subject of a search: answers p to rows of labels y by a metric; a deficit below `least` is none."""

    metric: str
    y: np.ndarray
    p: np.ndarray
    least: float
    smallest: int
    seed: int
    counting: Counting = EQUALLY

    def p_value(self, finding: WeakSlice) -> float:
        """Return the probability that one slice has a deficit at least as great by chance."""
        from scipy.stats import t

        at = finding.part.positions
        drawn = independent_draws(self.y[at], self.counting.at(at).groups)
        error = max(self._error(at), self._error_by_chance(at)) * (1 + self._lists_unknown) ** 0.5
        drawn = min(drawn, SAMPLES) if self._rule.by_number else drawn  # the error is that of so many values
        if drawn < 2 or not error > 0:
            return 1.0
        return float(t.sf(finding.deficit / error, drawn - 1))

    @cached_property
    def _error_of_all(self) -> float:
        return self._error(np.arange(len(self.y)))

    def _error_by_chance(self, at: np.ndarray) -> float:
        """Return the standard error that as many rows, drawn from all, have."""
        if self._rule.by_number:
            return float(np.std(self._samples(at), ddof=1))
        return self._error_of_all * float(np.sqrt(len(self.y) / len(at)))

    @property
    def _rule(self) -> Metric:
        return Metric.named(self.metric)

    @property
    def _lists_unknown(self) -> float:
        """The variance of what is expected of a slice, as a share of its own."""
        return 1 / LISTS if self._lists is not None else 1 / SAMPLES if self._rule.by_number else 0.0

    @cached_property
    def _score_of_all(self) -> float:
        return self.score(np.arange(len(self.y)))

    @cached_property
    def _lists(self) -> DrawnLists | None:
        groups = self.counting.groups if self._rule.by_group else None
        return None if groups is None else DrawnLists(groups, self.seed)

    def expected(self, at: np.ndarray) -> float:
        """Return what the metric of rows like these, drawn from all, would be: that of all, or of lists as long."""
        if self._lists is not None and self.counting.groups is not None:
            drawn, lists = self._lists.like(self.counting.groups[at], LISTS, self.seed)
            return score(self.metric, self.y[drawn], self.p[drawn], replace(self.counting.at(drawn), groups=lists))
        return fmean(self._samples(at)) if self._rule.by_number else self._score_of_all

    def _samples(self, at: np.ndarray) -> list[float]:
        """Return the metric of samples of as many rows as these, drawn from all."""
        rows, random = len(at), np.random.default_rng(self.seed)
        if rows not in self._of_samples:
            drawn = (random.permutation(len(self.y))[:rows] for _ in range(SAMPLES))
            self._of_samples[rows] = [self.score(positions) for positions in drawn]
        return self._of_samples[rows]

    @cached_property
    def _of_samples(self) -> dict[int, list[float]]:
        return {}

    def score(self, at: np.ndarray) -> float:
        """Return the metric of some rows."""
        return score(self.metric, self.y[at], self.p[at], self.counting.at(at))

    def _error(self, at: np.ndarray) -> float:
        """Return the bootstrap standard error of the metric on some rows (Efron and Tibshirani 1993, chapter 6).

        NaN where resamples tell nothing, as those of one group alone do.
        """
        of_rows = self.counting.at(at)
        measured = {"": Metric.named(self.metric).prepare(self.y[at], self.p[at], of_rows)}
        how = Resampling(RESAMPLES, seed=self.seed, groups=of_rows.groups)
        values = resampled_values(self.y[at], measured, how)[""]
        known = values[~np.isnan(values)]
        return float(known.std(ddof=1)) if len(known) > 1 else float("nan")


def worst_slices(matrix: pd.DataFrame, features: Sequence[str], search: Search, most: int) -> Searched:
    """Search for at most `most` slices, the greatest deficit first, no two of about the same rows."""
    looked_at = list(_parts(matrix, features, search.smallest)) if most else []
    striking = _striking(looked_at, search)
    p_values = [search.p_value(finding) for finding in striking]
    corrected = _holm(np.array(p_values + [1.0] * (len(looked_at) - len(striking))))
    findings = [
        WeakSlice(finding.part, finding.deficit, float(p_value))
        for finding, p_value in zip(striking, corrected, strict=False)
        if p_value <= ALPHA
    ]
    findings.sort(key=lambda finding: (-finding.deficit, finding.part.column, finding.part.value))
    return Searched(tuple(_distinct(findings, len(search.y), most)), len(looked_at))


def _parts(matrix: pd.DataFrame, features: Sequence[str], smallest: int) -> Iterator[Part]:
    for name in features:
        for part in parts(name, matrix[name], smallest):
            if smallest <= len(part.positions) < len(matrix) and not part.rest:
                yield part


def _striking(looked_at: Sequence[Part], search: Search) -> list[WeakSlice]:
    """Return the slices with a deficit that matters, those first that chance explains least."""
    sign, findings = Metric.named(search.metric).sign, list[WeakSlice]()
    for part in looked_at:
        deficit = sign * (search.expected(part.positions) - search.score(part.positions))
        if deficit > 0 and deficit >= search.least:
            findings.append(WeakSlice(part, deficit))
    findings.sort(key=_striking_first)
    return findings[:MOST_TESTED]


def _striking_first(finding: WeakSlice) -> tuple[float, str, str]:
    part = finding.part
    return -finding.deficit * len(part.positions) ** 0.5, part.column, part.value


def _holm(p_values: np.ndarray) -> np.ndarray:
    """Multiply the p-values by how many are not smaller; the products never fall, and are at most 1."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def _distinct(findings: list[WeakSlice], rows: int, most: int) -> list[WeakSlice]:
    """Return the first `most` slices, leaving out those of about the same rows as one before."""
    distinct: list[WeakSlice] = []
    masks: list[np.ndarray] = []
    for finding in findings:
        mask = np.zeros(rows, dtype=bool)
        mask[finding.part.positions] = True
        if len(distinct) < most and all((mask & other).sum() <= SAME * (mask | other).sum() for other in masks):
            distinct.append(finding)
            masks.append(mask)
    return distinct
