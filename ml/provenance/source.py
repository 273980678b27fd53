"""The project's own source: what a module can reach by imports, the hash of that, and an archive of all of it."""

import ast
import io
import lzma
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

from ml.base.hashing import hash_bytes, hash_json

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("assets", "configs", "dagster_project", "ml", "resources", "service")
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
DESCRIBED = ("Field", "Metric")  # what these call the `description` of a part, editors show and no code reads


@dataclass(frozen=True)
class Module:
    """One module: the hash of its syntax tree, without comments and descriptions, and the modules that it imports."""

    hash: str
    imports: frozenset[str]


@dataclass(frozen=True)
class Source:
    """The project's files as they were at one moment: content by path, relative to the project's folder."""

    root: Path
    files: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def read(cls, root: Path = ROOT) -> "Source":
        """Reads the files from disk."""
        paths = [path for package in PACKAGES for path in (root / package).rglob("*") if path.is_file()]
        paths += [root / name for name in BESIDE if (root / name).exists()]
        files = sorted(path for path in paths if "__pycache__" not in path.parts)
        return cls(root, {str(path.relative_to(root)): path.read_bytes() for path in files})

    @classmethod
    def unpack(cls, root: Path, archive: bytes) -> "Source":
        """Return the source that `archive` packed; `root` is where it lies."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            files = {member.name: opened.extractfile(member) for member in opened}
            return cls(root, {path: file.read() for path, file in files.items() if file is not None})

    @cached_property
    def modules(self) -> dict[str, Module]:
        """The project's modules by name; a file that shares a module's name, such as its template, is part of it."""
        names = {module_name(path): path for path in self.files if path.endswith(".py")}
        modules = {}
        for name, path in names.items():
            tree = ast.parse(self.files[path], path)
            beside = {
                other: hash_bytes(content)
                for other, content in self.files.items()
                if other != path and other.rpartition(".")[0] == path.removesuffix(".py")
            }
            imports = frozenset(other for imported in _imported(tree, name, path) for other in _known(imported, names))
            modules[name] = Module(hash_json([_canonical(tree), beside]), imports)
        return modules

    def reach(self, *roots: str) -> list[str]:
        """The project's modules that are imported once the roots are and every function in them has run, sorted.

        Raises KeyError if a root in one of the project's packages is not one of its modules. What lies outside of
        the project is left out, and so is what decides no result, unless it is a root, or is imported from one of the
        same entry of NOT_DECIDING.
        """
        reached: set[str] = set()
        rest = {name for root in roots if is_ours(root) for name in [*_known(root, self.modules), root]}
        while rest:
            name = rest.pop()
            reached.add(name)
            imports, entry = self.modules[name].imports - reached, _not_deciding(name)
            rest |= {other for other in imports if _not_deciding(other) in (None, entry)}
        return sorted(reached)

    def hash(self, *roots: str) -> str:
        """SHA-256 over the modules that the roots can reach. Comments, descriptions and formatting do not count.

        Of a root outside of the project its whole package counts, to the byte, but not what that imports: installed
        packages are part of the environment.
        """
        modules = {name: self.modules[name].hash for name in self.reach(*roots)}
        return hash_json(modules | {root: outside(root.partition(".")[0]) for root in roots if not is_ours(root)})

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
        return lzma.compress(content.getvalue())

    def changed(self, *roots: str) -> list[str]:
        """The reachable modules whose files on disk are no longer those that were read, sorted."""
        if all(_same(self.root / path, content) for path, content in self.files.items()):
            return []
        now = Source.read(self.root).modules
        return [name for name in self.reach(*roots) if name not in now or now[name].hash != self.modules[name].hash]


@cache
def running() -> Source:
    """The source of this process: read once, when this module is imported."""
    return Source.read()


def is_ours(module: str) -> bool:
    """Return whether a module lies in one of the project's packages."""
    return module.partition(".")[0] in PACKAGES


@cache
def outside(package: str) -> str:
    """SHA-256 over the Python files of a package or module that is not the project's, when first asked for.

    Raises ModuleNotFoundError if it cannot be found.
    """
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"there is no module {package!r}; install it, or set PYTHONPATH", name=package)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = {str(path.relative_to(folder)): path for folder in folders for path in folder.rglob("*.py")}
    if not folders:
        files = {package: Path(str(spec.origin))}
    return hash_json({name: hash_bytes(path.read_bytes()) for name, path in sorted(files.items())})


def decides(module: str) -> bool:
    """Return whether a module can change results where it is not a root."""
    return _not_deciding(module) is None


def _not_deciding(module: str) -> str | None:
    """Return the entry of NOT_DECIDING that a module belongs to; None if it decides."""
    return next((entry for entry in NOT_DECIDING if module == entry or module.startswith(f"{entry}.")), None)


def _same(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


def module_name(path: str) -> str:
    """`ml/base/hashing.py` is the module `ml.base.hashing`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _known(name: str, modules: Mapping[str, object]) -> Iterator[str]:
    """The project's modules that importing `name` runs: itself, if it is one, and the packages that it lies in."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        if (prefix := ".".join(parts[:length])) in modules:
            yield prefix


def _imported(tree: ast.AST, module: str, path: str) -> Iterator[str]:
    """Yield what a module imports anywhere in it, except for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module if path.endswith("/__init__.py") else module.rpartition(".")[0]
            parts = package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], node.module or ""]) if node.level else node.module
            yield from (f"{str(base).rstrip('.')}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from _imported(ast.Module(node.orelse, []), module, path)
        else:
            yield from _imported(node, module, path)


def _canonical(tree: ast.Module) -> str:
    """The syntax tree as text, without words that are there to be read only."""
    return ast.dump(_Wordless().visit(tree))


class _Wordless(ast.NodeTransformer):
    """Drops docstrings, other texts that stand alone, and what DESCRIBED calls say of what they make."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        match node.value:
            case ast.Constant(value=str()):
                return None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.func:
            case ast.Name(id=name) if name in DESCRIBED:
                node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)


running()
