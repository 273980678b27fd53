"""$SEXTANT_HOME, prepared: the Dagster instance's settings and folders."""

import os
from pathlib import Path

from ml.base.files import write_whole
from resources.home import home
from resources.settings import settings

_SETTINGS = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs:
    tag_concurrency_limits:
      - {key: sextant/use_case, value: {applyLimitPerUniqueValue: true}, limit: 1}
run_launcher: {module: dagster_project.launcher, class: LocalRunLauncher}
run_monitoring: {enabled: true, poll_interval_seconds: 30, free_slots_after_run_end_seconds: 30}
"""
# Dagster's commands read .env in the folder that they start in; what the environment says already goes first.
_ENV = """\
SEXTANT_HOME=${{SEXTANT_HOME:-{home}}}
DAGSTER_HOME=${{SEXTANT_HOME}}/dagster
"""


def prepare() -> Path:
    """Make what Dagster needs in $SEXTANT_HOME, unless it is there; set DAGSTER_HOME and return it."""
    folder = settings().dagster_home or home() / "dagster"
    os.environ |= {"SEXTANT_HOME": str(home()), "DAGSTER_HOME": str(folder)}
    file = folder / "dagster.yaml"
    if not file.exists():
        write_whole(file, _SETTINGS.encode())
    return folder


def write_env(folder: Path) -> Path:
    """Make `dg` and `dagster` keep their state in $SEXTANT_HOME too when they start in `folder`; return its .env.

    Lines that are there stay as they are.
    """
    file = folder / ".env"
    present = file.read_text() if file.exists() else ""
    if "SEXTANT_HOME=" not in present:
        file.write_text(_ENV.format(home=home()) + present)
    return file
