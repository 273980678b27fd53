"""Packages that only some families need."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

EXTRA = "boosters"


def missing_package(package: str) -> str | None:
    """Return what to do about a package that is not installed; None if it is."""
    if find_spec(package) is not None:
        return None
    return f"the package {package!r} is not installed: pip install '.[{EXTRA}]'"


def optional(package: str) -> Any:
    """Import a package; raises ModuleNotFoundError that says how to install it."""
    if (problem := missing_package(package)) is not None:
        raise ModuleNotFoundError(problem, name=package)
    return import_module(package)
