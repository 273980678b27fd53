"""Places: the stores of events that the environment may name."""

from __future__ import annotations

import os
from pathlib import Path

from service.history.log import EventLog
from service.history.store import Store, StoreError

SETTING = "SEXTANT_EVENTS"
POSTGRESQL = ("postgresql://", "postgres://")


def events_place() -> str | None:
    """Return where accepted events are kept across restarts, $SEXTANT_EVENTS; None: nowhere."""
    return os.environ.get(SETTING) or None


def open_store(place: str | Path, use_case: str) -> Store:
    """Open the store of a use case in a folder or a database; raises StoreError, which says what to do."""
    text = str(place)
    if text.startswith(POSTGRESQL):
        from service.history.postgres import PostgresLog

        return PostgresLog(text, use_case)
    scheme, separator, _ = text.partition("://")
    if separator:
        raise StoreError(f"{SETTING} names a store by {scheme}://; allowed are a folder and postgresql://")
    return EventLog(Path(text), use_case)
