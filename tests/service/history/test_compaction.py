from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.history import compaction
from service.history.compaction import Header, compact_file, due, header_of, last_rows, start
from service.history.events import Events
from service.history.log import EventLog
from service.history.store import Entry
from service.records.reader import Record
from tests.support.past import PLAN, Row, histories_of, kept_histories_of, sent, values_of

KEYS = {"events": ["id"]}
ROW: Row = {"id": "e1", "a": "x", "b": 1, "at": 1_000_000, "v": 3, "w": 250}
RECORD = Record({"a": "x", "b": 1}, 2_000_000)


def test_of_each_key_the_last_row_is_kept_and_all_rows_that_have_none() -> None:
    rows = [{"id": 1, "v": 1}, {"id": 2}, {"id": 1, "v": 2}, {"id": "1"}, {"id": True}, {"v": 3}, {"v": 3}, "odd"]
    entries = [Entry(1, "a", rows), Entry(2, "b", [{"id": 1}, {"id": 1}]), Entry(3, "a", [{"id": 2, "v": 9}])]

    assert last_rows(entries, {"a": ["id"]}) == {
        "a": [rows[2], *rows[3:], {"id": 2, "v": 9}],
        "b": [{"id": 1}, {"id": 1}],
    }


def test_keys_of_several_columns_are_one() -> None:
    rows = [{"x": 1, "y": "a"}, {"x": 1, "y": "b"}, {"x": 1, "y": "a", "v": 2}, {"x": 1, "y": None}]

    assert last_rows([Entry(1, "a", rows)], {"a": ["x", "y"]}) == {"a": [rows[1], rows[2], rows[3]]}


@given(st.tuples(*[st.integers(0, 2**62)] * 4))
def test_a_header_is_read_as_it_was_written_and_is_an_entry_of_no_rows(numbers: tuple[int, int, int, int]) -> None:
    header = Header(*numbers)

    assert header_of(header.encode()) == header
    assert len(header.encode()) == len(Header(0, 0, 0, 0).encode())
    assert json.loads(header.encode())["rows"] == []
    assert header_of(b'{"table": "events", "rows": []}') is None


@pytest.mark.parametrize("seed", range(6))
def test_a_compacted_log_makes_the_same_histories_wherever_a_reader_was(tmp_path: Path, seed: int) -> None:
    choice, present, behind = random.Random(seed), histories_of([ROW]), histories_of([ROW])
    writer, late = Events(PLAN, present, EventLog(tmp_path, "past")), Events(PLAN, behind, EventLog(tmp_path, "past"))
    writer.replay(), late.replay()
    for step in range(40):
        row = {**ROW, "id": f"e{choice.randrange(6)}", "v": step, "at": choice.choice([None, 500_000, 1_500_000])}
        writer.accept("events", [sent(row)])
        if choice.random() < 0.1:
            late.refresh()
        if choice.random() < 0.1:
            assert compact_file(tmp_path / "past.events.jsonl", KEYS)
    late.refresh()

    fresh = histories_of([ROW])
    Events(PLAN, fresh, EventLog(tmp_path, "past")).replay()
    for histories in (behind, fresh):
        np.testing.assert_array_equal(values_of(histories, RECORD), values_of(present, RECORD))
    compact_file(tmp_path / "past.events.jsonl", KEYS)
    assert len((tmp_path / "past.events.jsonl").read_bytes().splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["past.events.jsonl"]


def test_what_is_appended_meanwhile_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path, "past")
    log.append("events", [ROW, ROW])

    def late(*arguments: Any) -> dict[str, list[Any]]:
        log.append("events", [{**ROW, "v": 4}])
        log.path.write_bytes(log.path.read_bytes() + b'{"torn')
        return last_rows(*arguments)

    monkeypatch.setattr(compaction, "last_rows", late)

    assert compact_file(log.path, KEYS)
    assert [entry.rows for entry in EventLog(tmp_path, "past").read()] == [[ROW], [{**ROW, "v": 4}]]


def test_a_log_that_is_corrected_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path, "past")
    log.append("events", [ROW, ROW])

    def late(*arguments: Any) -> dict[str, list[Any]]:
        log.path.write_bytes(b"")
        return last_rows(*arguments)

    monkeypatch.setattr(compaction, "last_rows", late)

    assert not compact_file(log.path, KEYS)
    assert EventLog(tmp_path, "past").read() == []


def test_a_full_disk_leaves_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path, "past")
    log.append("events", [ROW, ROW])
    before = log.path.read_bytes()

    def fail(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        compact_file(log.path, KEYS)

    assert log.path.read_bytes() == before


def test_one_process_at_a_time_compacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path, "past")
    log.append("events", [ROW, ROW])

    def late(*arguments: Any) -> dict[str, list[Any]]:
        assert not compact_file(log.path, KEYS)
        return last_rows(*arguments)

    monkeypatch.setattr(compaction, "last_rows", late)

    assert compact_file(log.path, KEYS)
    assert [entry.rows for entry in EventLog(tmp_path, "past").read()] == [[ROW]]


def test_it_is_due_where_a_log_is_long_and_much_longer_than_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "DUE_BYTES", 2_000)
    log = EventLog(tmp_path, "past")
    seen = []
    for number in range(60):
        with log.path.open("rb") as file:
            seen.append(due(file.fileno()))
        if seen[-1]:
            compact_file(log.path, KEYS)
        log.append("events", [{**ROW, "id": number}])

    assert 1 <= sum(seen) <= 3


def append_for_ever(folder: Path) -> None:
    log = EventLog(folder, "past")
    log.read()
    for number in range(100_000):
        log.append("events", [{**ROW, "id": f"{os.getpid()}.{number % 50}", "v": number}])
        print(number, flush=True)


@pytest.mark.slow
def test_nothing_accepted_is_lost_whoever_is_killed_while_it_is_compacted(tmp_path: Path) -> None:
    choice, path = random.Random(5), tmp_path / "past.events.jsonl"
    reader = EventLog(tmp_path, "past")
    seen: dict[str, int] = {}
    context = get_context("fork")
    accepted: dict[str, int] = {}
    for _ in range(12):
        receiving, sending = os.pipe()
        writer = context.Process(target=redirected, args=(append_for_ever, tmp_path, sending))
        writer.start()
        os.close(sending)
        compacting = start(str(path), KEYS)
        time.sleep(choice.random() * 0.4)
        os.kill(choice.choice([writer.pid or 0, compacting.pid]), signal.SIGKILL)
        if choice.random() < 0.5:
            compacting.kill()
        compacting.wait(60)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        with os.fdopen(receiving, "rb") as file:
            for number in file.read().splitlines():
                accepted[f"{writer.pid}.{int(number) % 50}"] = int(number)
        take(seen, reader)
    fresh: dict[str, int] = {}
    take(fresh, EventLog(tmp_path, "past"))

    assert fresh == seen
    assert all(fresh[name] >= number for name, number in accepted.items())
    assert compact_file(path, KEYS)
    after: dict[str, int] = {}
    take(after, EventLog(tmp_path, "past"))
    assert after == fresh


def redirected(function: Any, folder: Path, handle: int) -> None:
    os.dup2(handle, 1)
    sys.stdout = os.fdopen(1, "w")
    function(folder)


def take(seen: dict[str, int], log: EventLog) -> None:
    """Take in the news of a log, as histories do."""
    entries, anew = log.news()
    log.settle()
    if anew:
        seen.clear()
    seen.update((row["id"], row["v"]) for entry in entries for row in entry.rows)


@pytest.mark.slow
def test_a_long_log_is_compacted_by_whoever_appends_to_it(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "past")
    log.append("events", [{**sent(ROW), "id": f"e{number % 7}"} for number in range(150_000)])
    size = log.path.stat().st_size
    histories = kept_histories_of([], tmp_path)
    events = Events(PLAN, histories, log)

    events.replay()
    assert log._compacting is not None
    assert log._compacting.wait(60) == 0
    events.accept("events", [sent({**ROW, "id": "new"})])

    assert log.path.stat().st_size < size / 1000
    fresh = kept_histories_of([], tmp_path)
    Events(PLAN, fresh, EventLog(tmp_path, "past")).replay()
    np.testing.assert_array_equal(values_of(fresh, RECORD), values_of(histories, RECORD))


def test_the_module_runs_by_itself(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "past")
    log.append("events", [ROW, ROW])

    assert start(str(log.path), KEYS).wait(60) == 0

    assert [entry.rows for entry in EventLog(tmp_path, "past").read()] == [[ROW]]
