"""A version: a bundle, loaded, with all that belongs to it and changes with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from service.history.events import Events
from service.history.log import EventLog
from service.predict.predictor import Predictor, load_predictor

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Version:
    """A predictor, what takes its events, and the headers that name it; a request takes one, and keeps to it.

    `difference` is the largest one of a golden score.
    """

    predictor: Predictor
    events: Events
    difference: float = 0.0

    @cached_property
    def headers(self) -> list[Header]:
        """Those of every response that it gives."""
        return [
            _header("x-sextant-coordinates", self.predictor.id),
            _header("x-sextant-model", self.predictor.name),
        ]

    @property
    def fault(self) -> str | None:
        """Why it must not be asked: it answers otherwise than it did when it was built; None: it does not."""
        tolerance = self.predictor.golden.tolerance
        if self.difference <= tolerance:
            return None
        return f"a golden score differs by {self.difference:.3g}; at most {tolerance:.3g} is allowed"


def load_version(folder: Path, log_folder: Path | None = None) -> Version:
    """Load a bundle, replay its golden records, and take in the events of the log.

    In this order, as events may change the past of the golden records. Raises if the bundle or the log cannot be
    served at all.
    """
    predictor = load_predictor(folder)
    difference, plan = predictor.difference(), predictor.plan
    log = EventLog(log_folder, plan.use_case) if log_folder and plan.events else None
    events = Events(plan, predictor.histories, log)
    events.replay()
    return Version(predictor, events, difference)


def _header(name: str, value: str) -> Header:
    return name.encode(), value.encode("latin-1", "replace")
