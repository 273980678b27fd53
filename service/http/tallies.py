"""Tallies: what a model was asked and has answered, counted so that a request hardly takes longer for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from service.predict.features import Matrices
from service.predict.observed import Part
from service.predict.predictor import Prediction, Predictor

if TYPE_CHECKING:
    from prometheus_client import Metric

SHARES = tuple(round(0.05 * step, 2) for step in range(1, 21))  # the upper bounds of the buckets of probabilities
COUNTED_AT_ONCE = 500  # rows whose numbers wait to be counted together
FEW = 8
ONES = (1,) * FEW
MOST_MODELS = 4  # that are shown beside each other, the last ones

YES, NO = "yes", "no"


class Scores:
    """A histogram of scores, and how often each decision was made; of several targets there is one for each."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = [*bounds, float("inf")]
        self.counts, self.sum = np.zeros(len(self.bounds), np.int64), 0.0
        self.decisions = Counter[str]()

    def add(self, scores: NDArray[np.float64]) -> None:
        """Count some scores."""
        self.counts += np.bincount(np.searchsorted(self.bounds, scores), minlength=len(self.bounds))
        self.sum += float(scores.sum())

    def merge(self, other: Scores) -> None:
        """Count what another histogram of the same bounds has counted."""
        self.counts += other.counts
        self.sum += other.sum
        self.decisions.update(other.decisions)

    def decide(self, yes: NDArray[np.bool_]) -> None:
        """Count some decisions of yes and no."""
        count = int(yes.sum())
        self.decisions.update({YES: count, NO: len(yes) - count})


class Tally:
    """The figures of one model: values, those that are missing or unknown by feature, warnings, scores, decisions.

    Numbers are looked at only once there are many, or when somebody asks.
    """

    def __init__(self, predictor: Predictor) -> None:
        inputs = predictor.model.inputs
        self.name, self.task, self.thresholds = predictor.name, predictor.plan.task, predictor.thresholds
        self.rows = 0
        self.numeric, self.categorical = list(inputs.numeric), list(inputs.categorical)
        self.missing = Counter[str](dict.fromkeys([*self.numeric, *self.categorical], 0))
        known = [predictor.model.categories.get(name) for name in self.categorical]
        self.unknown = Counter[str]({name: 0 for name, levels in zip(self.categorical, known, strict=True) if levels})
        self.warnings = Counter[tuple[str, str]]()
        bounds = predictor.model.quantiles if self.task.kind == "regression" else SHARES
        self.scores = {target: Scores(bounds) for target in self.task.targets or ("",)}
        self._levels = [None if levels is None else frozenset(levels) for levels in known]
        self._has_no_texts = not inputs.texts
        self._lock = Lock()
        self._numbers, self._scores = list[NDArray[np.float32]](), list[Any]()

    def add(self, prediction: Prediction) -> None:
        """Count what one request was answered."""
        with self._lock:
            self.rows += len(prediction.scores)
            self._scores += prediction.scores
            self.warn(prediction.warnings)
            self._add_parts(prediction.parts)
            if len(self._scores) >= COUNTED_AT_ONCE:
                self._count()

    def add_part(self, part: Part) -> None:
        """Count some of many rows but for their warnings, which are counted once all are known."""
        with self._lock:
            self.rows += len(part.places)
            self._count_scores(part.scores)
            self._add_parts(part.matrices)
            self._count()

    def warn(self, warnings: Iterable[Sequence[str]]) -> None:
        """Count the warnings of some records."""
        for notices in warnings:
            for text in notices:
                self.warnings[getattr(text, "kind", "other"), getattr(text, "about", "")] += 1

    def merge(self, other: Tally) -> None:
        """Count what another tally of the same model has counted."""
        with self._lock:
            self.rows += other.rows
            for name in ("missing", "unknown", "warnings"):
                getattr(self, name).update(getattr(other, name))
            for target, scores in other.scores.items():
                self.scores[target].merge(scores)

    def _add_parts(self, parts: Sequence[Matrices]) -> None:
        for part in parts:
            if self.categorical:
                self._add_categories(part.categorical)
            if self.numeric:
                self._numbers.append(part.numeric if self._has_no_texts else part.numeric[:, : len(self.numeric)])

    def shown(self) -> Tally:
        """Return this tally once all is counted."""
        with self._lock:
            self._count()
        return self

    def _add_categories(self, rows: NDArray[np.object_]) -> None:
        """Count at once, as texts may be long, and should not wait."""
        few = len(rows) <= FEW  # whose texts take longer to be brought together than to be looked at
        for name, levels, texts in zip(self.categorical, self._levels, rows.T.tolist(), strict=True):
            for text, count in zip(texts, ONES, strict=False) if few else Counter[str](texts).items():
                if not text:
                    self.missing[name] += count
                elif levels is not None and text not in levels:
                    self.unknown[name] += count

    def _count(self) -> None:
        """Count the numbers that wait."""
        if self._numbers:
            missing = np.isnan(np.concatenate(self._numbers)).sum(axis=0)
            self.missing.update(dict(zip(self.numeric, missing.tolist(), strict=True)))
        if self._scores:
            self._count_scores(np.array(self._scores))
        self._numbers.clear()
        self._scores.clear()

    def _count_scores(self, scores: NDArray[np.float64]) -> None:
        """Count scores [n_rows], or of many classes or targets [n_rows, n_answers]."""
        if self.task.kind == "multiclass":
            counted = self.scores[""]
            counted.add(scores.max(axis=1))
            places = np.bincount(scores.argmax(axis=1), minlength=len(self.task.classes))
            counted.decisions.update(dict(zip(self.task.classes, places.tolist(), strict=True)))
            return
        columns = scores.T if self.task.targets else [scores]
        for at, (counted, column) in enumerate(zip(self.scores.values(), columns, strict=True)):
            counted.add(column)
            if self.thresholds:
                counted.decide(column >= self.thresholds[at])


class Tallies:
    """The tallies of the models that a process has answered with; of many in turn, those of the last ones."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def add(self, predictor: Predictor, prediction: Prediction) -> None:
        """Count what one request was answered by a predictor."""
        self.of(predictor).add(prediction)

    def of(self, predictor: Predictor) -> Tally:
        """Return the tally of a predictor."""
        tally = self._tallies.get(predictor.name)
        return self.show(predictor) if tally is None else tally

    def show(self, predictor: Predictor) -> Tally:
        """Show the figures of a model, all 0 until it has answered."""
        tally = self._tallies.setdefault(predictor.name, Tally(predictor))
        for name in list(self._tallies)[:-MOST_MODELS]:
            self._tallies.pop(name, None)
        return tally

    def collect(self) -> Iterator[Metric]:
        """Yield the figures, as prometheus_client asks for them."""
        from prometheus_client.core import CounterMetricFamily as Count
        from prometheus_client.core import HistogramMetricFamily as Histogram

        records = Count("sextant_records", "Records that were answered", labels=["model"])
        missing = Count("sextant_missing_values", "Records without a value, by feature", labels=["model", "feature"])
        unknown = Count("sextant_unknown_values", "Records with a category unknown to it", labels=["model", "feature"])
        warnings = Count("sextant_warnings", "Warnings, by kind and column or table", labels=["model", "kind", "about"])
        scores = Histogram("sextant_score", "Scores; of classes the greatest one", labels=["model", "target"])
        decisions = Count("sextant_decisions", "Decisions, or classes", labels=["model", "target", "decision"])
        for name, tally in [(name, tally.shown()) for name, tally in list(self._tallies.items())]:
            records.add_metric([name], tally.rows)
            for feature, count in tally.missing.items():
                missing.add_metric([name, feature], count)
            for feature, count in tally.unknown.items():
                unknown.add_metric([name, feature], count)
            for (kind, about), count in sorted(tally.warnings.items()):
                warnings.add_metric([name, kind, about], count)
            for target, counted in tally.scores.items():
                cumulated = zip(counted.bounds, accumulate(counted.counts.tolist()), strict=True)
                buckets = [("+Inf" if bound == float("inf") else repr(bound), count) for bound, count in cumulated]
                scores.add_metric([name, target], buckets, None)
                # which prometheus_client leaves out where a bound is negative
                for part, value in (("count", int(counted.counts.sum())), ("sum", counted.sum)):
                    scores.add_sample(f"sextant_score_{part}", {"model": name, "target": target}, value)
                for decision, count in sorted(counted.decisions.items()):
                    decisions.add_metric([name, target, decision], count)
        yield from (records, missing, unknown, warnings, scores, decisions)
