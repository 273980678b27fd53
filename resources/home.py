"""$SEXTANT_HOME: the one folder that holds all state."""

import os
from pathlib import Path


def home() -> Path:
    """The folder of all state: $SEXTANT_HOME, or .sextant in the working directory."""
    return Path(os.environ.get("SEXTANT_HOME") or ".sextant").absolute()
