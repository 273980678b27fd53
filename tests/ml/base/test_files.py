"""A file is there whole or not at all."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ml.base.files import open_whole, write_whole


def test_a_file_holds_the_latest_content_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "state.json"

    write_whole(file, b"first")
    write_whole(file, b"second")

    assert file.read_bytes() == b"second"
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_earlier_content_alone(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    write_whole(file, b"first")

    with suppress(ZeroDivisionError), open_whole(file) as sink:
        sink.write(b"sec")
        sink.write(bytes(1 // 0))

    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]


def test_a_rename_that_fails_leaves_nothing_beside(tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    (folder / "inside").mkdir(parents=True)

    with pytest.raises(OSError, match="taken"):
        write_whole(folder, b"content")

    assert list(tmp_path.iterdir()) == [folder]


def test_content_reaches_the_disk_before_its_name_and_the_name_before_the_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, sync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), rename(*paths)))

    write_whole(tmp_path / "state.json", b"content")

    assert calls == ["fsync", "replace", "fsync"]


def test_a_process_that_is_killed_at_its_end_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    write_whole(file, b"first")
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ml.base.files import write_whole\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "write_whole(Path(sys.argv[1]), b'second')"
    )

    killed = subprocess.run([sys.executable, "-c", code, str(file)], check=False)

    assert killed.returncode == -9
    assert file.read_bytes() == b"first"
