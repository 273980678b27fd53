"""A lock has one holder, and ends with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resources.locks import exclusive, lock_now

HOLDER = """
import sys
from pathlib import Path
from resources.locks import exclusive
with exclusive(sys.argv[2], Path(sys.argv[1])):
    print("holds", flush=True)
    sys.stdin.readline()
"""


def start(folder: Path, name: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLDER, str(folder), name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def says(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_another_holder_waits_until_the_first_is_killed(tmp_path: Path) -> None:
    with start(tmp_path, "a") as first, start(tmp_path, "b") as other:
        assert {says(first), says(other)} == {"holds"}  # locks of two names do not wait for each other
        with start(tmp_path, "a") as second:
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(1)
            first.send_signal(signal.SIGKILL)
            assert says(second) == "holds"


def test_a_process_that_was_forked_meanwhile_does_not_hold_on(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with exclusive("a", tmp_path):
        if (child := os.fork()) == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)

    with start(tmp_path, "a") as other:
        assert says(other) == "holds"
        assert other.stdin is not None
        other.stdin.close()

    os.close(writer)
    os.waitpid(child, 0)


def test_a_file_is_locked_until_it_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with open(tmp_path / "a") as second:
        with open(tmp_path / "a") as first:
            assert lock_now(first)
            assert not lock_now(second)
        assert lock_now(second)
