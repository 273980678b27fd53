"""Figures by version: how long each takes to answer, and what a shadow would have answered otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import Metric

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
DIFFERENCES = (0.0, 1e-6, 1e-4, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
MOST_MODELS = 4  # whose figures are shown, the last ones


class Figures:
    """Counts by model; of many in turn the first ones are forgotten, so that the number of series has a bound."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Histogram

        self._seconds = Histogram(
            "sextant_model_seconds",
            "Time to score the records of a request, by model",
            ["model"],
            buckets=SECONDS,
            registry=None,
        )
        self._compared = Counter(
            "sextant_shadow_records",
            "Records of a shadow: same, another score or decision, refused, failed, or dropped as it lags behind",
            ["model", "outcome"],
            registry=None,
        )
        self._differences = Histogram(
            "sextant_shadow_difference",
            "Differences of the scores of a shadow from those that were answered",
            ["model"],
            buckets=DIFFERENCES,
            registry=None,
        )
        self._models: dict[str, Any] = {}
        self._lock = Lock()

    def scored(self, model: str, seconds: float) -> None:
        """Count a request that a model has scored."""
        (self._models.get(model) or self._begin(model)).observe(seconds)

    def shadowed(self, model: str, outcome: str, count: int) -> None:
        """Count records that a shadow could not compare."""
        self._begin(model)
        self._compared.labels(model, outcome).inc(count)

    def compared(self, model: str, differences: Sequence[float], decisions_differ: Sequence[bool]) -> None:
        """Count records by how far the score of a shadow is from that which was answered."""
        self._begin(model)
        child = self._differences.labels(model)
        for difference, differs in zip(differences, decisions_differ, strict=True):
            child.observe(difference)
            self._compared.labels(model, "decision" if differs else "score" if difference else "same").inc()

    def collect(self) -> Iterator[Metric]:
        """Yield the figures, as prometheus_client asks for them."""
        for metric in (self._seconds, self._compared, self._differences):
            yield from metric.collect()

    def _begin(self, model: str) -> Any:
        """Show the figures of a model, and forget those of the first ones."""
        with self._lock:
            if model not in self._models:
                self._models[model] = self._seconds.labels(model)
                for forgotten in list(self._models)[:-MOST_MODELS]:
                    del self._models[forgotten]
                    for metric in (self._seconds, self._compared, self._differences):
                        metric.remove_by_labels({"model": forgotten})
            return self._models[model]
