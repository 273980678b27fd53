from __future__ import annotations

from pathlib import Path

import pytest

from service.history.log import EventLog
from service.history.places import events_place, open_store
from service.history.store import StoreError


def test_a_service_that_keeps_no_events_has_a_place_for_them_while_it_lives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SEXTANT_EVENTS", raising=False)
    monkeypatch.delenv("_SEXTANT_PAST_FOLDER", raising=False)
    assert events_place() is None

    monkeypatch.setenv("_SEXTANT_PAST_FOLDER", str(tmp_path))
    assert events_place() == str(tmp_path)

    monkeypatch.setenv("SEXTANT_EVENTS", "postgresql:///events")
    assert events_place() == "postgresql:///events"


def test_only_what_is_to_stay_is_put_on_the_disk_before_it_is_answered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("_SEXTANT_PAST_FOLDER", str(tmp_path / "passing"))
    synced: list[int] = []
    kept, passing = open_store(tmp_path / "kept", "past"), open_store(tmp_path / "passing", "past")
    monkeypatch.setattr("os.fsync", synced.append)

    passing.append("events", [{"id": 1}])
    assert synced == []
    kept.append("events", [{"id": 1}])

    assert len(synced) == 1
    assert [type(store) for store in (kept, passing)] == [EventLog, EventLog]


def test_a_store_of_another_kind_is_refused() -> None:
    with pytest.raises(StoreError, match="names a store by redis://; allowed are a folder and postgresql://"):
        open_store("redis://nowhere", "past")
