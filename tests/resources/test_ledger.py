"""A file of the ledger that is damaged or gone is named, with what to do."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.ledger import Ledger, LedgerError

RECORD = {
    "code": {}, "config": "c", "data": {}, "environment": "e", "labels": {"model": "small:1"}, "made_at": "2026-01-01",
    "result": {"path": "p", "digest": "d", "size": 1, "hash": "h", "kind": "bytes"},
    "run": {"asset": "small/x"}, "seed": 0,
}  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger of one result, the latest of its asset, with a picture."""
    files = {
        "0.json": RECORD,
        "config/c.json": {"hash": "c", "value": {}},
        "environment/e.json": {"id": "e"},
        "latest/small/x.json": "0",
        "latest/small/production_model.json": "0",
        "shown/small/x.json": ["p"],
    }
    for name, content in files.items():
        file = tmp_path / "coordinates" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    return Ledger(tmp_path)


READERS: dict[str, list[Callable[[Ledger], object]]] = {
    "0.json": [
        lambda ledger: ledger.get("0"),
        lambda ledger: ledger.records,
        lambda ledger: ledger.latest_result("small/x"),
        lambda ledger: ledger.promoted("small"),
    ],
    "config/c.json": [lambda ledger: ledger.get("0")],
    "environment/e.json": [lambda ledger: ledger.get("0")],
    "latest/small/x.json": [lambda ledger: ledger.latest_of("small/x"), lambda ledger: ledger.latest_of_all],
    "shown/small/x.json": [lambda ledger: ledger.shown],
}


@pytest.mark.parametrize("content", [b"", b'{"run": ', b"\xff\xfe", b"7"], ids=["empty", "cut off", "bytes", "other"])
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_named(ledger: Ledger, name: str, content: bytes) -> None:
    file = ledger.folder / name
    file.write_bytes(content)

    for read in READERS[name]:
        with pytest.raises(LedgerError, match=rf"{re.escape(str(file))} is damaged, it .*: put it back from a backup"):
            read(Ledger(ledger.base))


def test_a_record_that_lacks_something_is_damaged(ledger: Ledger) -> None:
    (ledger.folder / "0.json").write_text("{}")

    with pytest.raises(LedgerError, match="it lacks code, config, data"):
        _ = ledger.records


def test_a_file_that_is_gone_is_named_where_it_is_asked_for_and_means_that_nothing_is_known(ledger: Ledger) -> None:
    (ledger.folder / "config" / "c.json").unlink()
    with pytest.raises(LedgerError, match=r"no coordinates '0' in .*: .*config/c\.json is missing"):
        ledger.get("0")

    (ledger.folder / "0.json").unlink()
    with pytest.raises(LedgerError, match=r"no coordinates '0' in .*coordinates$"):
        ledger.get("0")
    assert (ledger.latest_result("small/x"), ledger.promoted("small"), ledger.records) == (None, None, {})
