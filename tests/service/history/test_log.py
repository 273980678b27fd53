from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from service.history.log import Entry, EventLog, EventLogError
from service.history.store import StoreError
from service.records.deadline import OutOfTimeError

ROWS = [{"id": 2**70, "text": "a\nb \u2028 \U0001f600", "x": 0.1, "flag": None}]


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    """A log with two entries, in a folder that was not there."""
    log = EventLog(tmp_path / "new" / "folder", "flight_delays")
    log.append("flights", ROWS)
    log.append("trains", [{"id": 1}])
    return log


ENTRIES = [Entry(1, "flights", ROWS), Entry(2, "trains", [{"id": 1}])]


def test_what_is_appended_is_read_after_a_restart(log: EventLog) -> None:
    assert log.path.name == "flight_delays.events.jsonl"
    assert EventLog(log.path.parent, "flight_delays").read() == ENTRIES


@pytest.mark.parametrize("torn", [b'{"table": "flights", "ro', b"\0\0\0", b'{"table": "t", "rows": []}'])
def test_a_torn_last_line_is_cut_off_with_a_warning(
    log: EventLog, caplog: pytest.LogCaptureFixture, torn: bytes
) -> None:
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + torn)

    assert log.read() == ENTRIES
    assert "the last line is torn" in caplog.text
    assert log.path.read_bytes() == whole


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"table": "t"}', b'{"table": "t", "rows": 3}', b"", b"[" * 100_000])
def test_a_line_that_is_no_entry_is_an_error_that_names_it(log: EventLog, line: bytes) -> None:
    log.path.write_bytes(log.path.read_bytes() + line + b"\n")
    log.append("flights", ROWS)

    with pytest.raises(EventLogError, match=r"flight_delays\.events\.jsonl, line 3: it is no entry"):
        log.read()


def test_a_failed_write_leaves_the_log_as_it_was(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = log.path.read_bytes()

    def fail(_: int) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        log.append("flights", ROWS)

    assert log.path.read_bytes() == whole


def rows_of(entries: Sequence[Entry]) -> list[list[Any]]:
    return [entry.rows for entry in entries]


def opened(log: EventLog) -> EventLog:
    """Open the same log as another process has it, and read it."""
    other = EventLog(log.path.parent, "flight_delays")
    other.read()
    other.settle()
    return other


def news(log: EventLog) -> tuple[list[list[Any]], bool]:
    """Return what a log has that was not read yet, and whether it is all that there is."""
    entries, anew = log.news()
    log.settle()
    return rows_of(entries), anew


def test_another_process_reads_on_from_where_it_was(log: EventLog) -> None:
    other = opened(log)
    assert not other.stale()

    log.append("flights", [{"id": 3}])
    log.append("flights", [{"id": 4}])

    assert other.stale()
    assert news(other) == ([[{"id": 3}], [{"id": 4}]], False)
    assert not other.stale()
    assert news(other) == ([], False)


def test_it_is_stale_to_all_who_ask_until_what_was_read_is_taken_in(log: EventLog) -> None:
    other = opened(log)
    log.append("flights", [{"id": 3}])

    other.news()

    assert other.stale()
    other.settle()
    assert not other.stale()


def test_half_a_line_is_not_read_before_it_is_whole(log: EventLog) -> None:
    other, line = opened(log), b'{"table": "flights", "rows": [{"id": 3}]}\n'
    for end in range(1, len(line)):
        log.path.write_bytes(log.path.read_bytes()[: other._place.offset] + line[:end])
        assert news(other)[0] == []

    log.path.write_bytes(log.path.read_bytes()[: other._place.offset] + line)
    assert news(other)[0] == [[{"id": 3}]]


def test_who_appends_after_a_killed_writer_does_not_glue_onto_its_line(
    log: EventLog, caplog: pytest.LogCaptureFixture
) -> None:
    other, whole = opened(log), log.path.read_bytes()
    log.path.write_bytes(whole + b'{"table": "flights", "rows": [' + b'{"id": 1}, ' * 2_000)
    assert news(other) == ([], False)

    log.append("flights", [{"id": 3}])

    assert news(other) == ([[{"id": 3}]], False)
    assert rows_of(EventLog(log.path.parent, "flight_delays").read()) == [ROWS, [{"id": 1}], [{"id": 3}]]
    assert "the last line is torn" in caplog.text


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def corrected(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"trains", b"planes"))


def replaced(path: Path) -> None:
    path.with_suffix(".new").write_bytes(b'{"table": "flights", "rows": [{"id": 9}]}\n' * 9)
    path.with_suffix(".new").replace(path)


def moved(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def deleted(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [emptied, corrected, replaced, moved, deleted])
def test_a_log_that_is_not_what_was_read_is_read_anew_and_appended_to(log: EventLog, change: Any) -> None:
    other = opened(log)

    change(log.path)

    assert other.stale()
    there = rows_of(EventLog(log.path.parent, "flight_delays").read())
    assert news(other) == (there, True)
    log.append("flights", [{"id": 5}])
    assert news(other) == ([[{"id": 5}]], False)
    assert rows_of(EventLog(log.path.parent, "flight_delays").read()) == [*there, [{"id": 5}]]


def edited(path: Path) -> None:
    """Delete the wrong line as an editor does: by a file that takes the place of the other."""
    path.with_suffix(".new").write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("mend", [edited, replaced, moved, deleted])
def test_a_wrong_line_is_forgotten_once_it_is_corrected_or_the_file_is_moved_away(log: EventLog, mend: Any) -> None:
    other = opened(log)
    with log.path.open("ab") as file:
        file.write(b"{\n")
    with pytest.raises(EventLogError, match="line 3"):
        other.news()

    mend(log.path)

    there = rows_of(EventLog(log.path.parent, "flight_delays").read())
    assert news(other) == (there, True)
    other.append("flights", [{"id": 5}])
    assert rows_of(EventLog(log.path.parent, "flight_delays").read()) == [*there, [{"id": 5}]]


def test_processes_wait_for_their_turn_no_longer_than_they_may(log: EventLog) -> None:
    with log.turn(), pytest.raises(OutOfTimeError), opened_without_reading(log).turn(time.monotonic() + 0.02):
        pass

    with opened_without_reading(log).turn(time.monotonic() + 0.02):
        pass


def opened_without_reading(log: EventLog) -> EventLog:
    return EventLog(log.path.parent, "flight_delays")


def test_a_folder_that_cannot_be_one_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"the log of events .*file/flight_delays.* cannot be opened"):
        EventLog(tmp_path / "file", "flight_delays")


def test_a_log_that_is_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "flight_delays.events.jsonl").mkdir()

    with pytest.raises(StoreError, match=r"the log of events .*flight_delays.events.jsonl cannot be used: Is a dir"):
        EventLog(tmp_path, "flight_delays").read()


def test_a_log_that_can_only_be_read_is_read(
    log: EventLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def open_read_only(path: Any, flags: int, *mode: int) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return real(path, flags, *mode)

    real = os.open
    monkeypatch.setattr(os, "open", open_read_only)

    other = opened(log)

    assert other.read() == ENTRIES
    assert "POST /events will be refused" in caplog.text
    with pytest.raises(OSError, match="Read-only file system"):
        other.append("flights", ROWS)
