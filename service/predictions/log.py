"""The prediction log: what was answered, gathered in memory and written by a thread that no answer waits for."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import chain, repeat
from secrets import token_hex
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet
from zlib import crc32

import msgspec

from service.predict.features import Matrices
from service.predict.observed import Part
from service.predict.predictor import Prediction, Predictor
from service.predict.rows import Rows
from service.predictions.layout import Layout, Row
from service.predictions.settings import (
    NAMES,
    PredictionSettingError,
    PredictionSettings,
    check_columns,
    read_settings,
)
from service.predictions.store import Store
from service.records.reader import Record

if TYPE_CHECKING:
    import pyarrow as pa
    from prometheus_client import Metric

logger = logging.getLogger("bentoml.sextant")

LOOKED_AFTER_S = 0.2
ROWS_AT_ONCE = 200  # that are made columns, about a millisecond, before answers have their turn
LONGEST_WAIT_S = 30.0  # between two tries, while the store is away
SAID_AFTER_S = 60.0  # between two lines of the log about losses
CLOSED_AFTER_S = 10.0  # from when the last files, at the end of a service, are given up
REASONS = ("full", "failed", "ended")


class Answered(msgspec.Struct, frozen=True, eq=False, weakref=True):
    """The answer to one request, and about how many bytes it takes while it waits."""

    layout: Layout
    at_us: int
    request: bytes
    ids: Sequence[str]
    keys: Sequence[Any]
    records: Sequence[Record]
    scores: Sequence[Any]
    warnings: Sequence[Sequence[str]]
    parts: Sequence[Matrices]
    size: int

    def rows(self, share: float) -> list[Row]:
        """Return the records of a share of the predictions."""
        count = len(self.scores)
        numbers: Iterable[Any] = repeat(None, count)
        categories: Iterable[Any] = repeat(None, count)
        if self.parts:
            numbers = chain.from_iterable(part.numeric for part in self.parts)
            categories = chain.from_iterable(part.categorical for part in self.parts)
        keys = self.keys or repeat(None, count)
        columns = self.ids, keys, self.records, self.scores, self.warnings, numbers, categories
        alike = repeat(self.at_us, count), repeat(self.request, count)
        rows: list[Row] = list(zip(*alike, *columns, strict=True))
        return rows if share == 1.0 else [row for row in rows if crc32(row[2].encode()) < share * 2**32]


class File(NamedTuple):
    """A file that is to be written, and the number of rows in it."""

    path: str
    content: pa.Buffer
    rows: int


class PredictionLog:
    """Keeps what was answered until it is in the store, as long as it has room for it; what it loses is counted.

    Its thread makes columns of what has been answered every moment, and files of them every `seconds`; where the
    store does not take these, they wait.
    """

    def __init__(self, settings: PredictionSettings, store: Store | None = None) -> None:
        import pyarrow.parquet  # noqa: F401  # a Bento without it should say so at its start

        self.settings, self.store = settings, store or Store(settings.url)
        self.written, self.rows_waiting, self.bytes_waiting = 0, 0, 0
        self.lost = Counter[str](dict.fromkeys(REASONS, 0))
        self.worker, self._files_made = token_hex(4), 0
        self._layouts: dict[tuple[str, str], Layout] = {}
        self._lock, self._ended = Lock(), Event()
        self._answered = deque[Answered]()
        self._prepared = WeakSet[Answered]()  # parts of tables that are not answered yet, and may never be
        self._batches: dict[tuple[Layout, date], list[pa.RecordBatch]] = {}
        self._rows_gathered, self._since = 0, time.monotonic()
        self._files = deque[File]()
        self._tries, self._next_try, self._said = 0, 0.0, 0
        self._said_at = -SAID_AFTER_S
        self._thread = Thread(target=self._run, name="prediction log", daemon=True)
        self._thread.start()

    def prepare(self, predictor: Predictor, prediction: Prediction, request: bytes) -> Answered:
        """Return the entry of what a request will be answered, to be added once it is."""
        layout, records = self.layout(predictor), prediction.records
        at_us, size = time.time_ns() // 1000, layout.size(records)
        parts = prediction.parts if layout.has_features else ()
        answers = prediction.scores, prediction.warnings, parts
        return Answered(layout, at_us, request, prediction.ids, prediction.keys, records, *answers, size)

    def prepare_rows(
        self,
        predictor: Predictor,
        rows: Rows,
        part: Part,
        warnings: Sequence[Sequence[str]],
        ids: Sequence[str],
        request: bytes,
    ) -> Answered:
        """Return the same entry of some of the rows of a request; where there is no room for them, one without rows."""
        layout = self.layout(predictor)
        with self._lock:
            taken = self.bytes_waiting + sum(prepared.size for prepared in self._prepared)
        if taken + layout.least_size(len(part.places)) > self.settings.most_bytes:
            size = self.settings.most_bytes + 1
            return Answered(layout, 0, request, [], [], [], [None] * len(part.places), [], [], size)
        read, keys = predictor.read_rows(rows, part.places)
        scores, matrices = part.scores.tolist(), list(part.matrices)
        prediction = Prediction(scores, list(map(list, warnings)), keys, ids=list(ids), records=read, parts=matrices)
        answered = self.prepare(predictor, prediction, request)
        with self._lock:
            self._prepared.add(answered)
        return answered

    def add(self, answered: Answered) -> None:
        """Log what one request was answered; where there is no room, count it as lost."""
        count = len(answered.scores)
        with self._lock:
            self._prepared.discard(answered)
            if self.bytes_waiting + answered.size > self.settings.most_bytes or self._ended.is_set():
                self.lost["ended" if self._ended.is_set() else "full"] += count
                return
            self.bytes_waiting += answered.size
            self.rows_waiting += count
            self._answered.append(answered)

    def layout(self, predictor: Predictor) -> Layout:
        """Return the columns of a model's predictions."""
        key = predictor.name, predictor.id
        if (layout := self._layouts.get(key)) is None:
            layout = self._layouts[key] = Layout(predictor, self.settings)
        return layout

    def close(self) -> None:
        """Write what waits, for some seconds, and end; what could not be written is counted as lost."""
        with self._lock:  # so that nobody adds anything after the thread has looked for the last time
            self._ended.set()
        self._thread.join(CLOSED_AFTER_S + 1.0)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures, as prometheus_client asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        written = "Predictions that are in the store"
        yield CounterMetricFamily("sextant_predictions_logged", written, value=self.written)
        lost = CounterMetricFamily("sextant_predictions_lost", "Predictions that the log lacks", labels=["reason"])
        for reason in REASONS:
            lost.add_metric([reason], self.lost[reason])
        yield lost
        yield GaugeMetricFamily("sextant_predictions_waiting", "Predictions to be written", value=self.rows_waiting)
        size = "Bytes of predictions that are to be written"
        yield GaugeMetricFamily("sextant_predictions_waiting_bytes", size, value=self.bytes_waiting)

    def _run(self) -> None:
        while not self._ended.wait(LOOKED_AFTER_S):
            self._gather()
            if self._batches and time.monotonic() >= self._since + self.settings.seconds:
                self._make_files()
            self._write()
        deadline = time.monotonic() + CLOSED_AFTER_S
        self._gather()
        self._make_files()
        self._next_try = 0.0
        while self._files and time.monotonic() < deadline:
            self._write()
            time.sleep(0.0 if not self._tries else LOOKED_AFTER_S)
        self._forget("ended", sum(file.rows for file in self._files))
        self._said_at = -SAID_AFTER_S
        self._say_losses()

    def _gather(self) -> None:
        """Make columns of what was answered, some rows at a time: requests are answered between them."""
        rows, size = dict[tuple[Layout, date], list[Row]](), 0
        while self._answered:
            answered = self._answered.popleft()
            day, count = datetime.fromtimestamp(answered.at_us / 1e6, UTC).date(), len(answered.scores)
            size += answered.size
            try:
                some = answered.rows(self.settings.share)
            except Exception:
                self._fail(answered.layout, count)
                continue
            rows.setdefault((answered.layout, day), []).extend(some)
            self._forget("", count - len(some))
            if sum(map(len, rows.values())) >= ROWS_AT_ONCE:
                self._add_batches(rows, size)
                rows, size = {}, 0
        self._add_batches(rows, size)

    def _add_batches(self, rows: Mapping[tuple[Layout, date], Sequence[Row]], size: int) -> None:
        """Add rows, which took so many bytes, to the columns of their model and day."""
        for key, listed in rows.items():
            for start in range(0, len(listed), ROWS_AT_ONCE):
                self._add_batch(*key, listed[start : start + ROWS_AT_ONCE])
                time.sleep(0)
        self._forget("", 0, size)

    def _add_batch(self, layout: Layout, day: date, rows: Sequence[Row]) -> None:
        try:
            batch = layout.batch(rows)
        except Exception:
            if len(rows) == 1:
                return self._fail(layout, 1)
            middle = len(rows) // 2
            self._add_batch(layout, day, rows[:middle])
            return self._add_batch(layout, day, rows[middle:])
        if not self._batches:
            self._since = time.monotonic()
        self._batches.setdefault((layout, day), []).append(batch)
        self._rows_gathered += len(rows)
        self._forget("", 0, -batch.nbytes)
        if self._rows_gathered >= self.settings.rows:
            self._make_files()

    def _make_files(self) -> None:
        """Make files of all columns."""
        batches, self._batches, self._rows_gathered = self._batches, {}, 0
        for (layout, day), some in batches.items():
            rows, size = sum(batch.num_rows for batch in some), sum(batch.nbytes for batch in some)
            try:
                content = _parquet(some)
            except Exception:
                self._fail(layout, rows, size)
                continue
            self._forget("", 0, size - content.size)
            self._files_made += 1
            moment = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
            name = f"{moment}-{self.worker}-{self._files_made}.parquet"
            self._files.append(File(f"{layout.use_case}/date={day}/{name}", content, rows))

    def _write(self) -> None:
        """Write the files that wait, in their order, unless the store did not take one a moment ago."""
        self._say_losses()
        while self._files and time.monotonic() >= self._next_try:
            file = self._files[0]
            try:
                self.store.put(file.path, file.content)
            except (OSError, ValueError, RuntimeError) as error:  # one of which all errors of pyarrow are
                pause = min(2.0**self._tries, LONGEST_WAIT_S)
                self._tries, self._next_try = self._tries + 1, time.monotonic() + pause
                logger.warning("%s does not take predictions, tried again in %g s: %s", self.store, pause, error)
                return
            self._tries = 0
            self._files.popleft()
            self.written += file.rows
            self._forget("", file.rows, file.content.size)

    def _forget(self, reason: str, rows: int, size: int = 0) -> None:
        """Take rows and bytes that do not wait any more from the figures; without a reason they are not lost."""
        with self._lock:
            self.rows_waiting -= rows
            self.bytes_waiting -= size
            if reason:
                self.lost[reason] += rows

    def _fail(self, layout: Layout, rows: int, size: int = 0) -> None:
        """Count rows as lost for the exception that is being handled, which nobody thought of.

        If it ended the thread, all others would be lost too.
        """
        logger.exception("predictions of %s cannot be logged: %d", layout.model, rows)
        self._forget("failed", rows, size)

    def _say_losses(self) -> None:
        total = self.lost.total()
        if total and total != self._said and time.monotonic() >= self._said_at + SAID_AFTER_S:
            self._said, self._said_at = total, time.monotonic()
            logger.error("%d predictions are lost: %s", total, dict(self.lost))


def open_predictions(environment: Mapping[str, str], predictor: Predictor) -> PredictionLog | None:
    """Return the log of predictions that the environment asks for, None: it asks for none.

    Raises PredictionSettingError for settings that cannot be used, or not with this model.
    """
    settings = read_settings(environment)
    if settings is None:
        return None
    check_columns(settings, Layout(predictor, settings).columns)
    try:
        return PredictionLog(settings)
    except ImportError as error:
        raise PredictionSettingError(f"{NAMES['url']} needs pyarrow, which is not there: {error}") from None


def _parquet(batches: list[pa.RecordBatch]) -> pa.Buffer:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, stream = pa.Table.from_batches(batches), pa.BufferOutputStream()
    # texts repeat; to look whether numbers do takes most of the time
    texts = [f"record.{field.name}" for field in _fields(table.schema, "record") if pa.types.is_string(field.type)]
    alike = [name for name in ("request", "model", "coordinates", "class") if name in table.column_names]
    pq.write_table(table, stream, compression="zstd", use_dictionary=[*alike, *texts])
    return stream.getvalue()


def _fields(schema: pa.Schema, struct: str) -> Iterable[pa.Field]:
    """Return the fields of a struct; none where there is no such column."""
    return schema.field(struct).type if struct in schema.names else ()
