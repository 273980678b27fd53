"""$SEXTANT_HOME: the one folder that holds all state."""

import os
from pathlib import Path

from resources.settings import settings

# Read by libraries when they are imported: then none reports to its maker, or leaves an id in the user's home to do so,
# and none draws a bar of its progress between what a command prints.
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "ORT_DISABLE_TELEMETRY": "1",
}


def home() -> Path:
    """Return the folder of all state: $SEXTANT_HOME, or .sextant in the working directory."""
    return settings().home.absolute()


def keep_to_home() -> None:
    """Keep the libraries that are imported from now on from writing anywhere else; what the environment says holds."""
    for name, value in {**QUIET, "MPLCONFIGDIR": str(home() / "cache" / "matplotlib")}.items():
        os.environ.setdefault(name, value)
