"""The code coordinate changes with what can run, and with nothing else."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.declaration.catalogue import CATALOGUE, module_of
from ml.provenance.source import Source, outside, running

THIRD = '''"""What it is."""

NAME = 'n'
"""How many."""


class Limits(Part):
    most: int = Field(5, le=7, description=f"The limit of {NAME}.")
    other = dict(description='d')


def three():
    """Three."""
    return 3  # a number
'''
FILES = {
    "assets/__init__.py": "",
    "assets/models.py": "from ml import first\n\ndef asset():\n    return first.one()\n",
    "ml/__init__.py": "",
    "ml/first.py": "def one():\n    from ml.second import two\n    return two()\n",
    "ml/second.py": "from typing import TYPE_CHECKING\nfrom .deep import three\n"
    "if TYPE_CHECKING:\n    import ml.tables.types\nelse:\n    import ml.real\n\ndef two():\n    return three()\n",
    "ml/deep/__init__.py": "from ml.deep.third import three\n",
    "ml/deep/third.py": THIRD,
    "ml/deep/third.html": "<p>three</p>",
    "ml/real.py": "",
    "ml/report/card.py": "",
    "ml/report/page.py": "from ml.report import card\nfrom resources import storage\n",
    "ml/tables/types.py": "",
    "ml/unrelated.py": "x = 1\n",
    "assets/shown.py": "from ml.report import page\n",
    "resources/storage.py": "",
    "pyproject.toml": "[project]\n",
}
REACHED = ["assets", "assets.models", "ml", "ml.deep", "ml.deep.third", "ml.first", "ml.real", "ml.second"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_it_reaches_what_is_imported_anywhere_and_not_what_type_checkers_import(project: Path) -> None:
    assert Source.read(project).reach("assets.models") == REACHED


def test_what_decides_nothing_counts_as_a_root_and_with_it_what_belongs_to_it(project: Path) -> None:
    source = Source.read(project)

    assert source.reach("assets.shown") == ["assets", "assets.shown", "ml"]
    assert source.reach("ml.report.page") == ["ml", "ml.report.card", "ml.report.page"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("ml/unrelated.py", "x = 2\n"),
        ("ml/tables/types.py", "x = 2\n"),
        ("ml/deep/third.py", THIRD.replace('"""What it is."""', '"""It."""').replace("3  # a number", "(3)")),
        ("ml/deep/third.py", THIRD.replace("Three.", "The number.")),
        ("ml/deep/third.py", THIRD.replace("How many.", "The count.")),
        ("ml/deep/third.py", THIRD.replace("The limit", "A limit")),
        ("pyproject.toml", "[tool]\n"),
    ],
)
def test_what_cannot_run_and_what_is_only_said_changes_nothing(path: str, text: str, project: Path) -> None:
    before = Source.read(project)

    (project / path).write_text(text)

    after = Source.read(project)
    assert after.hash("assets.models") == before.hash("assets.models")
    assert before.changed("assets.models") == []
    assert after.tree != before.tree


@pytest.mark.parametrize(
    ("path", "text", "changed"),
    [
        ("ml/deep/third.py", THIRD.replace("return 3", "return 4"), "ml.deep.third"),
        ("ml/deep/third.py", THIRD.replace("le=7", "le=8"), "ml.deep.third"),
        ("ml/deep/third.py", THIRD.replace("NAME = 'n'", "NAME = 'm'"), "ml.deep.third"),
        ("ml/deep/third.py", THIRD.replace("dict(description='d')", "dict(description='e')"), "ml.deep.third"),
        ("ml/deep/third.html", "<p>four</p>", "ml.deep.third"),
        ("ml/deep/__init__.py", "three = int\n", "ml.deep"),
        ("assets/models.py", "from ml import first\n\ndef asset():\n    return -first.one()\n", "assets.models"),
    ],
)
def test_a_change_far_away_is_seen_and_named(path: str, text: str, changed: str, project: Path) -> None:
    before = Source.read(project)

    (project / path).write_text(text)

    assert Source.read(project).hash("assets.models") != before.hash("assets.models")
    assert before.changed("assets.models") == [changed]


def test_a_missing_root_is_named(project: Path) -> None:
    with pytest.raises(KeyError, match=r"ml\.nothing"):
        Source.read(project).reach("ml.nothing")


def test_the_archive_holds_every_file_and_is_repeatable(project: Path) -> None:
    source = Source.read(project)

    archive = source.archive()

    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        found = {member.name: opened.extractfile(member).read().decode() for member in opened}  # type: ignore[union-attr]
    assert found == FILES
    assert Source.read(project).archive() == archive


BESIDE = {
    "mine.py": "import __main__, json, numpy\nfrom helpers import scale\nfrom ml.tasks.metrics import METRICS\n"
    "import ml.report.page\n",
    "helpers/__init__.py": "",
    "helpers/scale.py": "def scale():\n    import constants\n    return constants.TEN\n",
    "helpers/template.py": "{{ no Python }}",
    "constants.py": "TEN = 10\n",
    "unrelated.py": "",
    "site-packages/installed.py": "import constants\n",
}


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's own, outside of the project."""
    for path, text in BESIDE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    outside.cache_clear()
    yield tmp_path
    outside.cache_clear()


@pytest.mark.parametrize(
    ("root", "path", "counts"),
    [
        ("mine", "mine.py", True),
        ("mine", "helpers/scale.py", True),
        ("mine", "constants.py", True),
        ("mine", "unrelated.py", False),
        ("helpers.scale", "constants.py", True),
        ("installed", "site-packages/installed.py", True),
        ("installed", "constants.py", False),
    ],
)
def test_code_of_the_users_own_counts_with_what_it_imports_that_is_not_installed(
    root: str, path: str, counts: bool, beside: Path
) -> None:
    before = running().hash(root)

    (beside / path).write_text(BESIDE[path] + "# changed\n")
    outside.cache_clear()

    assert (running().hash(root) != before) is counts


def test_what_code_of_the_users_own_imports_of_the_project_counts(beside: Path) -> None:
    reached = running().reach("mine")

    assert {"ml.tasks.metrics", "ml.tasks.weighted"} <= set(reached)
    assert not {"mine", "numpy", "ml.report.page"} & set(reached)
    assert running().reach("installed") == running().reach("no_longer_there") == []


def imported_by(source: Source, *roots: str) -> set[str]:
    """Return the modules that are imported from some on, and these: those that decide no result too."""
    reached, rest = set[str](), set(roots)
    while rest:
        module = rest.pop()
        reached.add(module)
        rest |= (source.modules[module].imports & source.modules.keys()) - reached
    return reached


def test_every_module_of_this_project_is_reached_by_something() -> None:
    source = running()
    roots = [
        "dagster_project.preloaded",
        "service.service",
        "dagster_project.components",
    ]
    roots.append("dagster_project.launcher")  # the instance's own configuration names it
    # by a terminal, by declarations, and by Python
    named = ("dagster_project.commands", "dagster_project.examples", "configs", "sextant")
    sources = [name for name in source.modules if name.startswith(named)]
    sources += map(module_of, CATALOGUE)  # the families of models
    sources.append("ml.models.base")  # for families of the user's own
    sources.append("dagster_project.exports.mlserver_runtime")  # MLServer imports a copy of it
    sources.append("service.http.mounted")  # for applications of others
    sources.append("service.predictions.reading")  # for whoever reads the log
    sources.append("ml.compiler.compile")  # for whoever has featuretools features of their own; a benchmark uses it

    assert set(source.modules) - imported_by(source, *roots, *sources) == set()
    assert len(source.archive()) < 1_000_000
