"""Snapshots of what others rely on: readable files beside the tests of the contract, compared literally."""

import difflib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[1] / "contract" / "snapshots"
UPDATE = "UPDATE_CONTRACT"
WIDTH = 110


class _Dumper(yaml.SafeDumper):
    """Writes a list in one line where it fits, and anything else in lines of its own."""

    def represent_list(self, data: list[Any]) -> yaml.Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=len(str(data)) < WIDTH)


_Dumper.add_representer(list, _Dumper.represent_list)


def check_snapshot(name: str, content: Any) -> None:
    """Compare content with a snapshot, as text, or write the snapshot where UPDATE_CONTRACT is set.

    Fails the test with the lines that differ.
    """
    path = FOLDER / f"{name}.yaml"
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=WIDTH)
    if os.environ.get(UPDATE):
        path.write_text(text)
    agreed = path.read_text() if path.exists() else ""
    if text == agreed:
        return
    place = path.relative_to(FOLDER.parents[2])
    changes = "\n".join(difflib.unified_diff(agreed.splitlines(), text.splitlines(), "agreed", "now", lineterm="", n=1))
    pytest.fail(
        f"Others rely on what {place} lists, and it has changed:\n{changes}\n\n"
        f"If this is meant, write it anew and commit it with your change:\n"
        f"    {UPDATE}=1 .venv/bin/python -m pytest {place.parents[1]}",
        pytrace=False,
    )
