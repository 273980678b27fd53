"""Metrics: requests by route, as Prometheus reads them; their number of series has a bound, whatever is asked."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import Response

from service.history.heard import Heard
from service.http.tallies import Tallies, Tally
from service.predict.predictor import Prediction, Predictor
from service.predict.rows import Scored

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.samples import Sample

logger = logging.getLogger("bentoml.sextant")

ELSEWHERE = "elsewhere"  # the label of all paths that are no route
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RECORDS = (1, 10, 100, 1_000, 10_000, 100_000)
# The kinds of errors that their status tells.
KINDS = {
    400: "unreadable",
    401: "unauthorized",
    403: "forbidden",
    404: "no_route",
    405: "no_method",
    408: "too_slow",
    413: "too_large",
    415: "content_type",
    422: "invalid",
    429: "overloaded",
    499: "client_gone",
    500: "failed",
    501: "unexplained",
    503: "not_ready",
}
SHARED_AFTER_S = 1.0  # that the other workers' figures may be old
SHARED_AT_LEAST_AFTER_S = 15.0  # the same, where they are not asked anything


class Collector(Protocol):
    """Yields figures, as prometheus_client asks for them."""

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of the moment."""
        ...


class Metrics:
    """The figures of a process, and through a folder those of all workers of its service.

    They are counted in memory, and only now and then written: prometheus_client's own files take a tenth of a request.
    """

    def __init__(self, folder: Path | None = None) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._folder, self._shared_soon = folder, False
        self._timer: asyncio.TimerHandle | None = None
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "sextant_request_seconds",
            "Time from a request to its answer, by route and status",
            ["route", "status"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._lists = Histogram(
            "sextant_list_records", "Records of a scored list", buckets=RECORDS, registry=self._registry
        )
        self._warned = Counter("sextant_warned_records", "Records answered with a warning", registry=self._registry)
        self._errors = Counter(
            "sextant_errors", "Requests that got an error, by kind", ["kind"], registry=self._registry
        )
        self._children: dict[tuple[str, int], Any] = {}  # labels() would look for each anew, which takes longer
        self.tallies = Tallies()
        self.add(self.tallies)

    def add(self, collector: Collector) -> None:
        """Show the figures of a collector of prometheus_client's too, as sums over all workers."""
        self._registry.register(collector)

    def answered(self, route: str, status: int, seconds: float, refusal: str = "") -> None:
        """Count a request that was answered, and where that is an error, by its kind."""
        if status >= 400:
            self._errors.labels(refusal or KINDS.get(status, "other")).inc()
        child = self._children.get((route, status))
        if child is None:
            child = self._children[route, status] = self._seconds.labels(route, status)
        child.observe(seconds)
        if self._folder is not None and not self._shared_soon:
            self._shared_soon = True
            self._share_after(SHARED_AFTER_S)

    def scored(self, predictor: Predictor, prediction: Prediction, single: bool) -> None:
        """Count the records of a request, and what they were answered; a single one is no list."""
        if not single:
            self._lists.observe(len(prediction.scores))
        if warned := sum(map(bool, prediction.warnings)):
            self._warned.inc(warned)
        self.tallies.add(predictor, prediction)

    def scored_rows(self, predictor: Predictor, tally: Tally, scored: Scored) -> None:
        """Count the rows of a table, of which a tally of their own has all but the warnings."""
        self._lists.observe(len(scored.scores))
        self._warned.inc(len(scored.warned))
        tally.warn(scored.warned.values())
        self.tallies.of(predictor).merge(tally)

    def share(self) -> str:
        """Write the figures of this process to where the other workers find them, and return them."""
        from prometheus_client import generate_latest

        assert self._folder is not None
        self._shared_soon = False
        file, figures = self._folder / f"{os.getpid()}.prom", generate_latest(self._registry)
        try:
            file.with_suffix(".new").write_bytes(figures)
            file.with_suffix(".new").replace(file)
        except OSError as error:
            logger.warning("the other workers do not hear of the figures of this one: %s", error)
        return figures.decode()

    def _share_after(self, pause_s: float) -> None:
        """Share figures in some seconds, and again in longer and longer ones: logs and shadows work behind requests."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._share_and_again, pause_s)

    def _share_and_again(self, pause_s: float) -> None:
        self.share()
        self._share_after(min(2 * pause_s, SHARED_AT_LEAST_AFTER_S))

    def page(self, state: State) -> Response:
        """Return the figures, beside the `state` of this process."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        shown = CollectorRegistry()
        if self._folder is None:
            shown.register(self._registry)
        else:
            shown.register(Shared(self._folder, {os.getpid(): self.share()}))
        shown.register(state)
        return Response(generate_latest(shown), headers={"content-type": CONTENT_TYPE_LATEST})


class Shared:
    """The sums of the figures that the workers of a service have written, those that have ended among them."""

    def __init__(self, folder: Path, known: Mapping[int, str] | None = None) -> None:
        self._folder, self._known = folder, known or {}  # by process, those that need no reading

    def collect(self) -> Iterator[Metric]:
        """Yield the sums, as prometheus_client asks for them."""
        from prometheus_client.parser import text_string_to_metric_families

        metrics: dict[str, Metric] = {}
        sums: dict[str, dict[Any, Sample]] = {}
        processes = {int(file.stem): file for file in self._folder.glob("*.prom")}
        for process in sorted({*processes, *self._known}):
            figures = self._known.get(process) or processes[process].read_text()
            for metric in text_string_to_metric_families(figures):
                if metric.type == "gauge" and not _is_alive(process):
                    continue  # what waited in it is lost
                metrics.setdefault(metric.name, metric)
                known = sums.setdefault(metric.name, {})
                for sample in metric.samples:
                    key = sample.name, tuple(sample.labels.items())
                    value = sample.value + (known[key].value if key in known else 0.0)
                    known[key] = sample._replace(value=value)
        for name, metric in metrics.items():
            metric.samples = list(sums[name].values())
            yield metric


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class State:
    """The state of a process at the moment: whether it is ready, the model that it has, and what it has heard."""

    def __init__(
        self, ready: bool, model: dict[str, str], refused: bool | None = None, heard: Iterable[Heard] = ()
    ) -> None:
        self.ready, self.model, self.heard = ready, model, heard
        self.refused = refused  # what the use case was promoted to; None: this process follows nobody

    def collect(self) -> Iterator[Metric]:
        """Yield the figures, as prometheus_client asks for them."""
        from prometheus_client.core import GaugeMetricFamily

        yield GaugeMetricFamily("sextant_ready", "Whether requests should come here", value=float(self.ready))
        info = GaugeMetricFamily("sextant_model_info", "The model that answers", labels=list(self.model))
        if self.model:
            info.add_metric(list(self.model.values()), 1.0)
        yield info
        if self.refused is not None:
            described = "Whether the champion could not be served, and another version still is"
            yield GaugeMetricFamily("sextant_champion_refused", described, value=float(self.refused))
        yield from self._heard()

    def _heard(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        labels = ["table", "time"]
        newest = GaugeMetricFamily("sextant_history_newest_seconds", "The newest time heard of", labels=labels)
        usual = GaugeMetricFamily("sextant_history_usual_seconds", "The longest silence that is usual", labels=labels)
        for heard in self.heard:
            values = [heard.source.table, heard.source.time]
            if (seconds := heard.newest_seconds) is not None:
                newest.add_metric(values, seconds)
            if heard.source.within_s is not None:
                usual.add_metric(values, heard.source.within_s)
        yield from (newest, usual)
