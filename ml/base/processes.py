"""Processes: told apart for good, ended with the one that started them, and found where that did not happen.

Run as a script, by `tied`, it becomes another command.
"""

import ctypes
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import connection, parent_process
from pathlib import Path
from threading import Thread

_PR_SET_PDEATHSIG = 1  # prctl(2)
PATIENCE_S = 10.0  # with a process that was asked to end
_TIED = "SEXTANT_TIED_TO"
_PROC = Path("/proc")
_TEXT = re.compile(r"(\d+)-([0-9a-f]{8}\.\d+)_([\w.-]+)")


@dataclass(frozen=True)
class Process:
    """A process as no other one is called, here or elsewhere: its number, its start since which boot, its host."""

    pid: int
    started: str
    host: str

    def __str__(self) -> str:
        return f"{self.pid}-{self.started}_{self.host}"

    @classmethod
    def of(cls, pid: int) -> "Process":
        """Return the process that has this number now; raise ProcessLookupError if none has."""
        if (started := _started(pid)) is None:
            raise ProcessLookupError(f"there is no process {pid}")
        return cls(pid, started, platform.node())

    @classmethod
    def named(cls, text: str) -> "Process | None":
        """Return the process whose name stands anywhere in a text; None if none does."""
        match = _TEXT.search(text)
        return cls(int(match[1]), match[2], match[3]) if match else None

    @property
    def here(self) -> bool:
        """Check that it is one of this host's, so that it can be told whether it is there."""
        return self.host == platform.node()

    @property
    def gone(self) -> bool:
        """Check that it is one of this host's that has ended; another one may have its number."""
        return self.here and _started(self.pid) != self.started


def this_process() -> Process:
    """Return this process."""
    return Process.of(os.getpid())


def _started(pid: int) -> str | None:
    """Return the boot and the clock ticks since then at which a process started; None if it has ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text()[:8]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else f"{boot}.{fields[19]}"


def tied(command: Sequence[str]) -> list[str]:
    """Return a command that is asked to end as soon as this process is gone, however that ended.

    Whatever it starts is known by a variable of its environment, so that `end_started` and `end_orphans` find it.
    """
    return [sys.executable, "-P", __file__, str(this_process()), *command]


def _become(owner: str, command: Sequence[str]) -> None:
    process = Process.named(owner)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what its owner ignores, it would ignore too
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if process is None or os.getppid() != process.pid:  # it went before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)
    os.environ[_TIED] = f"{owner} {os.getpid()}"
    os.execvp(command[0], list(command))


def end_started(pid: int) -> list[int]:
    """End what a tied command with this number has started and left; return the numbers."""
    return _end(lambda environment: environment[_TIED].endswith(f" {pid}"))


def end_orphans(**about: str) -> list[int]:
    """End what is left of tied commands of this host whose owner is gone; return the numbers.

    A process whose environment says something else `about` a variable stays as it is.
    """

    def left(environment: Mapping[str, str]) -> bool:
        owner = Process.named(environment[_TIED])
        ours = all(environment.get(name, value) == value for name, value in about.items())
        return ours and owner is not None and owner.gone

    return _end(left)


def _end(chosen: Callable[[Mapping[str, str]], bool]) -> list[int]:
    """Ask the processes of tied commands with a chosen environment to end, and kill those that do not."""
    handles = dict[int, int]()
    try:
        for pid in sorted(int(folder.name) for folder in _PROC.iterdir() if folder.name.isdigit()):
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)  # a later process of the same number is another one
                handles[handle] = pid
                environment = _environment(pid)
                if pid == os.getpid() or _TIED not in environment or not chosen(environment):
                    os.close(handle)
                    del handles[handle]
        for number, patience_s in ((signal.SIGTERM, PATIENCE_S), (signal.SIGKILL, None)):
            deadline = time.monotonic() + (patience_s or 0)
            for handle in handles:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            for handle in handles:
                connection.wait([handle], patience_s and max(0, deadline - time.monotonic()))
        return list(handles.values())
    finally:
        for handle in handles:
            os.close(handle)


def _environment(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with; nothing of one that has ended, or is another user's."""
    try:
        variables = (_PROC / str(pid) / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (variable.partition("=") for variable in variables)}


@cache
def end_with_run() -> None:
    """End this process, which a fork server has made for another one, as soon as that is gone, however it ended.

    For the kernel its parent is the server, which outlives the one that it works for as long as it has children.
    Nothing is done in a process that was started otherwise.
    """
    parent = parent_process()
    if parent is not None and parent.pid != os.getppid():
        Thread(target=_end_after, args=[parent.sentinel], name="ends with its run", daemon=True).start()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _become(sys.argv[1], sys.argv[2:])
