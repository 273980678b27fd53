"""The request log, by another name the access log: a JSON object for each request, which no answer waits for."""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event, Thread
from time import sleep, time
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.types import Scope

from service.http.limits import SettingError
from service.http.trace import Trace
from service.records.reader import excerpt

if TYPE_CHECKING:
    from prometheus_client import Metric

logger = logging.getLogger("bentoml.sextant")

SETTING = "SEXTANT_ACCESS_LOG"
WRITTEN_AFTER_S = 0.25
MOST_WAITING = 100_000  # requests, while nothing can be written
AT_ONCE = 4_096  # bytes that a pipe takes whole, so that the lines of several workers do not mix (PIPE_BUF of Linux)
LONGEST = 1_024  # bytes of a line, all parts of which are bounded

encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct):
    """The entry of one request; `time` is when it was answered, in UTC."""

    time: str
    method: str
    route: str
    status: int
    seconds: float
    bytes: int
    records: int
    request_id: str
    trace_id: str | None
    client: str | None


class RequestLog:
    """Collects what is said of requests, and writes it by a thread to a file, or where there is none to stdout.

    The file is opened anew at each writing, so that it may be moved away at any time.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self.lost = path, 0
        self._waiting = deque[tuple[Any, ...]]()
        self._ended = Event()
        self._write(b"")
        self._thread = Thread(target=self._run, name="request log", daemon=True)
        self._thread.start()

    def add(self, scope: Scope, route: str, status: int, size: int, seconds: float, trace: Trace) -> None:
        """Say that a request was answered; what cannot be kept until it is written is counted as lost."""
        if len(self._waiting) >= MOST_WAITING:
            self.lost += 1
            return
        self._waiting.append((time(), scope["method"], route, status, seconds, size, scope.get("client"), trace))

    def close(self) -> None:
        """Write what waits, and end."""
        self._ended.set()
        self._thread.join(5 * WRITTEN_AFTER_S)

    def collect(self) -> Iterator[Metric]:
        """Yield the number of lost lines, as prometheus_client asks for it."""
        from prometheus_client.core import CounterMetricFamily

        yield CounterMetricFamily("sextant_requests_unlogged", "Requests that the access log lacks", value=self.lost)

    def _run(self) -> None:
        while not self._ended.wait(WRITTEN_AFTER_S):
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        """Write what waits, some lines at a time: requests are answered between them."""
        lost, reason = 0, ""
        while self._waiting:
            block, lines = b"", 0
            while self._waiting and len(block) < AT_ONCE - LONGEST:
                block += _line(*self._waiting.popleft())
                lines += 1
            try:
                self._write(block)
            except OSError as error:
                lost, reason = lost + lines, str(error)
        if lost:
            self.lost += lost
            logger.warning("%s: %d lines are lost: %s", self.path or "stdout", lost, reason)

    def _write(self, block: bytes) -> None:
        if self.path is None:
            _write_whole(1, block)
            return
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            _write_whole(handle, block)
        finally:
            os.close(handle)


def open_request_log(environment: Mapping[str, str]) -> RequestLog | None:
    """Return the request log that the environment asks for, none by default; raises SettingError."""
    place = environment.get(SETTING) or "off"
    if place == "off":
        return None
    try:
        return RequestLog(None if place == "stdout" else Path(place))
    except OSError as error:
        raise SettingError(f"{SETTING}: off, stdout, or a file that can be written to; {place!r}: {error}") from None


def _line(
    at: float, method: str, route: str, status: int, seconds: float, size: int, client: Any, trace: Trace
) -> bytes:
    entry = Line(
        dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds"),
        excerpt(method),
        route,
        status,
        round(seconds, 6),
        size,
        trace.records,
        trace.request_id.decode(),
        trace.trace_id.decode() or None,
        str(client[0]) if client else None,
    )
    return encode(entry) + b"\n"


def _write_whole(handle: int, block: bytes) -> None:
    while block:
        try:
            block = block[os.write(handle, block) :]
        except BlockingIOError:
            sleep(0.01)
