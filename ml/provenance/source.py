"""The project's own source: what a module can reach by imports, the hash of that, and an archive of all of it."""

import ast
import io
import lzma
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

from ml.base.hashing import hash_bytes, hash_json
from ml.provenance.parsed import Parsed, ParsedModules, module_name, parsed
from ml.provenance.syntax import imported

ROOT = Path(__file__).resolve().parents[2]
Parse = Callable[[str, bytes, tuple[tuple[str, str], ...]], Parsed]
PARSED = ParsedModules()
PACKAGES = ("assets", "configs", "dagster_project", "ml", "resources", "service", "sextant")
BESIDE = ("pyproject.toml", "requirements.lock", "workspace.yaml")
# What decides no result, though results could not be made without it. All of it is archived and recorded with each
# result. A module of these counts all the same where it is named as a root, as that which packs a Bento is, and with
# it what it imports from the same entry.
NOT_DECIDING = (
    "assets.framework",  # recording, reuse, metadata
    "assets.reads",  # parts of a declaration by name: what they say is the config
    "resources",  # storage, tracking, leases
    "ml.declaration.case",
    "ml.declaration.gate_kinds",  # verdicts on results: they count, as roots, where verdicts are shown or enforced
    "ml.declaration.catalogue",  # where families are: the code of those that are declared counts
    "ml.declaration.sources.catalogue",  # where kinds of sources are: the code of the kind that is declared counts
    "ml.declaration.splits.catalogue",  # likewise of kinds of splits
    "ml.declaration.reads",
    "ml.declaration.use_case",  # checks, and defaults, which are in the config; what follows from it is in `derived`
    "ml.gates",  # as `gate_kinds`
    "ml.models.catalogue",
    "ml.provenance",
    "ml.report",  # how results are shown
    "ml.search.plots",
    "ml.tables.statistics",
)


@dataclass(frozen=True)
class Module:
    """A module of the project, or a package outside of it: the hash of its code, and what it imports."""

    hash: str
    imports: frozenset[str]


class _Modules(Mapping[str, Module]):
    """The modules of some files; a file that shares a module's name, such as its template, is part of it."""

    def __init__(self, files: Mapping[str, bytes], parse: Parse) -> None:
        self._files, self._parse = files, parse
        self._paths = {module_name(path): path for path in files if path.endswith(".py")}
        self._parsed: dict[str, Module] = {}
        self._beside: dict[str, dict[str, str]] = {}
        for path in files:
            stem, _, suffix = path.rpartition(".")
            if suffix != "py" and f"{stem}.py" in files:
                self._beside.setdefault(f"{stem}.py", {})[path] = hash_bytes(files[path])

    def __getitem__(self, name: str) -> Module:
        if name not in self._parsed:
            path = self._paths[name]
            code, imports = self._parse(path, self._files[path], tuple(self._beside.get(path, {}).items()))
            known = frozenset(other for there in imports for other in _known(there, self._paths))
            self._parsed[name] = Module(code, known)
        return self._parsed[name]

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


@dataclass(frozen=True)
class Source:
    """The project's files as they were at one moment: content by path, relative to the project's folder."""

    root: Path
    files: Mapping[str, bytes] = field(repr=False)
    parse: Parse = field(default=parsed, repr=False, compare=False)

    @classmethod
    def read(cls, root: Path = ROOT, parse: Parse = parsed) -> "Source":
        """Read the files from disk."""
        paths = [path for package in PACKAGES for path in (root / package).rglob("*") if path.is_file()]
        paths += [root / name for name in BESIDE if (root / name).exists()]
        files = sorted(path for path in paths if "__pycache__" not in path.parts)
        return cls(root, {str(path.relative_to(root)): path.read_bytes() for path in files}, parse)

    @classmethod
    def unpack(cls, root: Path, archive: bytes) -> "Source":
        """Return the source that `archive` packed; `root` is where it lies."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            files = {member.name: opened.extractfile(member) for member in opened}
            return cls(root, {path: file.read() for path, file in files.items() if file is not None})

    @cached_property
    def modules(self) -> Mapping[str, Module]:
        """The project's modules by name, each parsed once it is asked for."""
        return _Modules(self.files, self.parse)

    def reach(self, *roots: str) -> list[str]:
        """The project's modules that are imported once the roots are and every function in them has run, sorted.

        Raises KeyError if a root in one of the project's packages is not one of its modules. What lies outside of
        the project is left out, and so is what decides no result, unless it is a root, or is imported from one of the
        same entry of NOT_DECIDING.
        """
        reached: set[str] = set()
        rest = {name for root in roots if is_ours(root) for name in [*_known(root, self.modules), root]}
        apart = {_top(root) for root in roots if not is_ours(root)}
        imports = {there for top in apart if _files(top) for there in outside(top).imports}  # an archive may outlive it
        rest |= {name for there in imports for name in _known(there, self.modules) if decides(name)}
        while rest:
            name = rest.pop()
            reached.add(name)
            entry = _not_deciding(name)
            rest |= {other for other in self.modules[name].imports - reached if _not_deciding(other) in (None, entry)}
        return sorted(reached)

    def hash(self, *roots: str) -> str:
        """SHA-256 over the modules that the roots can reach. Comments, descriptions and formatting do not count.

        Of a root outside of the project its whole package counts, to the byte, and what that imports, unless it is
        installed: installed packages are part of the environment.
        """
        modules = {name: self.modules[name].hash for name in self.reach(*roots)}
        return hash_json(modules | {root: outside(_top(root)).hash for root in roots if not is_ours(root)})

    @cached_property
    def tree(self) -> str:
        """SHA-256 over every file, to the byte: the name of its archive."""
        return hash_json({path: hash_bytes(content) for path, content in self.files.items()})

    def archive(self) -> bytes:
        """Every file in one tar.xz; equal files give equal bytes."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            for path, text in sorted(self.files.items()):
                about = tarfile.TarInfo(path)
                about.size = len(text)
                archive.addfile(about, io.BytesIO(text))
        return lzma.compress(content.getvalue(), preset=1)  # a fifth larger than by default, in an eighth of the time

    def changed(self, *roots: str) -> list[str]:
        """The reachable modules whose files on disk are no longer those that were read, sorted."""
        if all(_same(self.root / path, content) for path, content in self.files.items()):
            return []
        now = Source.read(self.root).modules
        return [name for name in self.reach(*roots) if name not in now or now[name].hash != self.modules[name].hash]


@cache
def running() -> Source:
    """Return the source of this process: read once, when this module is imported."""
    return Source.read(parse=PARSED)


def is_ours(module: str) -> bool:
    """Return whether a module lies in one of the project's packages."""
    return _top(module) in PACKAGES


@cache
def outside(package: str) -> Module:
    """Return a package or module that is not the project's, as it is when first asked for.

    Its hash is over its Python files, to the byte. What is not installed is the user's own: of that, packages and
    modules that it imports and that are not installed either count with it, and so do what these import.

    Raises ModuleNotFoundError if it cannot be found.
    """
    if (files := _files(package)) is None:
        raise ModuleNotFoundError(f"there is no module {package!r}; install it, or set PYTHONPATH", name=package)
    imports, rest, seen = set[str](), {package}, set[str]()
    while rest:
        seen.add(name := rest.pop())
        uninstalled = {path: file for path, file in (_files(name) or {}).items() if not _is_installed(file)}
        files |= uninstalled
        imports |= {there for path, file in uninstalled.items() for there in _imported_by(file, path)}
        rest = {_top(there) for there in imports if not is_ours(there)} - seen - sys.stdlib_module_names
    content = {path: hash_bytes(file.read_bytes()) for path, file in sorted(files.items())}
    return Module(hash_json(content), frozenset(imports))


def _files(package: str) -> dict[str, Path] | None:
    """Return the Python files of a package or module by their paths from its parent on; None if it is not there."""
    try:
        spec = find_spec(package)
    except ValueError:  # it is there without being a file, as `__main__` may be
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        return {f"{package}.py": Path(str(spec.origin))}
    folders = map(Path, spec.submodule_search_locations)
    return {f"{package}/{path.relative_to(folder)}": path for folder in folders for path in folder.rglob("*.py")}


def _is_installed(file: Path) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(file.parts)


def _imported_by(file: Path, path: str) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # a template, or compiled
        return
    yield from imported(tree, module_name(path), path)


def _top(module: str) -> str:
    return module.partition(".")[0]


def decides(module: str) -> bool:
    """Return whether a module can change results where it is not a root."""
    return _not_deciding(module) is None


@cache
def _not_deciding(module: str) -> str | None:
    """Return the entry of NOT_DECIDING that a module belongs to; None if it decides."""
    return next((entry for entry in NOT_DECIDING if module == entry or module.startswith(f"{entry}.")), None)


def _same(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


def _known(name: str, modules: Mapping[str, object]) -> Iterator[str]:
    """The project's modules that importing `name` runs: itself, if it is one, and the packages that it lies in."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        if (prefix := ".".join(parts[:length])) in modules:
            yield prefix


running()
