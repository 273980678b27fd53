"""Places: the stores of events that the environment may name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from service.history.log import EventLog
from service.history.store import Store, StoreError

SETTING, PATIENCE = "SEXTANT_EVENTS", "SEXTANT_EVENTS_SECONDS"
PAST_FOLDER = "_SEXTANT_PAST_FOLDER"  # set for the workers of a service by the process that starts them
PATIENCE_S = 10.0
POSTGRESQL = re.compile(r"postgres(ql)?(\+\w+)?(?=://)")  # with a driver as SQLAlchemy names it


def events_place() -> str | None:
    """Return where accepted events are kept across restarts, $SEXTANT_EVENTS, or else while the service lives.

    None: nowhere.
    """
    return os.environ.get(SETTING) or os.environ.get(PAST_FOLDER) or None


def open_store(place: str | Path, use_case: str) -> Store:
    """Open the store of a use case in a folder or a database; raises StoreError, which says what to do."""
    text = str(place)
    if POSTGRESQL.match(text):
        from service.history.postgres import PostgresLog

        patience_s = float(os.environ.get(PATIENCE) or PATIENCE_S)
        return PostgresLog(POSTGRESQL.sub("postgresql", text, 1), use_case, patience_s)
    scheme, separator, _ = text.partition("://")
    if separator:
        raise StoreError(f"{SETTING} names a store by {scheme}://; allowed are a folder and postgresql://")
    return EventLog(Path(text), use_case, durable=text != os.environ.get(PAST_FOLDER))
