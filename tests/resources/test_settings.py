"""The settings: read when they are asked for, and the only place where the project reads a variable of its own."""

import ast
import re
from pathlib import Path

import pytest

from ml.base.sql import memory_limit
from resources.home import home
from resources.settings import Settings, SettingsError, settings
from resources.storage import storage
from resources.studies import studies
from resources.tracking.runs import tracking

ROOT = Path(__file__).parents[2]
NAMES = {str(field.alias): name for name, field in Settings.model_fields.items()}
# Each beside the reason why it reads a variable itself.
READERS = {
    "resources/settings.py": "is the place",
    "ml/base/sql.py": "lies below it",
    "dagster_project/commands/serve.py": "hands a setting of the service on",
}


def table() -> dict[str, tuple[str, str]]:
    """Meaning and default by variable, from the table of docs/deploy.md."""
    text = (ROOT / "docs" / "deploy.md").read_text().partition("## Settings")[2].partition("|---|---|---|\n")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.*) \|$", text.partition("\n\n")[0], re.M)
    return {name: (meaning, default) for name, meaning, default in rows}


def test_the_environment_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "SEXTANT_HOME": str(tmp_path),
        "SEXTANT_STORAGE_URL": "s3://bucket/results",
        "SEXTANT_STUDIES_URL": "sqlite:///studies.db",
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "SEXTANT_MLFLOW_UI": "http://ui:1",
        "SEXTANT_DAGSTER_UI": "http://ui:2",
        "SEXTANT_GPU_WAIT_S": "3600",
        "SEXTANT_COMMIT": "c0ffee-dirty",
    }.items():
        monkeypatch.setenv(name, value)

    found = tracking()

    assert home() == tmp_path
    assert storage().url == "s3://bucket/results"
    assert studies().url == "sqlite:///studies.db"
    assert (found.uri, found.ui, found.dagster_ui) == ("http://mlflow:5000", "http://ui:1", "http://ui:2")
    assert (settings().gpu_wait_s, settings().commit) == (3600.0, "c0ffee-dirty")


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")

    assert settings() == Settings()
    assert memory_limit() is None


def test_a_value_that_cannot_be_is_named_with_its_variable() -> None:
    with pytest.raises(SettingsError, match=r"^SEXTANT_GPU_WAIT_S='soon': .* valid number.*; correct the variable"):
        settings({"SEXTANT_GPU_WAIT_S": "soon"})


def test_the_memory_limit_below_is_that_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEXTANT_MEMORY_LIMIT", "4GB")

    assert memory_limit() == settings().memory_limit == "4GB"


def test_the_documentation_lists_every_setting_with_its_meaning_and_default() -> None:
    expected = {}
    for field in Settings.model_fields.values():
        meaning, _, without = str(field.description).partition("; without it, ")
        expected[str(field.alias)] = (meaning, without or f"`{field.default}`")

    assert table() == expected


def test_no_other_module_reads_a_setting() -> None:
    """A variable may be set for a child or left out of its environment elsewhere; it is not read there."""
    packages = ("assets", "dagster_project", "ml", "resources", "service", "sextant")
    files = {str(path.relative_to(ROOT)): path for package in packages for path in (ROOT / package).rglob("*.py")}

    readers = {
        name for name, path in files.items() if any(_reads(node) for node in ast.walk(ast.parse(path.read_text())))
    }

    assert readers - READERS.keys() == set()


def _reads(node: ast.AST) -> bool:
    """Return whether a node is `os.environ[...]` as a value, or a call of a method of it or of `os.getenv`."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr="environ"), slice=name, ctx=ast.Load()):
            return _ours(name)
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="environ")), args=[name, *_]):
            return _ours(name)
        case ast.Call(func=ast.Attribute(attr="getenv"), args=[name, *_]):
            return _ours(name)
    return False


def _ours(name: ast.expr) -> bool:
    return isinstance(name, ast.Constant) and (name.value in NAMES or str(name.value).startswith("SEXTANT_"))
