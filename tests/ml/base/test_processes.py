"""Processes are told apart for good, and none outlives the one that it works for."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ml.base.files import open_whole, remove_unfinished, scratch_folder
from ml.base.processes import Process, end_orphans, end_started, this_process, tied

ROOT = Path(__file__).parents[3]
WAIT = "import sys; print('waits', flush=True); sys.stdin.read()"
# A tied command that has started another one, in a session of its own, and tells who they are.
LEADER = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {WAIT!r}], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print(os.getpid(), child.pid, flush=True)
sys.stdin.read()
"""
OWNER = f"""
import signal, subprocess, sys
from ml.base.processes import tied
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
subprocess.run(tied([sys.executable, "-c", {LEADER!r}]))
"""


def popen(code: str, home: object = "/nowhere") -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SEXTANT_HOME": str(home)}
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, **piped)  # type: ignore[call-overload, no-any-return]


def ended_process() -> Process:
    with popen(WAIT) as process:
        process.stdout.readline()  # type: ignore[union-attr]
        identity = Process.of(process.pid)
        assert not identity.gone
        process.communicate()
    return identity


def test_a_process_is_gone_once_it_has_ended_whoever_has_its_number_now() -> None:
    ended, this = ended_process(), this_process()

    assert ended.gone
    assert not this.gone
    assert replace(this, started=ended.started).gone


def test_a_process_of_another_host_is_never_taken_for_gone() -> None:
    assert not replace(ended_process(), host="elsewhere").gone


def test_a_zombie_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = Process.of(process.pid)
    process.stdin.close()  # type: ignore[union-attr]
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how

    assert identity.gone
    process.wait()


@pytest.mark.parametrize("text", ["{}", "sextant-{}~x7", "m.onnx.{}~0a1b.part", "SEXTANT_TIED_TO={} 12"])
def test_its_name_can_be_read_out_of_other_names(text: str) -> None:
    for process in (this_process(), Process(7, "0123abcd.99", "node-1.example.org")):
        assert Process.named(text.format(process)) == process
    assert Process.named("sextant-search-x7") is None


def test_a_tied_command_ends_with_its_owner_and_what_it_has_left_is_ended_by_whoever_looks_next(
    tmp_path: Path,
) -> None:
    with popen(OWNER, tmp_path) as owner:
        leader, child = (Process.of(int(pid)) for pid in owner.stdout.readline().split())  # type: ignore[union-attr]
        assert end_orphans(SEXTANT_HOME=str(tmp_path)) == []
        asked = psutil.Process(leader.pid)
        owner.kill()
        owner.wait()
        asked.wait(60)  # by the kernel, whatever its owner ignored
        assert end_orphans(SEXTANT_HOME="/elsewhere") == []
        ended = end_orphans(SEXTANT_HOME=str(tmp_path))

    assert ended == [child.pid]
    assert child.gone


def test_what_a_tied_command_has_left_is_ended_without_it() -> None:
    command = tied([sys.executable, "-c", LEADER])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as leader:
        child = Process.of(int(leader.stdout.readline().split()[1]))  # type: ignore[union-attr]
        leader.kill()
        leader.wait()

        assert end_started(leader.pid) == [child.pid]
    assert child.gone


UNFINISHED = """
import os, signal, sys
from pathlib import Path
from ml.base.files import open_whole, scratch_folder
with scratch_folder(Path(sys.argv[1])) as scratch, open_whole(Path(sys.argv[1]) / "below" / "file.json") as file:
    (scratch / "large").write_text("half")
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_was_writing_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = [tmp_path / "a.part", tmp_path / "below" / "b.json", tmp_path / f"{this_process()}"]
    (tmp_path / "below").mkdir()
    for file in kept:
        file.write_text("whole")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", UNFINISHED, str(tmp_path)], env=environment, check=False)

    with scratch_folder(tmp_path) as scratch, open_whole(tmp_path / "c.json"):
        removed = remove_unfinished(tmp_path)
        assert scratch.is_dir()

    assert [path.name.partition("-")[0] for path in sorted(removed)][-1] == "sextant"
    assert len(removed) == 2
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted([*kept, tmp_path / "c.json"])
