"""Parses modules; what came out lies beside Python's bytecode, so that the next process does not parse them again."""

import ast
import json
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.util import cache_from_source
from pathlib import Path

from ml.base.files import write_whole
from ml.base.hashing import hash_bytes, hash_json
from ml.provenance import syntax

Parsed = tuple[str, tuple[str, ...]]  # the hash of a module's code, and what it imports


class ParsedModules:
    """Modules as they were last parsed by any process that has this Python and this parser.

    They are kept where Python keeps bytecode, and under the same conditions: not where the folder is read-only, and not
    if PYTHONDONTWRITEBYTECODE is set. A file that is damaged counts as empty.
    """

    def __init__(self, file: Path | None = None) -> None:
        parser = hash_bytes(Path(__file__).read_bytes() + Path(syntax.__file__).read_bytes())
        self._file = file or Path(cache_from_source(__file__)).with_suffix(f".{parser[:12]}.json")
        self._known = _read(self._file)
        self._new: dict[str, tuple[str, Parsed]] = {}

    def __call__(self, path: str, content: bytes, beside: tuple[tuple[str, str], ...]) -> Parsed:
        """Return what `parsed` returns, from what is kept if this content is the one that was last parsed."""
        key = hash_json([hash_bytes(content), beside])
        if path not in self._known or self._known[path][0] != key:
            self._known[path] = self._new[path] = key, parsed(path, content, beside)
        return self._known[path][1]

    def keep(self) -> None:
        """Write what this process has parsed, if anything, beside what others have written."""
        if self._new and not sys.dont_write_bytecode:
            with suppress(OSError):
                write_whole(self._file, json.dumps(_read(self._file) | self._new).encode())
        self._new = {}


def _read(file: Path) -> dict[str, tuple[str, Parsed]]:
    try:
        entries = json.loads(file.read_bytes())
        return {path: (key, (code, tuple(imports))) for path, (key, (code, imports)) in entries.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


@lru_cache(maxsize=4096)
def parsed(path: str, content: bytes, beside: tuple[tuple[str, str], ...]) -> Parsed:
    """Parse a module: return the hash of its code, without words, and what it imports."""
    tree = ast.parse(content, path)
    imports = tuple(syntax.imported(tree, module_name(path), path))
    return hash_json([syntax.canonical(tree), dict(beside)]), imports


def module_name(path: str) -> str:
    """Return the name of a module by its path: `ml/base/hashing.py` is `ml.base.hashing`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
