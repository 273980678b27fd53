"""Each line of the catalogue is what its class says, and whoever reads it imports no family."""

import subprocess
import sys
from importlib.util import find_spec
from typing import get_args

import pytest

from ml.base.references import resolve
from ml.declaration.catalogue import CATALOGUE, Entry, families_for, module_of
from ml.declaration.families import TorchFamily
from ml.declaration.models import Models
from ml.models.catalogue import family
from ml.models.networks.family import NetworkFamily


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in CATALOGUE.values()])
def test_a_line_says_what_its_class_says(entry: Entry) -> None:
    chosen = family(entry.name)

    assert type(chosen) is resolve(entry.place)
    assert (chosen.name, chosen.tasks) == (entry.name, entry.tasks)
    assert module_of(entry.name) == type(chosen).__module__
    assert issubclass(entry.declared_by, TorchFamily) == isinstance(chosen, NetworkFamily) == ("cuda" in chosen.devices)


def test_a_declaration_has_a_field_for_each_line() -> None:
    *names, last = Models.model_fields

    assert (names, last) == (list(CATALOGUE), "ensemble")
    for name, entry in CATALOGUE.items():
        field = Models.model_fields[name]
        assert (field.description, get_args(field.annotation)[0]) == (entry.description, entry.declared_by)


def test_a_declaration_knows_the_modules_of_all_that_compete() -> None:
    models = Models.model_validate(
        {"extra_trees": {}, "random_forest": {}, "my_package.nets:MyNet": {}, "ensemble": {}}
    )

    assert models.modules == ["ml.models.trees.forest", "ml.search.blended", "my_package.nets"]
    assert all(find_spec(module_of(name)) for name in CATALOGUE)


def test_families_are_listed_by_what_they_can_learn() -> None:
    assert "logistic" not in families_for("regression")
    assert "logistic" in families_for("multiclass")
    assert set(families_for("binary")) == set(CATALOGUE) - {"ridge"}


def test_whoever_reads_the_catalogue_imports_no_family() -> None:
    program = (
        "import sys, pkgutil, importlib, ml.declaration, ml.models.catalogue\n"
        "for module in pkgutil.iter_modules(ml.declaration.__path__, 'ml.declaration.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(*sorted(name for name in sys.modules if name.startswith('ml.models.')))"
    )

    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    names = ("additive", "catalogue", "custom", "extras", "family", "near_zero")
    assert modules == [f"ml.models.{name}" for name in names]
