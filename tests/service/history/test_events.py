from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.history.events import Accepted, Events
from service.history.log import EventLog, EventLogError
from service.history.state import Histories
from service.history.store import Entry
from service.plan.document import BundleError
from service.plan.parts import EventTable, View
from service.records.deadline import OutOfTimeError
from service.records.reader import InvalidRecords, Record
from service.windows.sums import LIMIT
from tests.support.past import (
    FEATURES,
    PLAN,
    RECORDS,
    ROWS,
    WINDOWS,
    Row,
    histories_of,
    kept_histories_of,
    reference,
    sent,
    values_of,
)

LEFT_OUT = ROWS.map(lambda row: {**row, "at": None})
REQUESTS = st.lists(st.lists(ROWS | ROWS | ROWS | LEFT_OUT, min_size=1, max_size=6), max_size=6)
IN_FILE = st.lists(ROWS, max_size=12, unique_by=lambda row: row["id"])
ROW: Row = {"id": "e1", "a": "x", "b": 1, "at": 1_000_000, "v": 3, "w": 250}
RECORD = Record({"a": "x", "b": 1}, 2_000_000)


def events_of(histories: Histories, log: EventLog | None = None, **changes: Any) -> Events:
    return Events(replace_in(PLAN, changes), histories, log)


def replace_in(plan: Any, changes: dict[str, Any]) -> Any:
    """Return the plan with another table of events."""
    if not changes:
        return plan
    table = plan.events["events"]
    fields = {"record": table.record, "key": table.key, "views": table.views, **changes}
    return type(plan)(
        **{**{f: getattr(plan, f) for f in plan.__struct_fields__}, "events": {"events": EventTable(**fields)}}
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(IN_FILE, REQUESTS, st.lists(RECORDS, min_size=1, max_size=3))
def test_events_in_any_order_make_the_histories_of_the_table_that_they_leave(
    file: list[Row], requests: list[list[Row]], records: list[Record]
) -> None:
    histories = histories_of(file)
    events = events_of(histories)
    final = {row["id"]: row for row in file}

    for rows in requests:
        timed = {name for name, row in final.items() if row["at"] is not None}
        accepted = events.accept("events", [sent(row) for row in rows])
        ids = [row["id"] for row in rows]
        assert accepted == Accepted(len(ids), len(ids) - len(set(ids)) + len(timed & set(ids)))
        final |= {row["id"]: row for row in rows}

    table = [row for row in final.values() if row["at"] is not None]
    for record in records:
        after = values_of(histories, record)
        np.testing.assert_array_equal(after, values_of(histories_of(table), record), strict=True)
        np.testing.assert_array_equal(after, reference(table, record), strict=True)


def test_to_send_rows_again_changes_nothing() -> None:
    histories = histories_of([])
    events = events_of(histories)

    first = events.accept("events", [sent(ROW)])
    before = values_of(histories, RECORD)
    again = events.accept("events", [sent(ROW)])

    assert (first, again) == (Accepted(1, 0), Accepted(1, 1))
    np.testing.assert_array_equal(values_of(histories, RECORD), before)


@pytest.mark.parametrize(
    ("changes", "field", "error"),
    [
        ({"wings": 2}, None, "unknown columns"),
        ({"v": "three"}, "v", "not a number"),
        ({"at": "tomorrow"}, "at", "not a time"),
        ({"id": None}, "id", "required, and missing or null"),
        ({"v": LIMIT}, "v", "too large to be summed exactly"),
        ({"w": -LIMIT}, "w", "too large to be summed exactly"),
        ({"w": 1e30}, "w", "cast"),
    ],
)
def test_a_bad_row_is_named_and_nothing_of_its_request_counts(
    tmp_path: Path, changes: dict[str, Any], field: str | None, error: str
) -> None:
    histories = histories_of([ROW])
    log = EventLog(tmp_path, "past")
    events, before, state = events_of(histories, log), values_of(histories, RECORD), histories.state
    rows = [sent({**ROW, "id": "e2"}), sent({**ROW, "id": "e1", "v": 9}), {**sent({**ROW, "id": "e3"}), **changes}]

    with pytest.raises(InvalidRecords) as raised:
        events.accept("events", rows)

    (problem,) = raised.value.problems
    assert (problem.record, problem.field) == (2, field)
    assert error in problem.error.lower()
    json.dumps(problem.given)
    assert histories.state is state
    assert log.read() == []
    np.testing.assert_array_equal(values_of(histories, RECORD), before)


def test_problems_of_all_rows_come_together() -> None:
    rows = [{**sent({**ROW, "id": f"e{i}"}), "v": value} for i, value in enumerate([1e30, 1, 1e31, LIMIT])]

    with pytest.raises(InvalidRecords) as raised:
        events_of(histories_of([])).accept("events", rows)

    assert [(problem.record, problem.field) for problem in raised.value.problems] == [(0, "v"), (2, "v")]


@pytest.mark.parametrize(("table", "allowed"), [("trains", ["events"]), (None, ["events"]), (["events"], ["events"])])
def test_a_table_that_is_not_taken_is_refused_with_those_that_are(table: Any, allowed: list[str]) -> None:
    with pytest.raises(InvalidRecords, match="not a table whose events") as raised:
        events_of(histories_of([])).accept(table, [sent(ROW)])

    assert raised.value.problems[0].allowed == allowed


def test_a_model_without_windows_says_that_it_takes_no_events() -> None:
    plan = type(PLAN)(use_case="u", record={}, required=[], features=[])

    with pytest.raises(InvalidRecords, match="this model takes no events"):
        Events(plan, histories_of([])).accept("events", [sent(ROW)])


@pytest.mark.parametrize("key", [1.5, 2**53 + 1])
def test_a_key_that_is_a_number_must_be_a_whole_one(key: float) -> None:
    events = events_of(
        histories_of([]),
        record={**PLAN.events["events"].record, "id": "number"},
        views=[View("events.parquet", QUERY_OF_NUMBERS)],
    )

    with pytest.raises(InvalidRecords, match="not a key"):
        events.accept("events", [sent({**ROW, "id": key})])


QUERY_OF_NUMBERS = (
    PLAN.events["events"].views[0].query.replace("id as _row", "cast(cast(id as bigint) as varchar) as _row")
)


def test_a_key_that_is_a_number_corrects_the_event_of_its_digits() -> None:
    histories = histories_of([{**ROW, "id": "17"}])
    record = {**PLAN.events["events"].record, "id": "number"}
    events = events_of(histories, record=record, views=[View("events.parquet", QUERY_OF_NUMBERS)])

    accepted = events.accept("events", [sent({**ROW, "id": 17, "at": None}), sent({**ROW, "id": 18.0})])

    assert accepted == Accepted(2, 1)
    np.testing.assert_array_equal(values_of(histories, RECORD), reference([ROW], RECORD))


@pytest.mark.parametrize("other", [{}, {"b": None}, {"b": 2}])
def test_a_group_of_a_number_that_no_double_holds_is_no_other_group(other: Row) -> None:
    large = 2**60 + 1
    histories = histories_of([{**ROW, "b": large}])
    rows = [{**ROW, "id": "e2", "b": large}, {**ROW, "id": "e3", "b": large - 1}, {**ROW, "id": "e4", **other}]

    events_of(histories).accept("events", [sent(row) for row in rows])

    for b in (large, large - 1, 1):
        record = Record({"a": "x", "b": b}, 2_000_000)
        expected = reference([{**ROW, "b": large}, *rows], record)
        np.testing.assert_array_equal(values_of(histories, record), expected)


def test_a_query_that_names_events_otherwise_is_refused() -> None:
    record = {**PLAN.events["events"].record, "id": "number"}
    query = PLAN.events["events"].views[0].query.replace("id as _row", "cast(id as varchar) as _row")
    events = events_of(histories_of([]), record=record, views=[View("events.parquet", query)])

    with pytest.raises(BundleError, match=r"has digits alone; given are \['17.0'\]"):
        events.accept("events", [sent({**ROW, "id": 17})])


def test_a_file_that_names_events_otherwise_than_by_digits_is_refused() -> None:
    record = {**PLAN.events["events"].record, "id": "number"}

    with pytest.raises(BundleError, match=r"has digits alone; given are \['17.0'\]"):
        events_of(
            histories_of([{**ROW, "id": "17.0"}]), record=record, views=[View("events.parquet", QUERY_OF_NUMBERS)]
        )


@pytest.mark.slow
def test_a_prediction_sees_all_events_of_a_request_or_none() -> None:
    histories = histories_of([])
    events, done, seen = events_of(histories), Event(), set()
    count = next(i for i, f in FEATURES.items() if (f.lookup, f.window_s) == ("of_a_excluded", None))
    other = next(i for i, f in FEATURES.items() if (f.lookup, f.window_s) == ("of_b_included", None))

    def predict() -> None:
        while not done.is_set():
            values = dict(
                zip(WINDOWS.positions, WINDOWS.values([RECORD], histories.state.windows, [[]])[0].tolist(), strict=True)
            )
            seen.add((values[count], values[other]))

    thread = Thread(target=predict)
    thread.start()
    for request in range(30):
        events.accept("events", [sent({**ROW, "id": f"e{request}.{row}"}) for row in range(10)])
    done.set()
    thread.join()

    assert all(of_a == of_b and of_a % 10 == 0 for of_a, of_b in seen)
    assert values_of(histories, RECORD)[count] == 300.0


def test_accepted_events_are_there_after_a_restart(tmp_path: Path) -> None:
    before, after = histories_of([ROW]), histories_of([ROW])
    events = events_of(before, EventLog(tmp_path, "past"))
    for rows in [
        [{**ROW, "id": "e2"}, {**ROW, "id": "e3", "at": 1_500_000}],
        [{**ROW, "v": 7}],
        [{**ROW, "id": "e3", "at": None}],
    ]:
        events.accept("events", [sent(row) for row in rows])

    events_of(after, EventLog(tmp_path, "past")).replay()

    np.testing.assert_array_equal(values_of(after, RECORD), values_of(before, RECORD))
    np.testing.assert_array_equal(values_of(after, RECORD), reference([{**ROW, "id": "e2"}, {**ROW, "v": 7}], RECORD))


def test_a_log_of_another_model_counts_as_far_as_this_one_takes_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = EventLog(tmp_path, "past")
    log.append("trains", [{"id": 1}])
    log.append("events", [{**sent(ROW), "wings": 2}])
    histories = histories_of([])

    events_of(histories, log).replay()

    np.testing.assert_array_equal(values_of(histories, RECORD), reference([ROW], RECORD))
    assert "does not use events of ['trains']; left out" in caplog.text


def test_a_logged_row_that_cannot_be_taken_is_named_by_its_line(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "past")
    log.append("events", [sent(ROW), sent(ROW)])
    log.append("events", [sent(ROW), {**sent(ROW), "v": "three"}])

    with pytest.raises(EventLogError, match=r"past\.events\.jsonl, line 2: .*not a number.*move the file away"):
        events_of(histories_of([]), log).replay()


def test_events_that_cannot_be_logged_do_not_count(tmp_path: Path) -> None:
    class Full(EventLog):
        def append(self, table: str, rows: Any) -> None:
            raise OSError("no space left on device")

    histories = histories_of([])

    with pytest.raises(OSError, match="no space"):
        events_of(histories, Full(tmp_path, "past")).accept("events", [sent(ROW)])

    np.testing.assert_array_equal(values_of(histories, RECORD), reference([], RECORD))


def test_rows_for_which_there_is_no_time_are_neither_kept_nor_seen(tmp_path: Path) -> None:
    histories, log = histories_of([]), EventLog(tmp_path, "past")
    events, state = events_of(histories, log), histories.state

    with pytest.raises(OutOfTimeError):
        events.accept("events", [sent(ROW)], deadline=time.monotonic() - 1)

    assert histories.state is state
    assert log.read() == []


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(IN_FILE, REQUESTS, st.lists(RECORDS, min_size=1, max_size=3), st.lists(ROWS, max_size=3))
def test_many_events_at_once_make_the_histories_that_they_make_one_by_one(
    file: list[Row], requests: list[list[Row]], records: list[Record], later: list[Row]
) -> None:
    entries = [Entry(line, "events", [sent(row) for row in rows]) for line, rows in enumerate(requests)]
    with tempfile.TemporaryDirectory() as folder:
        log = EventLog(Path(folder), "past")
        one_by_one, together = kept_histories_of(file, Path(folder)), kept_histories_of(file, Path(folder))
        step, at_once = events_of(one_by_one), events_of(together, log)
        for entry in entries:
            step.accept("events", entry.rows)
            log.append("events", entry.rows)
        at_once.replay()
        assert at_once._restart(entries)
        for row in later:
            assert step.accept("events", [sent(row)]) == at_once.accept("events", [sent(row)])
        for record in records:
            np.testing.assert_array_equal(values_of(together, record), values_of(one_by_one, record), strict=True)

        log.path.write_bytes(b"")
        at_once.refresh()
        for record in records:
            np.testing.assert_array_equal(values_of(together, record), reference(file, record), strict=True)


def test_many_events_of_which_one_cannot_be_taken_are_named_by_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.history.events.MANY", 1)
    log = EventLog(tmp_path, "past")
    for value in (1, LIMIT, 3):
        log.append("events", [{**sent(ROW), "id": f"v{value}", "v": value}])

    with pytest.raises(EventLogError, match=r"past\.events\.jsonl, line 2: .*too large to be summed exactly"):
        events_of(kept_histories_of([], tmp_path), log).replay()
