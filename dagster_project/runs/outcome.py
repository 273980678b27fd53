"""The end of a run, read from its events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg


@dataclass(frozen=True)
class Refusal:
    """The end of `production_model` where gates refuse: what stays champion, and each verdict: gate, passed, reason."""

    champion: str
    verdicts: Sequence[Mapping[str, Any]]

    @property
    def gates(self) -> list[str]:
        """The gates that refused."""
        return [str(verdict["gate"]) for verdict in self.verdicts if not verdict["passed"]]


@dataclass(frozen=True)
class Outcome:
    """The end of a run; `run_id` is empty if its process ended before Dagster had made the run."""

    succeeded: bool
    run_id: str
    log: Path
    refusal: Refusal | None = None


def read_outcome(instance: dg.DagsterInstance, succeeded: bool, tags: Mapping[str, str], log: Path) -> Outcome:
    """Return the outcome of the latest run with some tags, whose process has ended."""
    runs = instance.get_runs(dg.RunsFilter(tags=dict(tags)), limit=1)
    if not runs:
        return Outcome(False, "", log)
    events = [entry.dagster_event for entry in instance.all_logs(runs[0].run_id) if entry.dagster_event]
    failures = [event for event in events if event.is_step_failure]
    refusals = [refusal for event in failures if (refusal := _refusal(event)) is not None]
    return Outcome(succeeded, runs[0].run_id, log, refusals[0] if refusals else None)


def _refusal(event: dg.DagsterEvent) -> Refusal | None:
    data = event.step_failure_data.user_failure_data
    if data is None or "verdicts" not in data.metadata:
        return None
    verdicts: Any = data.metadata["verdicts"].value
    return Refusal(str(data.metadata["champion"].value), verdicts)
