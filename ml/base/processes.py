"""Processes that end with the one that started them."""

import ctypes
import os
import signal
from functools import cache
from multiprocessing import connection, parent_process
from threading import Thread

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with(parent: int) -> None:
    """Make the kernel kill this process as soon as `parent`, which started it, is gone, however that ended."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)


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
