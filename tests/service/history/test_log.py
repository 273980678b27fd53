from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.history.log import Entry, EventLog, EventLogError

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


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"table": "t"}', b'{"table": "t", "rows": 3}', b""])
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
