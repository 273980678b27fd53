"""Places: the Sextant home that everything is about."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWN = ("SEXTANT_HOME", "DAGSTER_HOME")


def home() -> Path:
    """Return the Sextant home: $SEXTANT_HOME, or `.sextant` in the working directory, as the command has it."""
    from resources.home import home

    return home()


@contextmanager
def prepared() -> Iterator[Path]:
    """Prepare the home for a block as the command does, and yield it; the environment is then as it was before.

    So that another home can be chosen later in the same notebook. That libraries do not report to their makers stays.
    """
    from dagster_project.location.instance import prepare
    from resources.home import QUIET, home

    before = {name: os.environ.get(name) for name in _OWN}
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        prepare()
        yield home()
    finally:
        for name, earlier in before.items():
            os.environ.pop(name, None)
            if earlier is not None:
                os.environ[name] = earlier
