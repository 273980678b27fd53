"""What the past costs a service: to start with a year of events, and to accept one.

    python benchmarks/events.py BUNDLE [--rows N]

BUNDLE is the folder of a plan whose events have a key of one number, such as that of flight_delays. Its own events are
sent again, a year later: each first as it became known, then with all of it, as a request of one row. A start is to
load the histories and to take in the log, in a process of its own: an empty one, that of the year, and that compacted.
An event is accepted by one process, whose processor time counts.
"""

import argparse
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from service.history.compaction import compact_file  # noqa: E402
from service.history.events import Events  # noqa: E402
from service.history.log import EventLog  # noqa: E402
from service.history.state import Histories  # noqa: E402
from service.history.store import encode  # noqa: E402
from service.plan.document import Plan  # noqa: E402
from service.plan.reading import read_plan  # noqa: E402

YEAR = dt.timedelta(days=365)
ROUNDS = 3
ACCEPTED = 400
START = """
import json, sys, time
from pathlib import Path
from service.history.events import Events
from service.history.log import EventLog
from service.history.state import Histories
from service.plan.reading import read_plan
bundle, folder = map(Path, sys.argv[1:])
plan = read_plan((bundle / "plan.json").read_bytes())
histories = Histories(plan, plan.features, bundle)
loaded = time.process_time()
Events(plan, histories, EventLog(folder, plan.use_case)).replay()
print(json.dumps({"loaded": loaded, "started": time.process_time()}))
"""


def main() -> None:
    """Measure, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rows", type=int, default=10**9, help="the most rows of a year")
    arguments = parser.parse_args()
    plan = read_plan((arguments.bundle / "plan.json").read_bytes())
    (table,) = plan.events
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = list(of_a_year(plan, arguments.bundle, table))[: arguments.rows]
        empty, year, compacted = (folder / name for name in ("empty", "year", "compacted"))
        for place in (empty, year, compacted):
            place.mkdir()
        log = year / f"{plan.use_case}.events.jsonl"
        log.write_bytes(b"".join(encode(table, [row]) for row in rows))
        shutil.copy(log, compacted / log.name)
        begun = time.process_time()
        compact_file(compacted / log.name, {name: about.keys for name, about in plan.events.items()})
        figures: dict[str, Any] = {"rows": len(rows), "log_mb": round(log.stat().st_size / 1e6, 1)}
        figures["compacting_s"] = round(time.process_time() - begun, 1)
        figures["compacted_mb"] = round((compacted / log.name).stat().st_size / 1e6, 1)
        starts: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for place in (empty, compacted, year):
                starts.setdefault(place.name, []).append(start(arguments.bundle, place))
        figures["start_s"] = {name: round(median(seconds), 2) for name, seconds in starts.items()}
        figures["start_of_empty"] = {
            name: round(median(seconds) / median(starts["empty"]), 2) for name, seconds in starts.items()
        }
        fresh = rows[-2 * ACCEPTED :]
        figures["event_ms"] = {
            "no_log": accepted(plan, arguments.bundle, table, fresh, None),
            "folder": accepted(plan, arguments.bundle, table, fresh, EventLog(folder / "new", plan.use_case)),
        }
    for name, value in figures.items():
        print(f"{name:16} {value}")
    print(json.dumps(figures))


def start(bundle: Path, folder: Path) -> float:
    """Return the processor time of a process that loads the histories and takes in a log."""
    done = subprocess.run(
        [sys.executable, "-c", START, str(bundle), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout)["started"])


def accepted(plan: Plan, bundle: Path, table: str, rows: list[Any], log: EventLog | None) -> float:
    """Return the processor time of an event in milliseconds, once the process is warm."""
    events = Events(plan, Histories(plan, plan.features, bundle), log)
    events.replay()
    for row in rows[: len(rows) // 2]:
        events.accept(table, [row])
    begun = time.process_time()
    for row in rows[len(rows) // 2 :]:
        events.accept(table, [row])
    return round((time.process_time() - begun) / (len(rows) / 2) * 1e3, 2)


def of_a_year(plan: Plan, bundle: Path, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table's events a year later, in the order of the times at which they became known."""
    about = plan.events[table]
    (key,) = about.keys
    moments: list[tuple[dt.datetime, str, dict[str, Any]]] = []
    for view in about.views:
        lookup = next(lookup for lookup in plan.lookups.values() if lookup.file == view.file)
        for event in pq.read_table(bundle / view.file).to_pylist():
            scaled = {name: event[name] / 10**scale for name, scale in lookup.scales.items() if event[name] is not None}
            row = {name: value for name, value in {**event, **scaled}.items() if name in about.record}
            moments.append((event[lookup.time] + YEAR, event["_row"], {**row, lookup.time: event[lookup.time] + YEAR}))
    known: dict[str, dict[str, Any]] = {}
    for _, name, row in sorted(moments, key=lambda moment: moment[:2]):
        known[name] = {**known.get(name, {}), **row, key: 10_000_000 + int(name)}
        yield {
            column: value.isoformat() if isinstance(value, dt.datetime) else value
            for column, value in known[name].items()
        }


if __name__ == "__main__":
    main()
