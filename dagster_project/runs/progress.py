"""The progress of a run: a line for each step as it ends."""

import subprocess
import time
from collections.abc import Iterator, Mapping

import click
import dagster as dg

POLL_S = 0.5
SILENCE_S = 15.0


def follow(instance: dg.DagsterInstance, process: "subprocess.Popen[bytes]", tags: Mapping[str, str]) -> None:
    """Print a line for each step of a process's run as it ends, and in a long silence one that names what is running.

    Returns when the process has ended; `tags` are those of its run alone.
    """
    progress, cursor, printed_at = Progress(), None, time.monotonic()
    while True:
        over, lines = process.poll() is not None, list[str]()
        for run in instance.get_runs(dg.RunsFilter(tags=dict(tags)), limit=1):
            new = instance.get_records_for_run(run.run_id, cursor=cursor)  # all events so far would be read anew
            lines += progress.lines(record.event_log_entry.dagster_event for record in new.records)
            cursor = new.cursor
        if time.monotonic() - printed_at > SILENCE_S and progress.running:
            lines.append(f"...    {', '.join(progress.running)}")
        for line in lines:
            click.echo(f"  {line}")
            printed_at = time.monotonic()
        if over:
            return
        time.sleep(POLL_S)


class Progress:
    """The steps of a run that are running, and those that took a stored result."""

    def __init__(self) -> None:
        self.running: dict[str, None] = {}  # in the order of their starts
        self.reused: set[str] = set()

    def lines(self, events: Iterator[dg.DagsterEvent | None]) -> Iterator[str]:
        """Yield a line for each step that ended in the run's next events."""
        for event in events:
            if event is not None and event.step_key is not None:
                yield from self._lines(event, event.step_key.replace("__", "/"))

    def _lines(self, event: dg.DagsterEvent, step: str) -> Iterator[str]:
        if event.is_step_start:
            self.running[step] = None
        elif event.is_step_materialization and "reused" in event.step_materialization_data.materialization.metadata:
            self.reused.add(step)
        elif event.is_step_failure:
            self.running.pop(step, None)
            yield f"FAILED {step}\n    {error_of(event)}"
        elif event.is_step_success:
            self.running.pop(step, None)
            seconds = event.step_success_data.duration_ms / 1000
            yield f"{'reused' if step in self.reused else 'done':<6} {step:<40} {seconds:6.1f} s"


def error_of(event: dg.DagsterEvent) -> str:
    """Return the error that a failed step itself raised, without Dagster's around it."""
    error = event.step_failure_data.error
    while error is not None and error.cls_name == "DagsterExecutionStepExecutionError" and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "for no reason that Dagster knows"
