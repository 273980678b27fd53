"""Places: the Sextant home that everything is about."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

from sextant.errors import SextantError

_OWN = ("SEXTANT_HOME", "DAGSTER_HOME")


def home() -> Path:
    """Return the Sextant home: $SEXTANT_HOME, or `.sextant` in the working directory, as the command has it."""
    from resources.home import home

    return home()


@contextmanager
def prepared(wanted: Path | None = None) -> Iterator[Path]:
    """Prepare a home for a block as the command does, that of the environment or a wanted one, and yield it.

    The environment is then as it was before, so that another home can be chosen later in the same notebook. That
    libraries do not report to their makers stays. Threads share a home; one that wants another waits for them.
    Raises SextantError where the home cannot be written.
    """
    from resources.faults import in_one_line

    place = _BLOCKS.enter(wanted)
    try:
        yield place
    except OSError as error:
        if reason := in_one_line(error):
            raise SextantError(reason) from error
        raise
    finally:
        _BLOCKS.leave()


class _Blocks:
    """The blocks that are open, all with one home, as an environment can name one only."""

    def __init__(self) -> None:
        self._changed, self._open = Condition(), 0
        self._before = dict[str, str | None]()
        self._inside = dict[str, str]()

    def enter(self, wanted: Path | None) -> Path:
        """Open a block, once no other has another home; return the home."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open or str(wanted or self._chosen()) == self._inside[_OWN[0]])
            if not self._open:
                self._prepare(wanted)
            self._open += 1
            return Path(self._inside[_OWN[0]])

    def leave(self) -> None:
        """Close a block; with the last one the environment is as it was, but for what somebody has changed since."""
        with self._changed:
            self._open -= 1
            if not self._open:
                self._restore()
                self._changed.notify_all()

    def _chosen(self) -> Path:
        """Return the home that the environment names outside of blocks."""
        if os.environ.get(_OWN[0]) != self._inside[_OWN[0]]:
            return home()
        return Path(self._before[_OWN[0]] or ".sextant").absolute()

    def _prepare(self, wanted: Path | None) -> None:
        from dagster_project.location.instance import prepare
        from resources.faults import in_one_line
        from resources.home import QUIET

        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        self._before = {name: os.environ.get(name) for name in _OWN}
        if wanted is not None and wanted != home():
            os.environ[_OWN[0]] = str(wanted)
            os.environ.pop(_OWN[1], None)
        try:
            prepare()
        except OSError as error:
            reason = in_one_line(error)
            self._inside = {name: os.environ[name] for name in _OWN if name in os.environ}
            self._restore()
            raise SextantError(reason or str(error)) from error
        self._inside = {name: os.environ[name] for name in _OWN}

    def _restore(self) -> None:
        for name, value in self._inside.items():
            if os.environ.get(name) == value:
                os.environ.pop(name)
                if (earlier := self._before[name]) is not None:
                    os.environ[name] = earlier


_BLOCKS = _Blocks()
