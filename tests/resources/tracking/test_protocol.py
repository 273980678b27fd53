"""The rest of the project sees none of MLflow's classes in a tracker, and another store could be behind it."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ml.provenance.source import PACKAGES
from resources.tracking.protocol import RegisteredVersion, RegistryError, TrackedRun
from resources.tracking.registry import ROLLED_BACK, Registry
from resources.tracking.runs import Tracking
from resources.tracking.tracker import Tracker
from tests.resources.tracking.test_registry import aliases, move, registered

ROOT = Path(__file__).parents[3]


class Versions:
    """A store of versions in memory, of which MLflow knows nothing."""

    name = "case"

    def __init__(self, count: int) -> None:
        self.tags = {str(number): dict[str, str]() for number in range(1, count + 1)}
        self.aliases: dict[str, str] = {}
        self.texts: dict[str, str] = {}

    def with_alias(self, alias: str) -> RegisteredVersion | None:
        return self.get(self.aliases[alias]) if alias in self.aliases else None

    def get(self, number: str) -> RegisteredVersion:
        if number not in self.tags:
            raise RegistryError(f"no version {number}")
        return RegisteredVersion(number, dict(self.tags[number]), f"memory:{number}")

    def tagged(self, tag: str, value: str) -> list[RegisteredVersion]:
        return [self.get(number) for number, tags in self.tags.items() if tags.get(tag) == value]

    def register(self, run: TrackedRun, content: bytes, tags: Mapping[str, str], files: Mapping[str, bytes]) -> str:
        raise NotImplementedError

    def file(self, version: str, name: str) -> bytes:
        raise NotImplementedError

    def put_file(self, version: str, name: str, content: bytes) -> None:
        raise NotImplementedError

    def set_tag(self, version: str, tag: str, value: str) -> None:
        self.tags[version][tag] = value

    def delete_tag(self, version: str, tag: str) -> None:
        del self.tags[version][tag]

    def set_alias(self, alias: str, version: str) -> None:
        self.aliases[alias] = version

    def delete_alias(self, alias: str) -> None:
        del self.aliases[alias]

    def notes(self) -> dict[str, str]:
        return dict(self.texts)

    def set_note(self, key: str, text: str) -> None:
        self.texts[key] = text

    def delete_note(self, key: str) -> None:
        del self.texts[key]


def promotions(registry: Registry) -> list[tuple[str, str, str | None]]:
    """Two moves, one of them of a challenger, then a rollback and a move by hand."""
    move(registry, "1")
    registry.challenge("2")
    move(registry, "2", "approved")
    move(registry, "1", "rolled back")
    registry.versions.set_alias("champion", "3")
    registry.recover()
    return [(entry.action, entry.version, entry.former) for entry in registry.entries()]


@pytest.mark.slow
def test_promotions_are_the_same_over_another_store(home: Path) -> None:
    ours, memory = registered(Tracking()), Versions(3)

    expected, moves = promotions(ours), promotions(Registry(memory))

    assert moves == expected
    assert memory.aliases == aliases(ours)
    marks = {number: ours.version(number).tags.get(ROLLED_BACK) for number in memory.tags}
    assert {number: tags.get(ROLLED_BACK) for number, tags in memory.tags.items()} == marks


def test_mlflow_has_all_that_a_tracker_has() -> None:
    members = {name for name in vars(Tracker) if not name.startswith("_")}

    assert {name for name in members if not hasattr(Tracking, name)} == set()
    assert {"run", "promotion", "champion"} <= members


@pytest.mark.slow
@pytest.mark.parametrize("package", ["assets", "dagster_project", "ml"])
def test_mlflow_is_imported_behind_the_tracker_alone(package: str) -> None:
    """Type checkers' imports count: whoever names MLflow's classes depends on them."""
    files = {path: ast.parse(path.read_text()) for path in (ROOT / package).rglob("*.py")}

    importing = {str(path.relative_to(ROOT)) for path, tree in files.items() if "mlflow" in set(_imported(tree))}

    assert files
    assert importing == set()


def test_within_resources_it_is_imported_by_four_modules() -> None:
    files = {path: ast.parse(path.read_text()) for path in (ROOT / "resources").rglob("*.py")}

    importing = {str(path.relative_to(ROOT)) for path, tree in files.items() if "mlflow" in set(_imported(tree))}

    assert importing == {f"resources/tracking/{module}.py" for module in ("fluent", "pyfunc", "runs", "versions")}


def test_dagster_mlflow_is_imported_by_the_function_that_attaches_alone() -> None:
    importing = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.Module) and "dagster_mlflow" in set(_at_run_time(node)):
                importing.add(getattr(node, "name", path.name))

    assert importing == {"attach"}


def _at_run_time(scope: ast.FunctionDef | ast.Module) -> Iterator[str]:
    """Yield the packages that a module or function imports by itself, not in its functions or for type checkers."""
    nodes = list(scope.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imported(node)
        elif not (isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and _for_types(node))):
            nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def _for_types(node: ast.If) -> bool:
    return ast.unparse(node.test) == "TYPE_CHECKING"


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level packages that a module imports anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
