"""What a module's source gives is the same whether it is parsed or taken from what another process has parsed."""

import sys
from pathlib import Path

import pytest

from ml.provenance import parsed as parsing
from ml.provenance.parsed import ParsedModules, module_name, parsed

CODE = b'"""Says."""\nimport json\nfrom ml.base import files\n\nx = 1\n'


def never(*arguments: object) -> None:
    raise AssertionError(f"parsed again: {arguments}")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that holds the module ml/a.py."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    modules = ParsedModules(tmp_path / "kept.json")
    modules("ml/a.py", CODE, ())
    modules.keep()
    return tmp_path / "kept.json"


def test_the_next_process_parses_nothing_that_is_the_same(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = parsed("ml/a.py", CODE, ())
    monkeypatch.setattr(parsing, "parsed", never)

    assert ParsedModules(kept)("ml/a.py", CODE, ()) == expected
    assert expected[1] == ("json", "ml.base.files")


@pytest.mark.parametrize(
    ("path", "content", "beside"),
    [("ml/a.py", CODE.replace(b"x", b"y"), ()), ("ml/b.py", CODE, ()), ("ml/a.py", CODE, (("ml/a.html", "0" * 64),))],
    ids=["content", "path", "template"],
)
def test_what_differs_is_parsed(kept: Path, path: str, content: bytes, beside: tuple[tuple[str, str], ...]) -> None:
    modules = ParsedModules(kept)

    assert modules(path, content, beside) == parsed(path, content, beside)
    modules.keep()
    assert ParsedModules(kept)._known[path][1] == parsed(path, content, beside)


def test_two_processes_keep_what_both_have_parsed(kept: Path) -> None:
    one, two = ParsedModules(kept), ParsedModules(kept)
    one("ml/b.py", CODE, ())
    two("ml/c.py", CODE, ())
    one.keep()
    two.keep()

    assert ParsedModules(kept)._known.keys() == {"ml/a.py", "ml/b.py", "ml/c.py"}


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"7", b'{"ml/a.py": 3}', b'{"ml/a.py": ["k", ["c", 3]]}', b"\xff"]
)
def test_a_damaged_file_counts_as_empty(kept: Path, damage: bytes) -> None:
    kept.write_bytes(damage)

    modules = ParsedModules(kept)

    assert modules("ml/a.py", CODE, ()) == parsed("ml/a.py", CODE, ())
    modules.keep()
    assert ParsedModules(kept)._known.keys() == {"ml/a.py"}


def test_it_writes_nothing_where_python_writes_no_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    modules = ParsedModules(tmp_path / "kept.json")
    modules("ml/a.py", CODE, ())
    modules.keep()

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "file").touch()
    modules = ParsedModules(tmp_path / "file" / "kept.json")

    modules("ml/a.py", CODE, ())
    modules.keep()


def test_a_package_is_named_by_its_folder() -> None:
    assert module_name("ml/base/__init__.py") == "ml.base"
    assert module_name("ml/base/hashing.py") == "ml.base.hashing"
