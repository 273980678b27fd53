"""Metrics: requests by route, as Prometheus reads them; their number of series has a bound, whatever is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own: where the workers of a service put their figures
ELSEWHERE = "elsewhere"  # the label of all paths that are no route
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RECORDS = (1, 10, 100, 1_000, 10_000, 100_000)


class Metrics:
    """The figures of an application; with several workers, those of all of them."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "sextant_request_seconds",
            "Time from a request to its answer, by route and status",
            ["route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._records = Histogram(
            "sextant_request_records", "Records of a scored request", buckets=RECORDS, registry=self.registry
        )
        self._warned = Counter("sextant_warned_records", "Records answered with a warning", registry=self.registry)
        self._children: dict[tuple[str, int], Any] = {}  # labels() would look for each anew, which takes longer

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        child = self._children.get((route, status))
        if child is None:
            child = self._children[route, status] = self._seconds.labels(route, status)
        child.observe(seconds)

    def scored(self, warnings: Sequence[Sequence[str]]) -> None:
        """Count the records of a request, by the warnings of each."""
        self._records.observe(len(warnings))
        if warned := sum(map(bool, warnings)):
            self._warned.inc(warned)

    def page(self, state: State) -> Response:
        """Return the figures, beside the `state` of this process."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        shown: CollectorRegistry = CollectorRegistry()
        if os.environ.get(FOLDER):
            MultiProcessCollector(shown)  # type: ignore[no-untyped-call]
        else:
            shown.register(self.registry)
        shown.register(state)
        return Response(generate_latest(shown), headers={"content-type": CONTENT_TYPE_LATEST})


class State:
    """The state of a process at the moment: whether it is ready, and the model that it has."""

    def __init__(self, ready: bool, model: dict[str, str]) -> None:
        self.ready, self.model = ready, model

    def collect(self) -> Iterator[Metric]:
        """Yield the figures, as prometheus_client asks for them."""
        from prometheus_client.core import GaugeMetricFamily

        yield GaugeMetricFamily("sextant_ready", "Whether requests should come here", value=float(self.ready))
        info = GaugeMetricFamily("sextant_model_info", "The model that answers", labels=list(self.model))
        if self.model:
            info.add_metric(list(self.model.values()), 1.0)
        yield info
