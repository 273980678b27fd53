"""$SEXTANT_HOME, prepared: the Dagster instance's settings and folders."""

import os
from pathlib import Path

from resources.home import home

_SETTINGS = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs:
    tag_concurrency_limits:
      - {key: dagster/concurrency_key, value: {applyLimitPerUniqueValue: true}, limit: 1}
run_monitoring: {enabled: true, free_slots_after_run_end_seconds: 30}
"""


def prepare() -> Path:
    """Makes what Dagster needs in $SEXTANT_HOME, unless it is there; returns DAGSTER_HOME and sets it."""
    folder = Path(os.environ.setdefault("DAGSTER_HOME", str(home() / "dagster")))
    os.environ["SEXTANT_HOME"] = str(home())
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        settings.write_text(_SETTINGS)
    return folder
